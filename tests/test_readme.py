"""The README keeps its word: its examples run, and its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from async_loader.contrib.django.management.commands.rejects import Command
from async_loader.reasons import FAULT_MESSAGES
from core.benchmark.contenders import CASES
from tests.commands.conftest import ROOT, Project
from tests.integration.test_numbers import SPELLINGS

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_asyncio_example_prints_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "cities.csv").write_text(blocks("csv")[0])
    (tmp_path / "visits.jsonl").write_text(blocks("json")[-1])
    example = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocks("python")[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (example.stdout, example.stderr) == (blocks("text")[-1], "")


def test_the_first_command_prints_what_it_says(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert "python manage.py init_db && python manage.py insert_data" in blocks("sh")[0]
    printed = project.manage("init_db").stdout + project.manage("insert_data").stdout
    beginning, ending = blocks("text")[:2]
    assert printed.startswith(beginning)
    assert printed.endswith(ending)


@pytest.mark.parametrize(
    ("command", "section"),
    [
        ("insert_data", "Load your own files"),
        ("check_references", "Check references"),
        ("verify", "Verify"),
        ("benchmark", "How fast it is"),
    ],
)
def test_every_option_is_in_the_table(tmp_path: Path, command: str, section: str) -> None:
    text = Project(tmp_path).call(command, "--help").stdout
    told = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    django = {"--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color"}
    own = set(re.findall(r"^ +(?:-n, )?(--[a-z-]+)", text, re.MULTILINE)) - django - {"--force-color", "--skip-checks"}
    assert set(re.findall(r"^\| .*?`(--[a-z-]+)", told, re.MULTILINE)) == own


def test_every_case_of_the_benchmark_is_in_the_table() -> None:
    table = README.split("| case | what is measured |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert re.findall(r"`([^`]*)`", " ".join(cells)) == list(CASES)


def test_mending_rejects_prints_what_it_says(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.manage("init_db")
    project.manage("insert_data")
    [told] = blocks("console")
    for step in told.removeprefix("$ ").split("\n$ "):
        command, _, wanted = step.partition("\n")
        command = command.replace("bad.csv", str(tmp_path / "bad.csv")).replace(
            "python manage", f"{sys.executable} manage"
        )
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=project.environment, capture_output=True, text=True, check=True
        )
        printed = (done.stderr + done.stdout).replace(f"{tmp_path}/", "").rstrip("\n")
        assert without_names(printed) == without_names(wanted.rstrip("\n"))


def without_names(text: str) -> str:
    """Less what differs each time: the names of runs, and when they began."""
    return re.sub(r"\b20\d\d-[0-9T:.+-]+", "WHEN", re.sub(r"\b[0-9a-f]{32}\b", "RUN", text))


def test_every_option_of_rejects_is_told() -> None:
    command = Command()
    parsers = [command.create_parser("manage.py", "rejects"), *command._subparsers]
    told = README.split("\n## Mend rejects\n")[1].split("\n## ")[0]
    options = {option for parser in parsers for action in parser._actions for option in action.option_strings}
    own = {option for option in options if option.startswith("--")} - {
        *("--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color"),
        *("--force-color", "--skip-checks"),
    }
    assert set(re.findall(r"`(--[a-z-]+)", told)) == own


CODES = ["duplicate", "exists", "exists_in", "invalid_json", "invalid_quoting", "wrong_field_count", *FAULT_MESSAGES]


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_in_the_table(code: str) -> None:
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    assert any(f"`{code}`" in row for row in rows)


def test_every_spelling_in_the_table_of_numbers_is_tested() -> None:
    table = README.split("| text | as an integer | as a real |")[1].split("\n\n")[0]
    spellings = {text for line in table.splitlines()[2:] for text in re.findall(r"`([^`]*)`", line.split("|")[1])}
    assert spellings - {'""'} <= set(SPELLINGS)
