"""What a database says of the unique sets of a batch: which values other rows have, and which ones rows would give up.

Steps. A set of several columns, of which the source lacks some, is made whole by what the rows hold. A record of which
a set's condition is not true has no value in the set, as one with a null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.columns import Column
from async_loader.constraints import Unique, Where
from async_loader.effects import Call, Steps
from async_loader.records.arrays import all_false, flags_at
from async_loader.records.batches import Batch
from async_loader.records.identities import identities
from async_loader.tables import Table

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
    absent = set(unique.needed) & set(batch.absent)
    places = pl.concat([held.same, held.differing]) if absent else held.differing
    rows: list[tuple[Any, ...]] = []
    if len(places) and len(absent) < len(unique.needed):
        keys = batch.values[table.key].gather(places)
        rows = yield from database.values_of(table, [table.column(name) for name in unique.needed], keys)
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
    read = batch.values.select(unique.needed)
    for number, name in enumerate(unique.needed if rows else ()):
        if name in batch.absent:
            kept = _read_back(database, table.column(name), old[number])
            read = read.with_columns(read[name].scatter(at, kept))
    stored = database.as_stored(read.select(unique.columns))
    values = _within(unique, table, batch, read, _as_one(unique, stored))
    if set(unique.needed) <= set(batch.absent):
        # Rows that are there keep theirs; only new ones take the defaults.
        values = values.scatter(places, None) if len(places) else values
    given_up = values.clear().extend_constant(None, len(values))
    if rows:
        held_by_rows = [
            pl.Series(name, each, dtype=stored[name].dtype, strict=False)
            for name, each in zip(unique.columns, old, strict=False)
        ]
        before = _as_one(unique, pl.DataFrame(held_by_rows))
        if unique.where is not None:
            rows_before = [
                _read_back(database, table.column(name), each) for name, each in zip(unique.needed, old, strict=True)
            ]
            before = _where(unique.where, pl.DataFrame(rows_before), before)
        is_other = before.is_not_null() & before.ne_missing(values.gather(at))
        given_up = given_up.scatter(at.filter(is_other), before.filter(is_other))
    return _Stated(read.select(unique.columns).get_columns(), values, given_up)


def _read_back(database: Store, column: Column, stored: list[Any]) -> pl.Series:
    """Return values that rows hold in a column as a batch has them."""
    return pl.Series(column.name, [database.read_back(column, value)[0] for value in stored], dtype=column.dtype)


def _as_one(unique: Unique, stored: pl.DataFrame) -> pl.Series:
    """Return the values of the set's columns as one value; null where the set says nothing of the record."""
    if stored.width == 1 and not unique.nulls_equal:
        return stored.to_series()
    return identities(stored, nulls_equal=unique.nulls_equal)


def _within(unique: Unique, table: Table, batch: Batch, read: pl.DataFrame, values: pl.Series) -> pl.Series:
    """Return the values of records that are in a set; null of others, and of all where that is not known yet: a row of
    the table itself that is looked up may come later. Then the database alone refuses records.
    """
    if unique.where is None:
        return values
    later = {reference.column for reference in table.own_references if reference.column in batch.lookups}
    if later & set(unique.where.columns):
        return values.clear().extend_constant(None, len(values))
    return _where(unique.where, read, values)


def _where(where: Where, rows: pl.DataFrame, values: pl.Series) -> pl.Series:
    """Return the values of rows of which a condition is true, and null of others."""
    return pl.select(pl.when(rows.select(where.holds).to_series()).then(values)).to_series().alias(values.name)
