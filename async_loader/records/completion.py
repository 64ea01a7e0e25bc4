"""Records that lack members which others have, completed by what the database holds. Pure.

A column that a record lacks is not null. Where the database holds the record's key, the row keeps what it holds: the
value is filled in, so that the record is compared, and judged by rules of several columns, as the row will be. Where it
does not, a new row gets the default, or is rejected where there is none. A record whose key came earlier in the run is
a duplicate, whatever it lacks.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.arrays import flags_at
from async_loader.records.batches import Batch
from async_loader.records.validation import Verdict
from async_loader.records.world import World
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class HeldRow:
    """The row that the database holds under the key of the record at a place of the batch: its value of each column
    that was asked for, as a batch has it. is_odd: whether one of them is no such value, so that it must not be written
    back.
    """

    place: int
    values: Sequence[Any]
    is_odd: bool = False


def with_absent_of_rules(table: Table, batch: Batch) -> Batch:
    """Return the batch with absent columns as lacking ones where a rule holds them against columns that are there, or
    where whole records are examined: they cannot be judged by their defaults in rows that hold other values.
    """
    absent = set(batch.absent)
    asked = {
        name for rule in table.rules if not absent.issuperset(rule.columns) for name in rule.columns if name in absent
    }
    if table.examine is not None:
        asked |= absent - {table.key}
    if not asked:
        return batch
    size = len(batch.lines)
    everywhere = pl.repeat(value=True, n=size, dtype=pl.Boolean, eager=True)
    nulls = {name: pl.Series(name, [None], dtype=table.column(name).dtype).new_from_index(0, size) for name in asked}
    return replace(
        batch,
        absent=tuple(name for name in batch.absent if name not in asked),
        lacking={**batch.lacking, **dict.fromkeys(sorted(asked), everywhere)},
        values=batch.values.with_columns(nulls.values()),
    )


def with_lookups_as_references(batch: Batch) -> Batch:
    """Return the batch with references as lacking where records lack every member by which they are looked up."""
    parts = {reference: [batch.lacking.get(name) for name in names] for reference, names in batch.lookups.items()}
    if not any(mask is not None for masks in parts.values() for mask in masks):
        return batch
    of_lookups = {name for names in batch.lookups.values() for name in names}
    lacking = {name: mask for name, mask in batch.lacking.items() if name not in of_lookups}
    for reference, masks in parts.items():
        known = [mask for mask in masks if mask is not None]
        if len(known) == len(masks) and (both := functools.reduce(operator.and_, known)).any():
            lacking[reference] = both
    return replace(batch, lacking=lacking)


def stamped(table: Table, batch: Batch) -> Batch:
    """Return the batch with the stamps that its source does not have, as defaults of the table's columns."""
    stamps = [column for column in table.stamps if column.name in batch.absent]
    if not stamps:
        return batch
    size = len(batch.lines)
    return replace(batch, values=batch.values.with_columns(each.defaults(1).new_from_index(0, size) for each in stamps))


def restamped(table: Table, batch: Batch, world: World, verdict: Verdict) -> Verdict:
    """Return the verdict with stamps of this run in rows that change, where their records lack the column."""
    columns = [column for column in table.columns if column.restamped and column.name in batch.kept]
    differs = world.differs.gather(verdict.places)
    if not columns or not differs.any():
        return verdict
    accepted = verdict.accepted
    for column in columns:
        places = (batch.kept[column.name].gather(verdict.places) & differs).arg_true()
        stamps = column.defaults(1).new_from_index(0, len(places))
        accepted = accepted.with_columns(accepted[column.name].scatter(places, stamps))
    is_new = ~world.held.gather(verdict.places)
    return replace(
        verdict, accepted=accepted, changed=accepted.filter(differs), written=accepted.filter(is_new | differs)
    )


def lacking_columns(table: Table, batch: Batch) -> tuple[Column, ...]:
    """Return the columns that some records lack, in the order of the table."""
    return tuple(column for column in table.columns if column.name in batch.lacking)


def lacking_places(batch: Batch) -> pl.Series:
    """Return the places of the records that lack something."""
    masks = iter(batch.lacking.values())
    lacks = next(masks)
    for mask in masks:
        lacks |= mask
    return lacks.arg_true()


def completed(table: Table, batch: Batch, rows: Iterable[HeldRow]) -> Batch:
    """Return the batch with every record complete. rows: those that the database holds under keys of records which lack
    something, with their values of `lacking_columns`.
    """
    rows = list(rows)
    places = pl.Series([row.place for row in rows], dtype=pl.Int64)
    is_held = flags_at(len(batch.lines), places)
    values, kept, missing = {}, {}, {}
    for number, column in enumerate(lacking_columns(table, batch)):
        lacks = batch.lacking[column.name]
        held = dict(zip(places, (row.values[number] for row in rows), strict=True))
        kept[column.name] = lacks & is_held
        series = _filled(batch.values[column.name], kept[column.name], held, column)
        is_new = lacks & ~is_held
        if column.is_required:
            if _must_be_said(table, batch, column):
                missing[column.name] = is_new
        elif len(new := is_new.arg_true()):
            series = series.scatter(new, column.defaults(len(new)))
        values[column.name] = series.alias(column.name)
    return replace(batch, values=batch.values.with_columns(values.values()), kept=kept, missing=missing)


def _must_be_said(table: Table, batch: Batch, column: Column) -> bool:
    """Return whether a new row cannot do without a column, and nothing else says that it is missing."""
    is_found = column.name in table.match or column.name in batch.lookups
    return not (column.nullable or is_found or column.generated or table.on_missing == "reject")


def odd_places(rows: Iterable[HeldRow]) -> list[int]:
    """Return the places of records whose rows hold what cannot be written back as it is."""
    return sorted({row.place for row in rows if row.is_odd})


def without_writing(batch: Batch) -> Batch:
    """Return a batch of one record, whose row holds an odd value, with what the record lacks neither compared nor
    written.
    """
    kept = tuple(name for name, mask in batch.kept.items() if mask.any())
    return replace(batch, absent=(*batch.absent, *kept))


def insertable(table: Table, batch: Batch, records: pl.DataFrame) -> pl.DataFrame:
    """Return records with something in every column that must not be null and is not written: a database looks at whole
    rows before it sees that their keys are there.
    """
    empty = [
        column
        for column in table.columns
        if column.name in batch.absent
        and not (column.nullable or column.is_required or column.generated)
        and records[column.name].null_count()
    ]
    return records.with_columns(records[column.name].fill_null(_anything(column)) for column in empty)


def _anything(column: Column) -> Any:
    """Return some value of a column's type."""
    if column.type is Type.OTHER:
        return column.defaults(1)[0]
    texts = {Type.TEXT: "", Type.UUID: "0" * 32, Type.JSON: "0", Type.BINARY: b""}
    return texts[column.type] if column.type in texts else pl.Series([0]).cast(column.dtype)[0]


def _filled(values: pl.Series, kept: pl.Series, held: Mapping[int, Any], column: Column) -> pl.Series:
    places = kept.arg_true()
    if not len(places):
        return values
    return values.scatter(places, pl.Series([held[place] for place in places], dtype=column.dtype))
