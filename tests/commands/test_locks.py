"""Loads share databases with each other and with other programs: which waits, which fails, and what is kept then."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from tests.commands.conftest import Project
from tests.commands.harm import orphans, stored, wait_while, write_sources

RECORDS = 5_000


def test_two_loads_of_the_same_files_both_succeed(project: Project) -> None:
    command = ("insert_data", *write_sources(project, RECORDS))
    with project.start(*command, "--mode=async") as one, project.start(*command, "--mode=threads") as other:
        said = [run.communicate()[1] for run in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), said
    assert orphans(project) == []
    once = stored(project)
    project.call("init_db", "--fresh")
    project.call(*command)
    assert stored(project) == once


def test_two_loads_with_checkpoints_never_write_one_run_together(project: Project) -> None:
    """One may go on with the other's run between two of its transactions: the other then stops, and says so. Neither
    waits for what the other holds.
    """
    command = ("insert_data", *write_sources(project, RECORDS), "--commit-every=1500")
    with project.start(*command, "--mode=async") as one, project.start(*command, "--mode=threads") as other:
        said = [run.communicate()[1] for run in (one, other)]
    assert 0 in {one.returncode, other.returncode}, said
    for run, line in zip((one, other), said, strict=True):
        assert run.returncode == 0 or "another load goes on with run" in line
    assert orphans(project) == []
    twice = stored(project)
    project.call("init_db", "--fresh")
    project.call(*command)
    assert stored(project) == twice


def test_with_checkpoints_a_table_is_not_locked_before_those_that_it_references_are_loaded(project: Project) -> None:
    """A load that held it, and waited for them, could wait for another load that holds them and waits for it."""
    orders = project.file("orders.csv", "id,user_id,product_id,quantity\n1,1,1,1\n")
    project.change("products", "INSERT INTO products VALUES (1, 'p', 1.5)")
    with project.start(
        "insert_data", "users:csv=-", f"orders={orders}", "--commit-every=1000", stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(("id,name,email\n" + "".join(f"{n},a,@\n" for n in range(1, 400_000)))[: (2 << 20) + 1_000])
        process.stdin.flush()
        wait_while(lambda: project.query("users", "SELECT count(*) FROM users") == [(0,)] and process.poll() is None)
        assert not is_locked(project, "orders")
        process.communicate()
    assert process.returncode == 0
    assert stored(project)["orders"] == 1


def test_a_second_load_that_may_not_wait_fails_with_one_line(project: Project) -> None:
    """The first load waits for the rest of its source while it holds its write lock."""
    with project.start("insert_data", "users:csv=-", stdin=subprocess.PIPE) as first:
        assert first.stdin is not None
        # A block and a little more, which the pipe holds.
        first.stdin.write(("id,name,email\n" + f"1,{'a' * 1_000},@\n" * 5_000)[: (2 << 20) + 1_000])
        first.stdin.flush()
        wait_while(lambda: not is_locked(project, "users") and first.poll() is None)
        second = project.manage("insert_data", "--lock-timeout=0.1")
        first.communicate()
    assert first.returncode == 0
    assert second.returncode == 1
    assert second.stderr.startswith("error: database users: database is locked")
    assert second.stderr.count("\n") == 1
    assert stored(project) == {"users": 1, "products": 0, "orders": 0}


def is_locked(project: Project, database: str) -> bool:
    with closing(sqlite3.connect(project.directory / f"{database}.db", 0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


@pytest.mark.parametrize(
    ("mode", "kind"), [("async", "EXCLUSIVE"), ("threads", "IMMEDIATE"), ("sequential", "EXCLUSIVE")]
)
def test_a_load_waits_for_a_program_that_holds_a_database(project: Project, mode: str, kind: str) -> None:
    with closing(sqlite3.connect(project.directory / "products.db", isolation_level=None)) as holder:
        holder.execute(f"BEGIN {kind}")
        with project.start("insert_data", f"--mode={mode}", "--commit-every=3") as process:
            # It holds the first database, and waits for the next one.
            wait_while(lambda: not is_locked(project, "orders") and process.poll() is None)
            time.sleep(0.2)
            assert process.poll() is None
            holder.execute("ROLLBACK")
            assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert stored(project) == {"users": 9, "products": 9, "orders": 7}


@pytest.mark.parametrize(("kind", "database"), [("EXCLUSIVE", "users"), ("IMMEDIATE", "orders")])
def test_a_load_does_not_wait_for_ever_and_keeps_nothing(project: Project, kind: str, database: str) -> None:
    with closing(sqlite3.connect(project.directory / f"{database}.db", isolation_level=None)) as holder:
        holder.execute(f"BEGIN {kind}")
        done = project.manage("insert_data", "--lock-timeout=0.3")
        holder.execute("ROLLBACK")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: database {database}: database is locked")
    assert done.stderr.count("\n") == 1
    assert stored(project) == {"users": 0, "products": 0, "orders": 0}


def test_with_checkpoints_too_nothing_is_begun_while_a_database_is_locked(project: Project) -> None:
    with closing(sqlite3.connect(project.directory / "orders.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        done = project.manage("insert_data", "--lock-timeout=0.3", "--commit-every=4", "--mode=sequential")
        holder.execute("ROLLBACK")
    assert done.returncode == 1
    assert done.stderr.startswith("error: database orders: database is locked")
    assert stored(project) == {"users": 0, "products": 0, "orders": 0}
    again = project.manage("insert_data", "--commit-every=4")
    assert (again.returncode, again.stderr) == (0, "")
    assert stored(project) == {"users": 9, "products": 9, "orders": 7}


@pytest.mark.parametrize("commit_every", [0, 1_500])
def test_who_reads_while_a_load_goes_on_is_let_in(project: Project, commit_every: int) -> None:
    """With a second of patience, for the moments when a database is opened or closed."""
    command = ("insert_data", *write_sources(project, RECORDS), f"--commit-every={commit_every}")
    counts: dict[str, list[int]] = {"users": [], "products": [], "orders": []}

    def read() -> bool:
        for table in counts:
            with closing(sqlite3.connect(project.directory / f"{table}.db", 1)) as reader:
                counts[table] += reader.execute(f"SELECT count(*) FROM {table}").fetchone()
        return True

    with project.start(*command) as process:
        wait_while(lambda: read() and process.poll() is None, step=0)
        assert process.communicate()[1] == ""
    assert process.returncode == 0
    for table, seen in counts.items():
        assert seen == sorted(seen)
        assert commit_every or set(seen) <= {0, stored(project)[table]}


def test_a_reader_that_stays_holds_up_no_commit(project: Project) -> None:
    with closing(sqlite3.connect(project.directory / "users.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert project.manage("insert_data").returncode == 0
        assert reader.execute("SELECT count(*) FROM users").fetchone() == (0,)
    assert stored(project) == {"users": 9, "products": 9, "orders": 7}


def test_without_a_log_a_reader_that_stays_holds_up_the_commit_no_longer_than_allowed(project: Project) -> None:
    with closing(sqlite3.connect(project.directory / "users.db", isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = DELETE")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchone()
        done = project.manage("insert_data", "--lock-timeout=0.3")
        reader.execute("ROLLBACK")
    assert done.returncode == 1
    assert done.stderr.startswith("error: database users: database is locked")
    assert stored(project) == {"users": 0, "products": 0, "orders": 0}
