"""How keys of a referenced table become known: the database is asked about single ones, or gives all of them. Steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Call, Steps
from async_loader.records.keys import ReferencedKeys
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.stores.store import Store


def learn(target: Table, database: Store, known: ReferencedKeys, unknown: pl.Series) -> Steps[None]:
    """Ask the database about the unknown keys, or read all of its keys where that is cheaper."""
    ranges = known.ranges_to_read(unknown, database.price_of_asking)
    if not ranges:
        present = yield from database.present(target, unknown)
        yield Call(known.learn, (unknown, present))
        return
    for least, greatest in ranges:
        yield Call(known.learn_present, ((yield from database.keys_between(target, least, greatest)),))
    known.learned_all()
