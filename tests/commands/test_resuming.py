"""Which runs the same command goes on with, which it does not, and what it says of that."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import ROOT, Project
from tests.commands.harm import TABLES, stored
from tests.sample import MODES

SAMPLE = {"users": 9, "products": 9, "orders": 7}
KEPT = {"users": 9, "products": 9, "orders": 4}
ROWS = {table: (ROOT / "data" / f"{table}.csv").read_text() for table in TABLES}


@contextmanager
def cut_short(project: Project) -> Iterator[None]:
    """Break the load of orders off at its fifth record, as a trigger of the database may do."""
    break_off = (
        "CREATE TRIGGER break_off BEFORE INSERT ON orders WHEN NEW.id = 5 BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
    )
    for statement in (break_off, "DROP TRIGGER break_off"):
        with closing(sqlite3.connect(project.directory / "orders.db")) as connection:
            connection.execute(statement)
        if statement == break_off:
            yield


@pytest.fixture
def command(project: Project) -> list[str]:
    """Return a load of the sample from files that a test may change. Orders are kept up to the fourth."""
    sources = [f"{table}={project.file(f'{table}.csv', rows)}" for table, rows in ROWS.items()]
    return ["insert_data", *sources, "--commit-every=2", "--format=json"]


@pytest.fixture
def first(project: Project, command: list[str]) -> str:
    """Return the run of that load that was cut short."""
    with cut_short(project):
        failed = project.call(*command)
    assert failed.returncode == 1
    assert failed.stderr.endswith(
        "; users, products, table orders up to record 4 kept, the same command goes on from there\n"
    )
    assert stored(project) == KEPT
    run: str = json.loads(failed.stdout)["run"]
    return run


def runs(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    """Return by table each run and its state, in the order in which they began."""
    return {table: project.query(table, "SELECT run, state FROM loader_runs ORDER BY rowid") for table in TABLES}


def counts(report: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Return by table the counts of inserted, unchanged and rejected records."""
    return {
        name: (table["inserted"], table["unchanged"], table["rejected"]) for name, table in report["tables"].items()
    }


def assert_begun_anew(project: Project, printed: str, first: str) -> None:
    """Check that this is another run, which has read all records again and has nothing left to do."""
    report = json.loads(printed)
    assert report["run"] != first
    assert counts(report) == {"users": (0, 9, 1), "products": (0, 9, 1), "orders": (3, 4, 3)}
    assert stored(project) == SAMPLE
    before, now = [(first, "complete"), (first, "running")], (report["run"], "complete")
    assert runs(project) == {"users": [before[0], now], "products": [before[0], now], "orders": [before[1], now]}


@pytest.mark.parametrize("mode", MODES)
def test_the_same_command_goes_on_in_any_mode(project: Project, command: list[str], first: str, mode: str) -> None:
    done = project.call(*command, f"--mode={mode}")
    resuming = f"resuming run {first}: users complete, products complete, orders from record 5\n"
    assert (done.returncode, done.stderr) == (0, resuming)
    report = json.loads(done.stdout)
    assert report["run"] == first
    assert counts(report) == {"users": (9, 0, 1), "products": (9, 0, 1), "orders": (7, 0, 3)}
    assert stored(project) == SAMPLE
    assert runs(project) == {table: [(first, "complete")] for table in TABLES}


def test_with_restart_nothing_is_gone_on_with(project: Project, command: list[str], first: str) -> None:
    done = project.call(*command, "--restart")
    assert (done.returncode, done.stderr) == (0, "")
    assert_begun_anew(project, done.stdout, first)
    again = project.call(*command)
    assert (again.returncode, again.stderr) == (0, "")
    assert json.loads(again.stdout)["run"] not in dict(runs(project)["orders"][:2])


def touch(source: Path) -> None:
    os.utime(source, (0, 0))


def append_a_record(source: Path) -> None:
    source.write_text(f"{source.read_text()}11,1,1,1\n")
    os.utime(source, (0, 0))


def replace_a_value(source: Path) -> None:
    """Replace a value by one of the same length, and set the time of change back."""
    facts = source.stat()
    source.write_text(source.read_text().replace("7,7,7,2\n", "7,7,7,9\n"))
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (touch, "time of change"),
        (append_a_record, "size and time of change and content"),
        (replace_a_value, "content"),
    ],
)
def test_a_source_that_has_changed_is_read_from_its_beginning(
    project: Project, command: list[str], first: str, change: Callable[[Path], None], changed: str
) -> None:
    source = project.directory / "orders.csv"
    change(source)
    done = project.call(*command)
    why = f"not resuming run {first}: {source} has another {changed} now; starting over\n"
    assert (done.returncode, done.stderr) == (0, why)
    report = json.loads(done.stdout)
    assert report["run"] != first
    good = [line for line in source.read_text().splitlines() if re.match("[1-7],|11,", line)]
    assert counts(report)["orders"] == (len(good) - 4, 4, 3)
    assert [",".join(map(str, row)) for row in project.query("orders", "SELECT * FROM orders ORDER BY id")] == good
    again = project.call(*command)
    assert (again.returncode, again.stderr) == (0, "")


def test_another_way_to_treat_conflicts_is_another_load(project: Project, command: list[str], first: str) -> None:
    done = project.call(*command, "--on-conflict=update")
    why = "it was to treat conflicts as reject, not as update"
    assert (done.returncode, done.stderr) == (0, f"not resuming run {first}: {why}; starting over\n")
    assert_begun_anew(project, done.stdout, first)


def test_what_came_from_stdin_is_read_from_its_beginning(project: Project, command: list[str]) -> None:
    arguments = ["orders=-" if argument.startswith("orders=") else argument for argument in command]
    with cut_short(project):
        failed = project.manage(*arguments, given=ROWS["orders"])
    assert failed.returncode == 1
    assert stored(project) == KEPT
    first = json.loads(failed.stdout)["run"]
    done = project.manage(*arguments, given=ROWS["orders"])
    why = "orders came from stdin, a pipe or a program, which cannot be read again"
    assert (done.returncode, done.stderr) == (0, f"not resuming run {first}: {why}; starting over\n")
    assert_begun_anew(project, done.stdout, first)
