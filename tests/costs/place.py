"""Where costs are measured: a PostgreSQL server with the sample's tables, and a clock for its CPU seconds and ours."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from async_loader import Table
from async_loader.effects import Connect, Steps
from async_loader.modes.sequential import Sequential
from async_loader.stores import store_of
from async_loader.stores.store import Store
from benchmarks.data import TABLES
from tests.postgres import Server, server

# All else is as PostgreSQL has it by default, durability included.
_SETTINGS = ("listen_addresses=", "max_connections=60")
# The run in whose name shares are loaded, and the moment when it began.
RUN, MOMENT = "costs", "2000-01-01T00:00:00+00:00"
_BEGUN = """INSERT INTO loader_runs
(run, table_name, mode, sources, state, given, inserted, updated, unchanged, rejected, checkpoint, started_at)
VALUES (%s, %s, 'dask', '{}', 'running', 0, 0, 0, 0, 0, 0, %s)"""
# Seconds after which a session that has been closed is counted as ended.
_SESSION_ENDS = 0.1


@dataclass(frozen=True)
class Spent:
    """The costs of one piece of work. worker, server: CPU seconds of this process, and of PostgreSQL's. wal: bytes."""

    wall: float
    worker: float
    server: float
    wal: float


def median(spent: Sequence[Spent], name: str) -> float:
    """Return the median of one of their fields."""
    return float(statistics.median(getattr(each, name) for each in spent))


@dataclass(frozen=True)
class Place:
    """A server with a database for each of the sample's tables, and a directory for files."""

    postgres: Server
    directory: Path
    tables: Mapping[str, Table]
    stores: Mapping[str, Store]

    def empty(self) -> None:
        """Make all tables anew, with a run that has begun with each."""
        for table in self.tables.values():
            self.drive(table.database, self.stores[table.database].create([table], fresh=True))
            self.postgres.query(table.database, f"TRUNCATE {table.name}, loader_shares, loader_rejects")
            self.postgres.query(table.database, _BEGUN, (RUN, table.name, MOMENT))

    def drive(self, database: str, steps: Steps[Any]) -> Any:
        """Perform steps over one database, commit, and return their result."""
        store = self.stores[database]

        def all_steps() -> Steps[Any]:
            yield Connect(store, 30)
            result = yield from steps
            yield from store.commit()
            return result

        return Sequential(lambda _: None).run(all_steps())

    def clock(self, work: Callable[[], object]) -> Spent:
        """Do a piece of work, and return what it took."""
        [(before_wal,)] = self.postgres.query("postgres", "SELECT pg_current_wal_lsn() - '0/0'")
        server_before, wall, worker = server_seconds(self.postgres), time.perf_counter(), time.process_time()
        work()
        worker, wall = time.process_time() - worker, time.perf_counter() - wall
        time.sleep(_SESSION_ENDS)
        server_used = server_seconds(self.postgres) - server_before
        [(wal,)] = self.postgres.query("postgres", "SELECT pg_current_wal_lsn() - '0/0'")
        return Spent(wall, worker, server_used, float(wal - before_wal))


def server_seconds(postgres: Server) -> float:
    """Return the CPU seconds of all processes of a server so far, those that have ended included."""
    postmaster = int((postgres.data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    ticks = sum(_ticks(postmaster)) + sum(sum(_ticks(int(child))[:2]) for child in children)
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(process: int) -> tuple[int, int, int, int]:
    """Return user and system time of a process, and of those of its children that have ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0, 0, 0, 0
    utime, stime, cutime, cstime = map(int, fields[11:15])
    return utime, stime, cutime, cstime


@contextmanager
def place() -> Iterator[Place]:
    """Start a server and make a directory for files, for as long as the context lasts."""
    from core.tables import tables

    with server(settings=_SETTINGS) as postgres, tempfile.TemporaryDirectory() as directory:
        for name in TABLES:
            postgres.query("postgres", f"CREATE DATABASE {name}")
        stores = {name: store_of(name, postgres.url(name)) for name in TABLES}
        yield Place(postgres, Path(directory), {table.name: table for table in tables()}, stores)
