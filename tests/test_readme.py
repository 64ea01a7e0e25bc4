"""The README keeps its word: its first commands print what it says, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import find_commands

from async_loader.contrib import django as app
from tests.commands.conftest import ROOT, Project

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def first_cells(header: str) -> list[str]:
    """Return the first words of the first cells of the table with this header."""
    table = README.split(header)[1].split("\n\n")[0]
    return [re.sub(r"^\| [`\[]*([\w.]+).*", r"\1", line) for line in table.splitlines()[2:]]


def test_the_first_command_prints_what_it_says(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert "python manage.py init_db && python manage.py insert_data" in blocks("sh")[0]
    printed = project.manage("init_db").stdout + project.manage("insert_data").stdout
    beginning, ending = blocks("text")[:2]
    assert printed.startswith(beginning)
    assert printed.endswith(ending)


def test_every_command_is_in_the_table() -> None:
    brought = [
        name
        for where in (Path(app.__file__).parent, ROOT / "benchmarks")
        for name in find_commands(str(where / "management"))
    ]
    assert sorted(first_cells("| `manage.py` | |")) == sorted([*brought, "check"])


def test_every_page_is_in_the_table() -> None:
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert sorted(first_cells("| page | for |")) == sorted([*pages, "CONTRIBUTING.md", "decisions"])


def test_the_tests_that_prove_the_promises_exist() -> None:
    table = README.split("| # | promise | proved by |")[1].split("\n\n")[0]
    names = set(re.findall(r"`(test_\w+\.py)`", table))
    assert names <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
