"""Databases that may not be read or written, and what is none: one line says which and what to do, nothing is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.commands.conftest import Project
from tests.commands.disk import mounted
from tests.commands.harm import TABLES, stored

# Lets permissions bind this process, even if it is root's: it has no capabilities any more (capset(2)). Nothing changes
# where that cannot be done.
GIVE_UP_PRIVILEGES = """\
import ctypes, platform
VERSION_3, CAPSET = 0x20080522, {"x86_64": 126, "aarch64": 91}.get(platform.machine())
if CAPSET:
    ctypes.CDLL(None).syscall(CAPSET, (ctypes.c_uint32 * 2)(VERSION_3, 0), (ctypes.c_uint32 * 6)())
"""
# Which open a database to write, to make it, and to read.
COMMANDS = ("insert_data", "init_db", "check_references")
NOTHING = {"users": 0, "products": 0, "orders": 0}
SAMPLE = {"users": 9, "products": 9, "orders": 7}
READ_ONLY = "attempt to write a readonly database"
NOT_OPENED = "unable to open database file"
ALLOW_WRITING = "allow writing to the file, its -wal and -shm, and its directory"
CHECK = "create it with init_db, or check its directory and permissions"


def manage(project: Project, *arguments: str) -> tuple[int, str]:
    """Run a command that permissions bind, and return its exit code and what it said."""
    done = project.manage(*arguments, after=GIVE_UP_PRIVILEGES)
    return done.returncode, done.stderr


@pytest.fixture
def shut(project: Project, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Set the permissions of a database and its log, or of the directory if none is named; restore them afterwards."""
    probe = tmp_path / "probe"
    probe.touch(0)
    code = f"{GIVE_UP_PRIVILEGES}\nopen({str(probe)!r})"
    done = processes.run(["-c", code], cwd=tmp_path, env=project.environment)
    probe.unlink()
    if not done.returncode:
        pytest.skip("needs permissions that bind: this is root, whose privileges cannot be given up")

    def shut(mode: int, database: str | None = None) -> None:
        for path in project.directory.glob(f"{database}.db*") if database else [project.directory]:
            path.chmod(mode)

    yield shut
    project.directory.chmod(0o755)


def test_a_database_that_may_only_be_read_is_named_before_anything_is_written(
    project: Project, shut: Callable[..., None]
) -> None:
    shut(0o444, "products")
    line = f"error: database products: {READ_ONLY} ({project.directory}/products.db); {ALLOW_WRITING}\n"
    for options in ([], ["--mode=threads", "--commit-every=2"], ["--mode=sequential", "--commit-every=2"]):
        assert manage(project, "insert_data", *options) == (1, line), options
        assert stored(project) == NOTHING, options
        assert all(project.query(table, "SELECT * FROM loader_runs") == [] for table in TABLES), options
    for command in (["insert_data", "-n"], ["check_references"], ["verify"]):
        assert manage(project, *command) == (0, ""), command
    shut(0o644, "products")
    assert manage(project, "insert_data") == (0, "")
    assert stored(project) == SAMPLE


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_may_not_be_read_is_named(project: Project, shut: Callable[..., None], command: str) -> None:
    shut(0, "products")
    line = f"error: database products: {NOT_OPENED} ({project.directory}/products.db); {CHECK}\n"
    assert manage(project, command) == (1, line)
    shut(0o644, "products")
    assert stored(project) == NOTHING


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_that_may_not_be_written_to_is_one_line(
    project: Project, shut: Callable[..., None], command: str
) -> None:
    """The log of a database cannot be written there, and without it the database cannot be read."""
    shut(0o555)
    line = f"error: database orders: {READ_ONLY} ({project.directory}/orders.db); {ALLOW_WRITING}\n"
    assert manage(project, command) == (1, line)
    assert stored(project) == NOTHING


@pytest.mark.parametrize("command", [*COMMANDS, "insert_data --report=report.json"])
def test_a_directory_that_may_not_be_entered_is_one_line(
    project: Project, shut: Callable[..., None], command: str
) -> None:
    arguments = command.replace("=", f"={project.directory}/inner/").split()
    (project.directory / "inner").mkdir()
    project.environment["DATABASE_DIR"] = str(project.directory / "inner")
    shut(0)
    code, error = manage(project, *arguments)
    assert (code, error.count("\n")) == (1, 1), error
    if "--report" in command:
        assert error.startswith(f"error: report {project.directory}/inner/report.json: cannot be written: Permission")
    else:
        assert error == f"error: database orders: {NOT_OPENED} ({project.directory}/inner/orders.db); {CHECK}\n"


def test_the_check_says_that_a_directory_may_not_be_written_to(project: Project, shut: Callable[..., None]) -> None:
    shut(0o555)
    code, error = manage(project, "check")
    assert code == 1
    assert error.count("async_loader.E005") == len(TABLES)
    assert f"Database orders: the directory {project.directory} cannot be written to." in error
    assert "HINT: SQLite makes files beside a database: make the directory writable." in error


def test_databases_cannot_be_made_where_nothing_may_be_written(project: Project, shut: Callable[..., None]) -> None:
    for table in TABLES:
        (project.directory / f"{table}.db").unlink()
    shut(0o555)
    line = f"error: database orders: {NOT_OPENED} ({project.directory}/orders.db); {CHECK}\n"
    assert manage(project, "init_db") == (1, line)
    assert list(project.directory.iterdir()) == []


def test_on_a_file_system_that_is_read_only_nothing_is_kept(project: Project, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1_024) as disk:
        disk.holds(project, "products")
        disk.set_read_only()
        for options in ([], ["--commit-every=2"]):
            done = project.call("insert_data", *options)
            assert done.returncode == 1
            assert done.stderr.startswith("error: database products: ")
            assert done.stderr.count("\n") == 1
            assert "permissions" in done.stderr or ALLOW_WRITING in done.stderr
            for table in ("users", "orders"):
                assert project.query(table, f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("command", [*COMMANDS, "insert_data -n", "init_db --fresh", "verify"])
def test_a_directory_in_the_place_of_a_database_is_one_line(project: Project, command: str) -> None:
    path = project.directory / "products.db"
    path.unlink()
    path.mkdir()
    done = project.call(*command.split())
    line = f"error: database products: {path} is a directory; move it away and run init_db\n"
    assert (done.returncode, done.stderr) == (1, line)
    assert list(path.iterdir()) == []
    assert project.query("users", "SELECT * FROM users") == project.query("orders", "SELECT * FROM orders") == []


def test_init_db_leaves_a_file_that_is_no_database_as_it_is(project: Project) -> None:
    path = project.directory / "products.db"
    content = "kept by somebody under a name that we would use\n" * 100
    path.write_text(content)
    for options in ([], ["--fresh"]):
        done = project.call("init_db", *options)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: database products: file is not a database ({path}); ")
        assert done.stderr.count("\n") == 1
        assert path.read_text() == content
