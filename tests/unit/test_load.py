"""A load is a generator: it can be led by hand, with no database, source or clock."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from async_loader import Column, LedgerError, Source, StoreError
from async_loader.effects import Announce, Await, Call, Change, Effect, Finish, Now, Query, Show, Start
from async_loader.ledger.tally import Tally
from async_loader.loading.load import Load, load
from async_loader.loading.sides import RejectAllowance
from async_loader.records.batches import Batch, columns_as_json
from async_loader.records.keys import AcceptedKeys
from async_loader.stores.sqlite import Database
from tests.sample import ORDERS, PRODUCTS, USERS


class Batches:
    """Two batches of orders, from nowhere."""

    source = Source("orders.csv")
    columns = list(ORDERS.column_names)
    ignored: list[str] = []
    lookups: dict[str, dict[str, Column]] = {}
    links: tuple[str, ...] = ()
    blank_lines = 0
    size = None

    def __init__(self) -> None:
        self.delivered = 0
        self._batches = iter([self._batch(1), self._batch(3)])

    def _batch(self, first: int) -> Batch:
        values = pl.DataFrame({name: [first, first + 1] for name in self.columns})
        lines = pl.Series([first + 1, first + 2], dtype=pl.Int64)
        return Batch("orders.csv", values, lines, lines, values, columns_as_json)

    def read(self) -> Batch | None:
        batch = next(self._batches, None)
        self.delivered += len(batch) if batch else 0
        return batch


def orders(database: Database) -> Load:
    accepted = {table.name: AcceptedKeys(table.column("id")) for table in (USERS, PRODUCTS, ORDERS)}
    accepted["users"].add(pl.Series([1, 2, 3]))
    accepted["products"].add(pl.Series([1, 2, 3, 4]))
    return Load(
        run="run",
        started_at="now",
        table=ORDERS,
        database=database,
        readers=[Batches()],
        on_conflict="reject",
        allowance=RejectAllowance(None, ["orders"]),
        accepted=accepted["orders"],
        tally=Tally("orders", ("orders.csv",), 10),
        targets={table.name: (table, database) for table in (USERS, PRODUCTS)},
        target_keys={"users": accepted["users"], "products": accepted["products"]},
        ranges=dict.fromkeys(("users", "products", "orders")),
    )


@pytest.fixture
def this(tmp_path: Path) -> Load:
    return orders(Database("orders", tmp_path / "orders.db"))


def rows_in(image: bytearray) -> int:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(image)
        return int(connection.execute("SELECT count(*) FROM batch").fetchone()[0])


def answer(effect: Effect) -> Any:
    """Return what a database would answer that does everything it is asked."""
    if isinstance(effect, Change):
        return sum(rows_in(image) for image in effect.batch or ())
    if isinstance(effect, Call):
        return effect.function(*effect.arguments)
    if isinstance(effect, Now):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if isinstance(effect, Start):
        return lead(effect.steps)[1]
    if isinstance(effect, Query):
        return []
    return effect.token if isinstance(effect, Finish) else None


def lead(steps: Any) -> tuple[list[Effect], Any]:
    effects, result = [], None
    try:
        while True:
            effects.append(steps.send(result))
            result = answer(effects[-1])
    except StopIteration as done:
        return effects, done.value


def test_the_next_batch_is_judged_before_the_last_one_is_waited_for(this: Load) -> None:
    effects, _ = lead(load(this))
    begun = next(place for place, effect in enumerate(effects) if isinstance(effect, Show) and effect.given)
    kinds = [type(effect) for effect in effects[begun:] if isinstance(effect, Show | Start | Finish | Announce)]
    assert kinds == [Show, Start, Show, Finish, Start, Finish, Show, Announce]
    # Nothing is asked of an empty table until the rows are listed.
    last = max(place for place, effect in enumerate(effects) if isinstance(effect, Finish))
    assert [place > last for place, effect in enumerate(effects) if isinstance(effect, Query)] == [True]
    assert (this.tally.counts.given, this.tally.counts.inserted, this.tally.counts.rejected) == (4, 3, 1)
    assert this.tally.reasons == {"user_id.exists_in": 1}


def test_references_wait_until_all_keys_are_known(this: Load) -> None:
    effects, _ = lead(load(this))
    first_write = next(place for place, effect in enumerate(effects) if isinstance(effect, Start))
    waited = {effect.table for effect in effects[:first_write] if isinstance(effect, Await)}
    assert waited == {"users", "products"}


def test_an_error_of_the_store_ends_the_load(this: Load) -> None:
    steps = load(this)
    effect = next(steps)
    while not isinstance(effect, Start):
        effect = steps.send(answer(effect))
    with pytest.raises(StoreError):
        steps.throw(StoreError("orders", "is full"))


def test_rows_that_went_missing_fail_the_run(this: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database says that it took fewer rows than it was given."""
    monkeypatch.setattr(Database, "write", lambda *_, **__: (yield Change("orders", "")) or 0)
    with pytest.raises(
        LedgerError, match="table orders: 1 records stored, unchanged or rejected where 4 were expected"
    ):
        lead(load(this))
