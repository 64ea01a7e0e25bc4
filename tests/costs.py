"""What a load costs on this machine, for `manage.py scale --costs`: each part of the work done by itself and clocked.

`python -m tests.costs > costs.json` measures and prints the costs, with 1,000,000 records of each table, or as many as
are named behind it; `python -m tests.costs runs` loads the sample's tables, in one process and over workers, to hold
against what `manage.py scale` predicts. Both start a PostgreSQL server of their own, as durable as one is by default,
and clock CPU seconds, which others on the machine disturb least.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import django
import numpy as np
import polars as pl

from async_loader import Table
from async_loader.effects import Connect, Steps
from async_loader.ledger.outcomes import Outcome
from async_loader.modes.sequential import Sequential
from async_loader.records.keys import AcceptedKeys, ReferencedKeys
from async_loader.run.shared_keys import shared_keys
from async_loader.run.shares import Means, Share, load_share
from async_loader.sources import Source
from async_loader.sources.parts import Part, keys, parts, read
from async_loader.stores import store_of
from async_loader.stores.store import Store
from benchmarks import machine
from benchmarks.data import TABLES, made
from benchmarks.measure import Work, measure
from benchmarks.scale.costs import Costs, TableCosts
from tests.postgres import Server, server

ROOT = Path(__file__).resolve().parents[1]
# Nothing but where its socket is.
_SETTINGS = ("listen_addresses=", "max_connections=60")
_RUN, _MOMENT = "costs", "2000-01-01T00:00:00+00:00"
_BEGUN = """INSERT INTO loader_runs VALUES (%s, %s, 'dask', '{}', 'running', 0, 0, 0, 0, 0, 0, %s, NULL)"""
_INVALID = 0.01
_BATCH = 100_000
# So small that a few million records make several shares.
_SHARE_MIB = 4
# manage.py, but that a run's own workers are processes, as those of a cluster are, however few they are.
_WITH_PROCESSES = """
import sys
from django.core.management import execute_from_command_line
from async_loader.modes.dask import local
local.MOST_THREADS = 0
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Spent:
    """What something took. worker: CPU seconds of this process. server: of PostgreSQL's processes. wal: bytes."""

    wall: float
    worker: float
    server: float
    wal: float


@dataclass(frozen=True)
class Place:
    """Where it is measured: a server with a database for each table, and the sample's tables."""

    postgres: Server
    directory: Path
    tables: Mapping[str, Table]
    stores: Mapping[str, Store]

    def empty(self) -> None:
        """Make all tables anew, with a run that has begun with each."""
        for table in self.tables.values():
            self.drive(table.database, self.stores[table.database].create([table], fresh=True))
            self.postgres.query(table.database, f"TRUNCATE {table.name}, loader_shares, loader_rejects")
            self.postgres.query(table.database, _BEGUN, (_RUN, table.name, _MOMENT))

    def drive(self, database: str, steps: Steps[Any]) -> Any:
        """Take steps over one database, and commit."""
        store = self.stores[database]

        def all_of_it() -> Steps[Any]:
            yield Connect(store, 30)
            result = yield from steps
            yield from store.commit()
            return result

        return Sequential(lambda _: None).run(all_of_it())

    def clock(self, work: Callable[[], object]) -> Spent:
        """Do it, and say what it took."""
        [(before_wal,)] = self.postgres.query("postgres", "SELECT pg_current_wal_lsn() - '0/0'")
        server_before, wall, worker = server_seconds(self.postgres), time.perf_counter(), time.process_time()
        work()
        worker, wall = time.process_time() - worker, time.perf_counter() - wall
        # Sessions that have just been closed are counted when they have ended.
        time.sleep(0.1)
        server_used = server_seconds(self.postgres) - server_before
        [(wal,)] = self.postgres.query("postgres", "SELECT pg_current_wal_lsn() - '0/0'")
        return Spent(wall, worker, server_used, float(wal - before_wal))


def server_seconds(postgres: Server) -> float:
    """CPU seconds of all of a server's processes so far, those that have ended included."""
    postmaster = int((postgres.data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    ticks = sum(_ticks(postmaster)) + sum(sum(_ticks(int(child))[:2]) for child in children)
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(process: int) -> tuple[int, int, int, int]:
    """User and system time of a process, and of those children that have ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0, 0, 0, 0
    utime, stime, cutime, cstime = map(int, fields[11:15])
    return utime, stime, cutime, cstime


@contextmanager
def place() -> Iterator[Place]:
    """A new server and a directory for files."""
    from core.tables import tables

    with server(settings=_SETTINGS) as postgres, tempfile.TemporaryDirectory() as directory:
        for name in TABLES:
            postgres.query("postgres", f"CREATE DATABASE {name}")
        stores = {name: store_of(name, postgres.url(name)) for name in TABLES}
        yield Place(postgres, Path(directory), {table.name: table for table in tables()}, stores)


def _share(here: Place, table: str, source: Source, number: int) -> Share:
    """All of one source."""
    return Share(
        run=_RUN,
        started_at=_MOMENT,
        table=here.tables[table],
        number=number,
        parts=(Part(source, 1),),
        sources=((source, None),),
        tables=tuple(here.tables.values()),
        ranges=dict.fromkeys(here.tables),
        grown={},
        is_referenced=False,
        on_conflict="reject",
        batch_size=_BATCH,
        is_rehearsal=False,
        lock_timeout=30,
        report_rejects=0,
    )


def share(here: Place, table: str, source: Source, number: int, size: int) -> Callable[[], Outcome]:
    """What loads one source as one share, with the keys of the first `size` records known."""
    wanted = _share(here, table, source, number)

    def done() -> Outcome:
        known = {}
        for target in wanted.targets:
            accepted = AcceptedKeys(target.column(target.key))
            accepted.add(pl.int_range(1, size + 1, eager=True))
            known[target.name] = ReferencedKeys(target.column(target.key), accepted, None)
        with closing(read(wanted.parts[0], wanted.table, _BATCH)) as reader:
            means = Means(here.stores, [reader], known, {}, lambda: None)
            return Sequential(lambda _: None).run(load_share(wanted, means))

    return done


def table_costs(here: Place, table: str, frame: pl.DataFrame) -> TableCosts:
    """Of a share of so many records, by record."""
    path = here.directory / f"{table}.csv"
    frame.write_csv(path)
    source, size = Source(str(path)), frame.height
    reading = [here.clock(lambda: _read(source, here.tables[table])) for _ in range(3)]
    counting = [here.clock(lambda: parts(source, here.tables[table], size=path.stat().st_size // 8)) for _ in range(3)]
    gathering = [here.clock(lambda: keys(Part(source, 1), here.tables[table])) for _ in range(3)]
    copying, sharing = [], []
    for _ in range(3):
        here.empty()
        copying.append(here.clock(lambda: _copy(here, here.tables[table], frame, _BATCH)))
        here.empty()
        sharing.append(here.clock(share(here, table, source, 0, size)))
    [(stored,)] = here.postgres.query(table, f"SELECT pg_total_relation_size('{table}')")
    worker, read_, write = (_median(each, "worker") / size for each in (sharing, reading, copying))
    return TableCosts(
        source=path.stat().st_size / size,
        cut=_median(counting, "worker") / size,
        keys=_median(gathering, "worker") / size,
        read=read_,
        check=max(0.0, worker - read_ - write),
        write=write,
        server=_median(sharing, "server") / size,
        wal=_median(sharing, "wal") / size,
        stored=stored / size,
    )


def _read(source: Source, table: Table) -> None:
    with closing(read(Part(source, 1), table, _BATCH)) as reader:
        while reader.read() is not None:
            pass


def _copy(here: Place, table: Table, frame: pl.DataFrame, batch: int) -> None:
    """The writing alone: batches packed and sent."""
    store = here.stores[table.database]

    def steps() -> Steps[None]:
        yield from store.begin_share()
        for piece in frame.iter_slices(batch):
            yield from store.write(table, store.pack(piece, table.key), piece.height, replace=False)

    here.drive(table.database, steps())


def growth(here: Place, records: int, *, is_sorted: bool) -> tuple[float, float]:
    """Server's CPU seconds per record of a table of orders at its first quarter, and for each doubling behind it."""
    here.empty()
    frame = made(records, 0)["orders"]
    chance = np.random.default_rng(1)
    if not is_sorted:
        frame = frame.with_columns(id=pl.Series(chance.integers(0, 2**62, records)))
    quarter = records // 4
    orders = here.tables["orders"]
    pieces = frame.iter_slices(quarter)
    spent = [here.clock(partial(_copy, here, orders, piece, _BATCH)).server / quarter for piece in pieces]
    sizes = [quarter * (number + 0.5) for number in range(4)]
    slope = float(np.polyfit(np.log2(sizes), spent, 1)[0])
    return spent[0], max(0.0, slope)


def asking(here: Place, size: int) -> dict[str, float]:
    """CPU seconds, of a worker and of the server, of a key that is asked about and of one that is read in its turn."""
    users = here.tables["users"]
    here.empty()
    # Shares that were loaded side by side leave keys in no order.
    _copy(here, users, made(size, 0)["users"].sample(fraction=1, shuffle=True, seed=4), _BATCH)
    wanted = pl.Series("id", np.random.default_rng(2).choice(size, size // 4, replace=False) + 1)
    store, column = here.stores["users"], users.column(users.key)
    known = ReferencedKeys(column, None, (1, size))

    def ask() -> None:
        for start in range(0, len(wanted), _BATCH):
            piece = wanted.slice(start, _BATCH).sort()
            known.learn(piece, here.drive("users", store.present(users, piece)))

    def read_all() -> None:
        known.learn_present(here.drive("users", store.keys_between(users, 1, size)))

    asked, all_read = [here.clock(ask) for _ in range(3)], [here.clock(read_all) for _ in range(3)]
    return {
        "ask": _median(asked, "worker") / len(wanted),
        "ask_server": _median(asked, "server") / len(wanted),
        "learn": _median(all_read, "worker") / size,
        "learn_server": _median(all_read, "server") / size,
    }


def sharing(here: Place) -> dict[str, float]:
    """A share's own: of one record, so that nothing else is in it."""
    here.empty()
    shares, path = 50, here.directory / "one.csv"
    made(1, 0)["orders"].write_csv(path)
    packing = time.process_time()
    for number in range(shares):
        cloudpickle.loads(cloudpickle.dumps(_share(here, "orders", Source(str(path)), number)))
    packing = (time.process_time() - packing) / shares
    works = [share(here, "orders", Source(str(path)), number, 1) for number in range(shares)]
    spent = here.clock(lambda: [work() for work in works])
    return {
        "share": spent.worker / shares + packing,
        "share_server": spent.server / shares,
        "share_wait": max(0.0, spent.wall - spent.worker - spent.server) / shares,
    }


def gathering(size: int) -> float:
    """CPU seconds of the client, by key of parts whose keys are in random order."""
    from core.tables import tables

    column = next(table.column(table.key) for table in tables() if table.name == "orders")
    chance = np.random.default_rng(3)
    dealt = {number: pl.Series("id", chance.integers(0, 2**62, size // 8)) for number in range(8)}
    began = time.process_time()
    shared_keys(column, dealt)
    return (time.process_time() - began) / size


def tasks() -> dict[str, float]:
    """What Dask takes: CPU seconds for each piece of work, of the client with the scheduler, which are one process,
    and of a worker; and for each second in which nothing is done.
    """
    from distributed import Client

    from async_loader.modes.dask.local import processes

    several, text, pause = 2000, b"x" * 8192, 5
    cluster = processes(1, tempfile.gettempdir())
    try:
        with Client(cluster) as client:

            def both() -> tuple[float, float]:
                return time.process_time(), sum(client.run(time.process_time).values())

            client.submit(len, text, pure=False).result()
            began = both()
            client.gather([client.submit(len, text, pure=False) for _ in range(several)])
            done = both()
            time.sleep(pause)
            rested = both()
    finally:
        cluster.close()
    return {
        "task": (done[0] - began[0]) / several,
        "task_worker": (done[1] - began[1]) / several,
        "idle": (rested[0] - done[0]) / pause,
        "idle_worker": (rested[1] - done[1]) / pause,
    }


def starts(here: Place) -> dict[str, float]:
    """Of runs of ten records: wall seconds, and CPU seconds of all processes but the server's."""
    for table, frame in made(10, 0).items():
        frame.write_csv(here.directory / f"few-{table}.csv")
    sources = {table: here.directory / f"few-{table}.csv" for table in TABLES}
    several, found = 5, {}
    for workers in (0, 1, several):
        runs = [run(here, sources, workers) for _ in range(3)]
        found[workers] = tuple(statistics.median(each[key] for each in runs) for key in ("wall", "client"))
    return {
        "start": found[0][0],
        "start_cpu": found[0][1],
        "start_cluster": found[1][0],
        "start_cluster_cpu": found[1][1],
        "start_worker_cpu": max(0.0, found[several][1] - found[1][1]) / (several - 1),
    }


def run(here: Place, sources: Mapping[str, Path], workers: int) -> dict[str, float]:
    """One `insert_data` from its start to its end, on empty tables, in one process where there are no workers."""
    here.empty()
    environment = os.environ | {f"{table.upper()}_DATABASE_URL": here.postgres.url(table) for table in TABLES}
    given = [f"{table}={path}" for table, path in sources.items()]
    options = ["--mode=dask", f"--workers={workers}", f"--share-size={_SHARE_MIB}"] if workers else ["--mode=async"]
    program = ["-c", _WITH_PROCESSES] if workers else [str(ROOT / "manage.py")]
    command = [sys.executable, *program, "insert_data", "--no-progress", *options, *given]
    errors, found = here.directory / "errors", []
    spent = here.clock(lambda: found.append(measure(Work([command]), ROOT, environment, errors)))
    return {"wall": found[0].seconds, "client": found[0].cpu_seconds, "server": spent.server}


def costs(records: int) -> Costs:
    """All of them."""
    with place() as here:
        frames = made(records, _INVALID)
        by_table = {table: table_costs(here, table, frames[table]) for table in TABLES}
        _, sorted_growth = growth(here, 4 * records, is_sorted=True)
        random_server, random_growth = growth(here, 4 * records, is_sorted=False)
        sorted_server, _ = growth(here, records, is_sorted=True)
        return Costs(
            records=records,
            machine=machine.facts() | {"postgresql": _version(here.postgres)},
            tables=by_table,
            growth=sorted_growth,
            random=max(0.0, random_server - sorted_server),
            random_growth=random_growth,
            **asking(here, records),
            **sharing(here),
            gather=gathering(records),
            **tasks(),
            **starts(here),
        )


def _version(postgres: Server) -> str:
    [(version,)] = postgres.query("postgres", "SHOW server_version")
    return str(version)


def _median(spent: Sequence[Spent], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in spent))


def runs(records: int, repeat: int) -> Iterator[dict[str, Any]]:
    """Loads of so many records in all, in one process and over one and two workers, in turn."""
    with place() as here:
        sources = {table: here.directory / f"{table}.csv" for table in TABLES}
        for table, frame in made(records // 3, _INVALID).items():
            frame.write_csv(sources[table])
        for _ in range(repeat):
            for workers in (0, 1, 2):
                facts = {
                    "records": records,
                    "workers": workers,
                    "cores": os.cpu_count(),
                    "share_size": _SHARE_MIB << 20,
                }
                yield facts | run(here, sources, workers)


def _rounded(value: Any) -> Any:
    """Three digits of each number: no more of them mean anything."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> None:
    """See the module."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    django.setup()
    if sys.argv[1:2] == ["runs"]:
        for records in (1_000_000, 2_000_000, 4_000_000):
            for each in runs(records, 3):
                sys.stdout.write(json.dumps(_rounded(each)) + "\n")
                sys.stdout.flush()
    else:
        found = costs(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
        sys.stdout.write(json.dumps(_rounded(found.as_dict()), indent=1) + "\n")


if __name__ == "__main__":
    main()
