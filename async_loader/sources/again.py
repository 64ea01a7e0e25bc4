"""Stored rejects as a source: what was read from CSV is text again, from JSON Lines JSON, from Parquet typed as it was.

A record that could not be read into columns fails again as it did, and so does text that is not UTF-8, of which only
escapes are kept. Nothing is read here: whoever reads the rejects hands them over.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import msgspec
import polars as pl

from async_loader.batches import Batch, Broken, slices
from async_loader.errors import StoreError, one_line
from async_loader.origins import BROKEN, UNDECODABLE, Chosen, Layout, Origin, Stored, reject_name
from async_loader.tables import Table

# Codes of records that are not in columns, where the whole record is at fault.
_UNREADABLE = (*BROKEN, UNDECODABLE)

# Values and faults, as a batch has them.
Typed: TypeAlias = tuple[pl.DataFrame, dict[str, pl.DataFrame]]


class StoredReader:
    """Stored rejects of one origin, as a load sees a source. `after` is the id up to which they have been handed over.

    Raises StoreError for a reject that no version of this has written.
    """

    ignored: Sequence[str] = ()
    size = None

    def __init__(self, source: Chosen, table: Table, batch_size: int) -> None:
        self.source = source
        self.layouts = source.layouts
        self.delivered = 0
        self.after = source.origin.first - 1
        self._table = table
        self._batch_size = batch_size
        self._waiting: deque[Batch] = deque()

    def take(self, rows: Sequence[Stored]) -> None:
        """Make batches of some more."""
        with as_written(self.source.origin, rows):
            for part in _ascending(rows):
                self._waiting.extend(slices(self._batch(part), self._batch_size))

    def give(self) -> Batch | None:
        """The next batch; None where more must be handed over first."""
        if not self._waiting:
            return None
        self.delivered += len(self._waiting[0])
        return self._waiting.popleft()

    def close(self) -> None:
        """There is nothing to let go of."""

    def _batch(self, rows: Sequence[Stored]) -> Batch:
        broken, readable, names = [], [], []
        for row in rows:
            name = reject_name(self.source.origin.run, row.id)
            fault = _broken(row, name)
            if fault is None:
                readable.append(row)
                names.append(name)
            else:
                broken.append(fault)
        values, faults = _TYPED[self.layouts[0].kind](self._table, self.layouts[0], readable)
        return Batch(
            source=self.source.path,
            values=values,
            lines=pl.Series([row.line for row in readable], dtype=pl.Int64),
            line_ends=pl.Series([row.line_end for row in readable], dtype=pl.Int64),
            as_read=pl.DataFrame({"record": [row.record for row in readable]}, schema={"record": pl.String}),
            to_json=lambda as_read: as_read["record"],
            faults=faults,
            broken=tuple(broken),
            supersedes=pl.Series(names, dtype=pl.String),
        )


_decode = msgspec.json.Decoder().decode


@contextmanager
def as_written(origin: Origin, rows: Sequence[Stored]) -> Iterator[None]:
    """StoreError where rejects turn out to be none that any version of this has written."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, msgspec.MsgspecError) as error:
        problem = f"rejects {rows[0].id} to {rows[-1].id} of run {origin.run} cannot be read: {one_line(error)}"
        raise StoreError(origin.database, f"{problem}; discard them, or load their source again") from error


def _ascending(rows: Sequence[Stored]) -> Iterator[Sequence[Stored]]:
    """Parts in which each record begins on a later line than the one before, as in a source that is read once."""
    start = 0
    for place in range(1, len(rows)):
        if rows[place].line <= rows[place - 1].line:
            yield rows[start:place]
            start = place
    if rows:
        yield rows[start:]


def _broken(row: Stored, name: str) -> Broken | None:
    """The record as one that cannot be read into columns, if it is one."""
    if not any(code in row.reasons for code in _UNREADABLE):
        return None
    for reason in json.loads(row.reasons):
        if reason["column"] is None and reason["code"] in _UNREADABLE:
            return Broken(row.line, row.line_end, row.record, reason["code"], reason["message"], name)
    return None


def _undecodable(rows: Sequence[Stored]) -> dict[str, pl.Series]:
    """By column that has any, whose text is not UTF-8."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if UNDECODABLE not in row.reasons:
            continue
        for reason in json.loads(row.reasons):
            if reason["code"] == UNDECODABLE:
                found.setdefault(reason["column"], []).append(place)
    masks = {name: set(places) for name, places in found.items()}
    return {name: pl.Series([place in mask for place in range(len(rows))]) for name, mask in masks.items()}


def _csv(table: Table, _: Layout, rows: Sequence[Stored]) -> Typed:
    from async_loader.sources.csv import typed

    records = [_decode(row.record) for row in rows]
    texts = {name: pl.Series([record.get(name) for record in records], dtype=pl.String) for name in table.column_names}
    return typed(table, pl.DataFrame(texts), _undecodable(rows), nul=True)


def _json_lines(table: Table, _: Layout, rows: Sequence[Stored]) -> Typed:
    from async_loader.sources.jsonl import read, typed

    records: list[dict[str, Any]] = []
    texts = [row.record.encode() for row in rows]
    for row, text in zip(rows, texts, strict=True):
        record = read(row.line, text)
        if isinstance(record, Broken):
            raise ValueError(record.message)  # noqa: TRY004 - it is the text that is wrong
        records.append(record)
    return typed(table, records, texts)


def _parquet(table: Table, layout: Layout, rows: Sequence[Stored]) -> Typed:
    import pyarrow as pa

    from async_loader.rejects import schema_of, typed_values
    from async_loader.sources.parquet import typed

    schema = schema_of(layout)
    records = pa.Table.from_pylist([typed_values(schema, row.record) for row in rows], schema)
    as_read = pl.DataFrame({name: pl.Series(name, pl.from_arrow(records.column(name))) for name in layout.columns})
    return typed(table, as_read, _undecodable(rows))


_TYPED: dict[str, Callable[[Table, Layout, Sequence[Stored]], Typed]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "parquet": _parquet,
}
