"""A disk with no room left, and files and directories that cannot be written: one line, and nothing half done."""

from __future__ import annotations

import functools
import resource
from pathlib import Path

import pytest

from tests.commands.conftest import Project
from tests.commands.harm import assert_resumed_as_undisturbed, orphans, stored, write_sources
from tests.sample import MODES

RECORDS = 60_000
SOME_MODES = ["async", *(pytest.param(mode, marks=pytest.mark.long) for mode in MODES if mode != "async")]
NOTHING = {"users": 0, "products": 0, "orders": 0}


def manage_with_room(project: Project, largest: int, *arguments: str) -> tuple[int, str]:
    """Run a command that can write no file of more than so many bytes; its exit code and what it said."""
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (largest, largest))
    with project.start(*arguments, preexec_fn=limit) as process:
        _, error = process.communicate(timeout=60)
    return process.returncode, error


@pytest.mark.parametrize("mode", SOME_MODES)
def test_without_room_nothing_is_kept_and_the_line_names_the_database(project: Project, mode: str) -> None:
    sources = write_sources(project, RECORDS)
    code, error = manage_with_room(project, 500_000, "insert_data", *sources, f"--mode={mode}")
    assert code == 1
    assert error.startswith("error: database ")
    assert error.count("\n") == 1
    assert stored(project) == NOTHING


@pytest.mark.parametrize("mode", SOME_MODES)
def test_with_checkpoints_what_fitted_stays_and_the_next_run_goes_on(project: Project, mode: str) -> None:
    command = ("insert_data", *write_sources(project, RECORDS), f"--mode={mode}", "--commit-every=5000")
    code, error = manage_with_room(project, 800_000, *command)
    assert code == 1
    assert error.startswith("error: database ")
    assert " kept, run the same command again to go on from there\n" in error
    assert error.count("\n") == 1
    assert stored(project)["users"] > 0
    assert orphans(project) == []
    assert_resumed_as_undisturbed(project, command)


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to look at " * 100, b"SQLite format 3\0" * 500]
)
def test_a_file_that_is_no_database_is_named(project: Project, content: bytes) -> None:
    (project.directory / "products.db").write_bytes(content)
    done = project.manage("insert_data")
    assert done.returncode == 1
    assert done.stderr.startswith("error: database products: ")
    assert done.stderr.count("\n") == 1
    assert project.query("users", "SELECT * FROM users") == []


def test_a_directory_that_is_missing_is_named(project: Project, tmp_path: Path) -> None:
    project.environment["DATABASE_DIR"] = str(tmp_path / "none")
    done = project.manage("insert_data")
    assert done.returncode == 1
    assert done.stderr.endswith("none does not exist; create it first\n")
