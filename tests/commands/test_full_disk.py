"""A disk with no room left, and files and directories that cannot be written: one line, and nothing half done."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Project
from tests.commands.disk import ENOUGH, Disk, mounted
from tests.commands.harm import (
    TABLES,
    Outcome,
    assert_resumed_as_undisturbed,
    difference,
    orphans,
    outcome,
    stored,
    write_sources,
)
from tests.sample import MODES

RECORDS = 20_000
# For disks of some hundred KiB.
FEW_RECORDS = 10_000
# KiB that hold any one of their databases without its rows, and none with them.
ROOM = 192
SOME_MODES = ["async", *(pytest.param(mode, marks=pytest.mark.long) for mode in MODES if mode != "async")]
NOTHING = {"users": 0, "products": 0, "orders": 0}


def manage_with_room(project: Project, largest: int, *arguments: str) -> tuple[int, str]:
    """Run a command that can write no file of more than `largest` bytes. Return its exit code and what it printed."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))"
    done = project.manage(*arguments, after=limit)
    return done.returncode, done.stderr


@pytest.mark.parametrize("mode", SOME_MODES)
def test_without_room_nothing_is_kept_and_the_line_names_the_database(project: Project, mode: str) -> None:
    sources = write_sources(project, RECORDS)
    code, error = manage_with_room(project, 200_000, "insert_data", *sources, f"--mode={mode}")
    assert code == 1
    assert error.startswith("error: database ")
    assert error.count("\n") == 1
    assert stored(project) == NOTHING


@pytest.mark.parametrize("mode", SOME_MODES)
def test_with_checkpoints_what_fitted_stays_and_the_next_run_goes_on(project: Project, mode: str) -> None:
    command = ("insert_data", *write_sources(project, RECORDS), f"--mode={mode}", "--commit-every=2000")
    code, error = manage_with_room(project, 350_000, *command)
    assert code == 1
    assert error.startswith("error: database ")
    assert " kept, the same command goes on from there\n" in error
    assert error.count("\n") == 1
    assert stored(project)["users"] > 0
    assert orphans(project) == []
    assert_resumed_as_undisturbed(project, command)


@dataclass(frozen=True)
class Undisturbed:
    """A load that has room, and what it leaves."""

    command: list[str]
    outcome: Outcome
    report: dict[str, Any]


@pytest.fixture(scope="module")
def undisturbed(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    shutil.copytree(empty, project.directory, dirs_exist_ok=True)
    command = ["insert_data", *write_sources(project, FEW_RECORDS), "--format=json"]
    done = project.call(*command)
    assert (done.returncode, done.stderr) == (0, "")
    return Undisturbed(command, outcome(project, done.stdout), json.loads(done.stdout))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", ROOM) as disk:
        yield disk


@pytest.mark.parametrize(
    ("on_disk", "mode"),
    [("users", "async"), pytest.param("products", "threads", marks=pytest.mark.wide), ("orders", "sequential")],
)
def test_a_full_disk_at_any_commit_costs_nothing_but_the_same_command_with_more_room(
    project: Project, disk: Disk, undisturbed: Undisturbed, on_disk: str, mode: str
) -> None:
    kept = TABLES[: TABLES.index(on_disk)]
    disk.holds(project, on_disk)
    command = (*undisturbed.command, f"--mode={mode}")
    failed = project.manage(*command)
    problem = f"database {on_disk}: database or disk is full ({project.directory / on_disk}.db)"
    advice = "free some room on its disk and run the same command again"
    but = f"; {', '.join(kept)} kept, the same command goes on from there" if kept else ""
    assert (failed.returncode, failed.stderr) == (1, f"error: {problem}; {advice}{but}\n")
    report = json.loads(failed.stdout)
    assert (report["status"], f"error: {report['error']}\n") == ("failed", failed.stderr)
    for table in TABLES:
        whole = undisturbed.report["tables"][table]
        assert report["tables"][table]["inserted"] == (whole["inserted"] if table in kept else 0)
        kept_rows = project.query(table, f"SELECT * FROM {table} ORDER BY 1")
        assert kept_rows == (undisturbed.outcome.rows[table] if table in kept else [])
        rejects, runs = (project.query(table, f"SELECT * FROM loader_{name}") for name in ("rejects", "runs"))
        assert (len(rejects), len(runs)) == ((whole["rejected"], 1) if table in kept else (0, 0))
    disk.resize(ENOUGH)
    again = project.manage(*command)
    assert again.returncode == 0
    assert again.stderr.startswith("resuming run ") if kept else again.stderr == ""
    assert difference(outcome(project, again.stdout), undisturbed.outcome) == []


@pytest.mark.parametrize("mode", SOME_MODES)
def test_a_full_disk_under_all_databases_keeps_nothing(
    project: Project, disk: Disk, undisturbed: Undisturbed, mode: str
) -> None:
    disk.resize(len(TABLES) * ROOM)
    disk.holds(project, *TABLES)
    failed = project.manage(*undisturbed.command, f"--mode={mode}")
    assert failed.returncode == 1
    # Whichever database first needs room that is not there: for its rows, or for the log's index.
    problem = r"error: database (users|products): (database or disk is full|disk I/O error) \(.*"
    assert re.fullmatch(problem + "; free some room on its disk and run the same command again\n", failed.stderr)
    assert stored(project) == NOTHING
    disk.resize(ENOUGH)
    assert_completes(project, undisturbed, f"--mode={mode}")


def assert_completes(project: Project, undisturbed: Undisturbed, *options: str) -> None:
    """Check that the same command begins anew, and does all that it does undisturbed."""
    again = project.call(*undisturbed.command, *options)
    assert (again.returncode, again.stderr) == (0, "")
    assert difference(outcome(project, again.stdout), undisturbed.outcome) == []


@pytest.mark.parametrize(
    ("on_disk", "mode"),
    [(["products"], "threads"), pytest.param(["orders"], "async", marks=pytest.mark.wide), (TABLES, "sequential")],
)
def test_between_checkpoints_the_line_says_what_each_database_keeps(
    project: Project, disk: Disk, undisturbed: Undisturbed, on_disk: Sequence[str], mode: str
) -> None:
    # For the first thousands of their records, but not for all.
    disk.resize(64 + 256 * len(on_disk))
    disk.holds(project, *on_disk)
    command = (*undisturbed.command, f"--mode={mode}", "--commit-every=1000")
    failed = project.manage(*command)
    disk.resize(ENOUGH)
    assert failed.returncode == 1
    said = re.fullmatch(
        r"error: database (\w+): .*; free some room on its disk and run the same command again; "
        r"(.+) kept, the same command goes on from there\n",
        failed.stderr,
    )
    assert said is not None, failed.stderr
    assert said[1] in on_disk
    assert ", ".join(filter(None, (kept_of(project, table) for table in TABLES))) == said[2]
    assert orphans(project) == []
    again = project.manage(*command)
    assert again.returncode == 0
    assert again.stderr.startswith("resuming run ")
    assert difference(outcome(project, again.stdout), undisturbed.outcome) == []


def kept_of(project: Project, table: str) -> str:
    """Return what a database holds of a run, in the words of the error line, and check it against the ledger."""
    lines = project.query(table, "SELECT state, checkpoint, inserted, rejected FROM loader_runs")
    [(state, checkpoint, inserted, rejected)] = lines or [("none", 0, 0, 0)]
    assert stored(project)[table] == inserted
    assert project.query(table, "SELECT count(*) FROM loader_rejects") == [(rejected,)]
    assert inserted + rejected == checkpoint
    return table if state == "complete" else f"table {table} up to record {checkpoint:,}" if checkpoint else ""


def test_a_disk_without_a_byte_left_is_named_by_every_command(project: Project, disk: Disk) -> None:
    """SQLite needs room even to read: a load that could begin would find none at its end."""
    disk.holds(project, "products")
    disk.fill()
    for command in (["insert_data"], ["insert_data", "-n"], ["init_db"], ["check_references"], ["verify"]):
        done = project.call(*command)
        assert done.returncode == 1, command
        assert done.stderr.startswith("error: database products: "), command
        assert "; free some room on its disk" in done.stderr, command
        assert done.stderr.count("\n") == 1, command
    disk.resize(ENOUGH)
    assert stored(project) == NOTHING
    assert project.call("insert_data").returncode == 0
    assert stored(project) == {"users": 9, "products": 9, "orders": 7}


def test_a_full_disk_under_the_files_of_rejects_keeps_nothing(
    project: Project, disk: Disk, undisturbed: Undisturbed
) -> None:
    disk.resize(64)
    option = f"--rejects-dir={disk.path}"
    failed = project.manage(*undisturbed.command, option)
    assert failed.returncode == 1
    assert re.fullmatch(rf"error: {disk.path}/\w+: cannot be written: No space left on device\n", failed.stderr), (
        failed.stderr
    )
    assert stored(project) == NOTHING
    disk.resize(ENOUGH)
    assert_completes(project, undisturbed, option)


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
