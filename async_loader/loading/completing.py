"""How records that lack members are completed: by the rows that the table's database holds under their keys.

A batch of records that lack nothing, as nearly all are, passes through without a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from async_loader.columns import Column
from async_loader.effects import Call, Steps
from async_loader.loading.finding import Resolved
from async_loader.loading.judging import Knowledge
from async_loader.records.batches import Batch, cut_batch, positions_of
from async_loader.records.completion import (
    HeldRow,
    completed,
    lacking_columns,
    lacking_places,
    odd_places,
    with_absent_of_rules,
    with_lookups_as_references,
    without_writing,
)
from async_loader.records.reasons import Check


def complete(known: Knowledge, read: Batch) -> Steps[Sequence[Resolved]]:
    """Find the rows of a batch's records, and complete the records by them.

    Returns the batch as a whole, or in parts where rows hold values that no batch can have: such a row is written
    without the columns that its record lacks.
    """
    resolved = yield from known.find(read)
    batch = with_absent_of_rules(known.table, with_lookups_as_references(resolved.batch))
    if not batch.lacking:
        return [replace(resolved, batch=batch)]
    resolved = replace(resolved, batch=batch)
    rows = yield from _held_rows(known, resolved)
    whole: Batch = yield Call(completed, (known.table, batch, rows))
    resolved = replace(resolved, batch=whole)
    odd = odd_places(rows)
    return [resolved] if not odd else list(_apart(resolved, odd))


def _held_rows(known: Knowledge, resolved: Resolved) -> Steps[list[HeldRow]]:
    """Return the rows that the database holds under keys of records that lack something, but for duplicates."""
    batch = resolved.batch
    asked = known.may_be_held(resolved) & ~known.are_taken(resolved)
    places = lacking_places(batch)
    places = places.filter(asked.gather(places))
    if not len(places):
        return []
    columns = lacking_columns(known.table, batch)
    keys = batch.values[known.table.key].gather(places)
    rows = yield from known.database.values_of(known.table, columns, keys)

    def read_back() -> list[HeldRow]:
        return [_held_row(known, columns, places[place], values) for place, *values in rows]

    held: list[HeldRow] = yield Call(read_back)
    return held


def _held_row(known: Knowledge, columns: Sequence[Column], place: int, stored: Sequence[Any]) -> HeldRow:
    read = [known.database.read_back(column, value) for column, value in zip(columns, stored, strict=True)]
    return HeldRow(place, [value for value, _ in read], any(is_odd for _, is_odd in read))


def _apart(resolved: Resolved, odd: Sequence[int]) -> Iterator[Resolved]:
    """Yield the batch in parts, with a part for each odd record."""
    batch, start = resolved.batch, 0
    lines = set(batch.lines.gather(list(odd)))
    positions = {position for place in positions_of(batch, odd) for position in (place, place + 1)}
    for part in cut_batch(batch, sorted(positions - {0, len(batch)})):
        is_odd = len(part) == len(part.lines) == 1 and part.lines[0] in lines
        size = len(part.lines)
        yield Resolved(
            batch=without_writing(part) if is_odd else part,
            checks=[_cut_check(check, start, size) for check in resolved.checks],
            identity=None if resolved.identity is None else resolved.identity.slice(start, size),
            names={column: values.slice(start, size) for column, values in resolved.names.items()},
        )
        start += size


def _cut_check(check: Check, start: int, size: int) -> Check:
    """Return a check of some of the records."""
    shown = check.shown

    def of_part(places: pl.Series) -> pl.Series:
        assert shown is not None
        return shown(places + start)

    return replace(check, failed=check.failed.slice(start, size), shown=None if shown is None else of_part)
