"""The parts of a share, each run alone: reading, cutting, keys, checks, writing, and keys of referenced tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

import cloudpickle
import numpy as np
import polars as pl

from async_loader import Table
from async_loader.effects import Steps
from async_loader.ledger.outcomes import Outcome
from async_loader.modes.sequential import Sequential
from async_loader.records.keys import AcceptedKeys, ReferencedKeys
from async_loader.run.shared_keys import shared_keys
from async_loader.run.shares import Means, Share, load_share
from async_loader.sources import Source
from async_loader.sources.parts import Part, keys, parts, read
from benchmarks.data import made
from benchmarks.scale.costs import TableCosts
from tests.costs.place import MOMENT, RUN, Place, median

_BATCH = 100_000


def _share(here: Place, table: str, source: Source, number: int) -> Share:
    """Return a share that is the whole of one source."""
    return Share(
        run=RUN,
        started_at=MOMENT,
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
    """Return a function that loads one source as one share, with the keys of the first `size` records known."""
    wanted = _share(here, table, source, number)

    def done() -> Outcome:
        known = {}
        for target in wanted.targets:
            accepted = AcceptedKeys(target.column(target.key))
            accepted.add(pl.int_range(1, size + 1, eager=True))
            known[target.name] = ReferencedKeys(target.column(target.key), accepted, None)
        with closing(read(wanted.parts[0], wanted.table, _BATCH)) as reader:
            means = Means(here.stores, [reader], known, known, {}, lambda: None)
            return Sequential(lambda _: None).run(load_share(wanted, means))

    return done


def table_costs(here: Place, table: str, frame: pl.DataFrame) -> TableCosts:
    """Measure a share that has the records of a frame, and return the costs of one record."""
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
    worker, read_, write = (median(each, "worker") / size for each in (sharing, reading, copying))
    return TableCosts(
        source=path.stat().st_size / size,
        cut=median(counting, "worker") / size,
        keys=median(gathering, "worker") / size,
        read=read_,
        check=max(0.0, worker - read_ - write),
        write=write,
        server=median(sharing, "server") / size,
        wal=median(sharing, "wal") / size,
        stored=stored / size,
    )


def _read(source: Source, table: Table) -> None:
    with closing(read(Part(source, 1), table, _BATCH)) as reader:
        while reader.read() is not None:
            pass


def _copy(here: Place, table: Table, frame: pl.DataFrame, batch: int) -> None:
    """Write a frame and do nothing else: pack batches and send them."""
    store = here.stores[table.database]

    def steps() -> Steps[None]:
        yield from store.begin_share()
        for piece in frame.iter_slices(batch):
            yield from store.write(table, store.pack(piece, table), piece.height, replace=False)

    here.drive(table.database, steps())


def growth(here: Place, records: int, *, is_sorted: bool) -> tuple[float, float]:
    """Return the server's CPU seconds per record in the first quarter of a table of orders, and for each doubling after
    it.
    """
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
    """Return CPU seconds of worker and server for a key that is asked about, and for one that is read with others."""
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
        "ask": median(asked, "worker") / len(wanted),
        "ask_server": median(asked, "server") / len(wanted),
        "learn": median(all_read, "worker") / size,
        "learn_server": median(all_read, "server") / size,
    }


def sharing(here: Place) -> dict[str, float]:
    """Measure shares of one record, which cost what a share as such costs."""
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
    """Return the client's CPU seconds for each key of parts whose keys are in random order."""
    from core.tables import tables

    column = next(table.column(table.key) for table in tables() if table.name == "orders")
    chance = np.random.default_rng(3)
    dealt = {number: pl.Series("id", chance.integers(0, 2**62, size // 8)) for number in range(8)}
    began = time.process_time()
    shared_keys(column, dealt)
    return (time.process_time() - began) / size
