"""A load large enough to be harmed while it goes on, and what is to be the same in the end as if it had not been; and
what else comes between a command and its end.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands.conftest import Project
from tests.processes import PATIENCE

TABLES = ("users", "products", "orders")


@dataclass(frozen=True)
class Outcome:
    """What a load leaves: all rows by table, the run's rejects as a multiset, and what its report counts."""

    rows: dict[str, list[Any]]
    rejects: dict[str, Counter[Any]]
    counts: dict[str, Any]


def write_sources(project: Project, records: int, suffix: str = "csv") -> list[str]:
    """Write `records` records for each table, with every kind of fault, and return arguments for `insert_data`."""
    users = (f"{key},{f'name {key}' if key % 97 else ''},{key}{'@' if key % 89 else ''}b" for key in _keys(records))
    products = (f"{key},name {key},{key % 83}.25{'x' if key % 101 == 0 else ''}" for key in _keys(records))
    orders = (f"{key},{key * 7 % records},{key * 11 % records},{key % 79}" for key in _keys(records))
    tables = {
        "users": ["id,name,email", *users, '1,"again" and broken,@'],
        "products": ["id,name,price", *products, "1,again,7"],
        "orders": ["id,user_id,product_id,quantity", *orders, "1,1,1,1", "5"],
    }
    return [
        f"{name}=" + project.file(f"{name}.{suffix}", "".join(f"{line}\n" for line in lines))
        for name, lines in tables.items()
    ]


def _keys(records: int) -> list[int]:
    """Return keys from 1 on, some of which come twice."""
    return [key - 1 if key % 103 == 0 else key for key in range(1, records + 1)]


def emptied(project: Project, template: Path | None = None) -> None:
    """Begin anew: with the databases of a template, or with fresh ones."""
    for table in TABLES:
        for file in project.directory.glob(f"{table}.db*"):
            file.unlink()
        if template is not None:
            shutil.copy(template / f"{table}.db", project.directory)
    if template is None:
        assert project.call("init_db").returncode == 0


def outcome(project: Project, report: str) -> Outcome:
    """Return the outcome of a load that printed this report, as JSON."""
    message = json.loads(report)
    assert message["status"] == "complete"
    counts = {name: _counted(table) for name, table in message["tables"].items()}
    rows = {table: project.query(table, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}
    sql = f"SELECT source, line, line_end, record, reasons FROM loader_rejects WHERE run = '{message['run']}'"
    rejects = {table: Counter(project.query(table, sql)) for table in TABLES}
    assert all(rejects[name].total() == table["rejected"] for name, table in counts.items())
    return Outcome(rows, rejects, counts)


def _counted(table: dict[str, Any]) -> dict[str, Any]:
    given = table["inserted"] + table["updated"] + table["unchanged"] + table["rejected"]
    assert given == table["given"]
    return {name: value for name, value in table.items() if name != "seconds"}


def orphans(project: Project) -> list[Any]:
    """Return the orders whose user or product does not exist."""
    users, products = ({key for (key,) in project.query(table, f"SELECT id FROM {table}")} for table in TABLES[:2])
    orders = project.query("orders", "SELECT * FROM orders")
    return [row for row in orders if row[1] not in users or row[2] not in products]


def stored(project: Project) -> dict[str, int]:
    """Return how many rows each table holds."""
    return {table: project.query(table, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def assert_resumed_as_undisturbed(project: Project, command: Sequence[str]) -> None:
    """Check that the same command resumes after what was committed, and leaves as many rows as a load of its own."""
    again = project.manage(*command)
    assert again.returncode == 0
    assert again.stderr.startswith("resuming run ")
    resumed = stored(project)
    project.call("init_db", "--fresh")
    project.call(*command)
    assert stored(project) == resumed


def wait_while(condition: Callable[[], bool], *, step: float = 0.01) -> None:
    """Wait until a condition holds no longer, and fail if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while condition():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(step)


@contextmanager
def readers_shut_out(project: Project) -> Iterator[sqlite3.Connection]:
    """Hold the users' database as a writer may hold one without a write-ahead log."""
    with closing(sqlite3.connect(project.directory / "users.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        yield connection


def assert_interrupted(project: Project, command: str, number: signal.Signals, code: int, message: str) -> None:
    """Interrupt a command that looks at all databases: one line on stderr, and in the report."""
    report = project.directory / "report.json"
    # It waits for the lock when the signal comes, and feels that once SQLite's wait is over.
    with readers_shut_out(project) as writer, project.start(command, "--report", str(report)) as process:
        deadline = time.monotonic() + PATIENCE
        while not report.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(number)
        time.sleep(0.2)
        writer.execute("ROLLBACK")
        out, error = process.communicate()
    assert (process.returncode, out, error) == (code, "", f"error: {message}\n")
    written = json.loads(report.read_text())
    assert (written["status"], written["error"]) == ("interrupted", message)


def difference(one: Outcome, other: Outcome) -> Sequence[str]:
    """Return in few words how two outcomes differ: they hold hundreds of thousands of rows."""
    return [
        f"{part} of {table}"
        for part in ("rows", "rejects", "counts")
        for table in TABLES
        if getattr(one, part)[table] != getattr(other, part)[table]
    ]
