"""What a database says of the unique sets of a batch: which values other rows have, and which ones rows would give up.

Steps. A set of several columns, of which the source lacks some, is made whole by what the rows hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.effects import Call, Steps
from async_loader.records.arrays import all_false, flags_at
from async_loader.records.batches import Batch
from async_loader.records.identities import identities
from async_loader.tables import Table, Unique

if TYPE_CHECKING:
    from async_loader.stores.store import Store


@dataclass(frozen=True, slots=True)
class Held:
    """The places of a batch's records whose keys the table holds, with the same values and with others.

    may_be_owned: whether the table may hold values at all.
    """

    same: pl.Series
    differing: pl.Series
    may_be_owned: bool


@dataclass(frozen=True, slots=True)
class AskedSet:
    """A unique set of n records; as in `UniqueInBatch`, with `owned` as the database has it."""

    unique: Unique
    values: pl.Series
    owned: pl.Series
    given_up: pl.Series


def ask_sets(table: Table, database: Store, batch: Batch, held: Held) -> Steps[list[AskedSet]]:
    """Return what the database says of each unique set of a batch."""
    asked: list[AskedSet] = []
    for unique in table.judged_sets:
        asked += [(yield from _ask(table, database, batch, unique, held))]
    return asked


def _ask(table: Table, database: Store, batch: Batch, unique: Unique, held: Held) -> Steps[AskedSet]:
    absent = set(unique.columns) & set(batch.absent)
    places = pl.concat([held.same, held.differing]) if absent else held.differing
    rows: list[tuple[Any, ...]] = []
    if len(places) and len(absent) < len(unique.columns):
        keys = batch.values[table.key].gather(places)
        rows = yield from database.values_of(table, [table.column(name) for name in unique.columns], keys)
    stated: _Stated = yield Call(_stated, (table, database, batch, unique, (places, rows)))
    owned = all_false(len(batch.lines))
    if held.may_be_owned:
        records = pl.DataFrame([batch.values[table.key], *stated.read])
        owned = flags_at(len(batch.lines), (yield from database.owned(table, unique, records)))
    return AskedSet(unique, stated.values, owned & stated.values.is_not_null(), stated.given_up)


@dataclass(frozen=True, slots=True)
class _Stated:
    """A unique set of n records: `read` is by column as a batch has it, `values` and `given_up` are as in AskedSet."""

    read: Sequence[pl.Series]
    values: pl.Series
    given_up: pl.Series


def _stated(
    table: Table, database: Store, batch: Batch, unique: Unique, held: tuple[pl.Series, list[tuple[Any, ...]]]
) -> _Stated:
    """Return the values that records give a unique set. held: places of records whose keys the table holds; and, with
    the number among these, the values of their rows as stored, where they are needed.
    """
    places, rows = held
    at = places.gather([number for number, *_ in rows])
    old = [list(values) for values in zip(*(values for _, *values in rows), strict=True)]
    read = batch.values.select(unique.columns)
    for number, name in enumerate(unique.columns if rows else ()):
        if name in batch.absent:
            column = table.column(name)
            kept = pl.Series([database.read_back(column, value)[0] for value in old[number]], dtype=column.dtype)
            read = read.with_columns(read[name].scatter(at, kept))
    stored = database.as_stored(read)
    values = _as_one(unique, stored)
    if set(unique.columns) <= set(batch.absent):
        # Rows that are there keep theirs; only new ones take the defaults.
        values = values.scatter(places, None) if len(places) else values
    given_up = values.clear().extend_constant(None, len(values))
    if rows:
        held_by_rows = [
            pl.Series(name, each, dtype=stored[name].dtype, strict=False)
            for name, each in zip(unique.columns, old, strict=True)
        ]
        before = _as_one(unique, pl.DataFrame(held_by_rows))
        is_other = before.is_not_null() & before.ne_missing(values.gather(at))
        given_up = given_up.scatter(at.filter(is_other), before.filter(is_other))
    return _Stated(read.get_columns(), values, given_up)


def _as_one(unique: Unique, stored: pl.DataFrame) -> pl.Series:
    """Return the values of the set's columns as one value; null where the set says nothing of the record."""
    if stored.width == 1 and not unique.nulls_equal:
        return stored.to_series()
    return identities(stored, nulls_equal=unique.nulls_equal)
