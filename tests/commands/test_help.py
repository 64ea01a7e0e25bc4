"""What `--help` of each command prints on a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import Project

COMMANDS = [
    "init_db",
    "insert_data",
    "inspect_source",
    "rejects",
    "rejects show",
    "rejects export",
    "rejects retry",
    "rejects discard",
    "check_references",
    "verify",
    "benchmark",
    "scale",
]


@pytest.fixture(params=COMMANDS)
def help_text(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the help of a command."""
    monkeypatch.setenv("COLUMNS", "80")
    done = Project(tmp_path).call(*request.param.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_no_line_is_longer_than_a_terminal(help_text: str) -> None:
    assert [line for line in help_text.splitlines() if len(line) > 80] == []


def test_it_ends_with_an_example_that_is_a_command_line(help_text: str) -> None:
    example = help_text.split("\nexample: ")[1].split("\n\n", maxsplit=1)[0]
    assert all(line.startswith("  python manage.py ") for line in example.splitlines()[1:])
    assert example.rstrip().count("\n") in (1, 2)


def test_what_every_command_of_django_has_comes_last(help_text: str) -> None:
    groups = [line for line in help_text.splitlines() if line.endswith(":") and not line.startswith((" ", "exit"))]
    assert groups[-1] == "Django's options:"


def test_every_option_says_what_it_is_for(help_text: str) -> None:
    for option in help_text.split("\n  -")[1:]:
        assert len(option.split()) > 2, option
