"""`inspect_source`: the command that it prints loads the file, and the model that it prints can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.awkward_files import CUSTOMER, ORDER, PRODUCT, SHOPS, Awkward
from tests.commands.project import Oracle


@pytest.fixture
def shops(oracle: Oracle) -> Iterator[Oracle]:
    """Give the project in one process, with two customers and nothing else."""
    for label in (ORDER, PRODUCT, CUSTOMER):
        oracle.ask("empty", label)
    yield oracle
    for label in (ORDER, PRODUCT, CUSTOMER):
        oracle.ask("empty", label)


def inspected(project: Oracle, *arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = project.ask("inspect", arguments)
    assert (report["status"], report["error"]) == ("complete", None)
    return report


def loaded(project: Oracle, command: str) -> dict[str, Any]:
    """Return the report of the command, as a shell would run it, about its one table."""
    program, manage, *arguments = shlex.split(command)
    assert (program, manage) == ("python", "manage.py")
    [table] = [table for table in project.manage(*arguments)["tables"].values() if table["sources"]]
    return dict(table)


@pytest.mark.parametrize("awkward", SHOPS, ids=lambda awkward: awkward.name)
def test_the_command_that_it_prints_loads_the_file(shops: Oracle, awkward: Awkward, tmp_path: Path) -> None:
    if awkward.model == ORDER:
        people = [{"name": name, "email": f"{name.lower()}@example.com"} for name in ("Ada", "Bob")]
        shops.add(CUSTOMER, people)
    report = inspected(shops, awkward.write(tmp_path), "--model", awkward.model)
    assert report["judged"]["problem"] is None
    table = loaded(shops, report["command"])
    assert (table["inserted"], table["rejected"]) == (awkward.loaded, awkward.rejected)
    # What a dry run of the sample says is what the load does.
    assert (report["judged"]["given"], report["judged"]["rejected"]) == (table["given"], table["rejected"])
    guessed = report["file"] | (report["file"]["dialect"] or {})
    assert {name: guessed[name] for name in awkward.form or {}} == dict(awkward.form or {})
    assert awkward.says in "\n".join([*report["file"]["evidence"], *report["file"]["ambiguous"]])
