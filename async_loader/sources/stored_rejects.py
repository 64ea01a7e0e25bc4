"""Stored rejects as a source: what was read from CSV is text again, from JSON Lines JSON, from Parquet typed as it was.

A record that could not be read into columns fails again as it did, and so does text that is not UTF-8, of which only
escapes are kept. Nothing is read here: a retry reads the rejects and hands them over.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any

import msgspec
import polars as pl

from async_loader.columns import Column
from async_loader.errors import StoreError, one_line
from async_loader.ledger.layouts import Layout, layout_with_columns
from async_loader.ledger.reject_groups import BROKEN, UNDECODABLE, RejectGroup, RejectRow, Selection
from async_loader.records.arrays import from_arrow
from async_loader.records.batches import Batch, Broken, slices
from async_loader.sources.fields import Fields, fields_of
from async_loader.sources.json_values import Typed
from async_loader.sources.source import Source
from async_loader.sources.transcoding import Undecodable
from async_loader.tables import Table

# Codes of records that are not in columns, where the whole record is at fault.
_UNREADABLE = (*BROKEN, *UNDECODABLE)


class StoredReader:
    """Stored rejects of one origin, as a load sees a source. `after` is the id up to which they have been handed over.

    Raises StoreError for a reject that no version of this has written.
    """

    ignored: Sequence[str] = ()
    is_rejects = False
    blank_lines = 0
    lookups: Mapping[str, Mapping[str, Column]] = {}
    content = None
    size = None

    def __init__(self, source: Selection, table: Table, batch_size: int) -> None:
        self.source = source
        self.layouts = source.layouts
        self.delivered = 0
        self.after = source.group.first - 1
        self._table = table
        self._batch_size = batch_size
        self._waiting: deque[Batch] = deque()

    @property
    def links(self) -> tuple[str, ...]:
        """The names of the table's links: rejects of any layout may give them."""
        return tuple(links.name for links in self._table.links if not links.problem)

    @property
    def given_links(self) -> tuple[str, ...]:
        """The names of the table's links that are given for certain."""
        return ()

    def take(self, rows: Sequence[RejectRow]) -> None:
        """Take some more rows, and make batches of them."""
        with as_written(self.source.group, rows):
            for part in _ascending(rows):
                for layout, several in self._by_layout(part):
                    self._waiting.extend(slices(self._batch(layout, several), self._batch_size))

    def give(self) -> Batch | None:
        """Return the next batch; None where more must be handed over first."""
        if not self._waiting:
            return None
        self.delivered += len(self._waiting[0])
        return self._waiting.popleft()

    def close(self) -> None:
        """Do nothing: no source is open."""

    def _by_layout(self, rows: Sequence[RejectRow]) -> Iterator[tuple[Layout, Sequence[RejectRow]]]:
        """Yield stretches of rejects that stood in their source in the same way."""
        if len(self.layouts) == 1:
            yield self.layouts[0], rows
            return
        for layout, several in groupby(rows, lambda row: layout_with_columns(self.layouts, _decode(row.record))):
            yield layout, list(several)

    def _batch(self, layout: Layout, rows: Sequence[RejectRow]) -> Batch:
        # Few rejects are broken: most are not looked at one by one.
        faults = [_broken(row, row.name) for row in rows] if _have_any(rows, _UNREADABLE) else [None] * len(rows)
        broken = [fault for fault in faults if fault is not None]
        readable = [row for row, fault in zip(rows, faults, strict=True) if fault is None]
        fields = _fields(self._table, layout, readable)
        columns = _TYPED[layout.kind](fields, layout, readable)
        return Batch(
            source=self.source.name,
            values=columns.values,
            lines=pl.Series([row.line for row in readable], dtype=pl.Int64),
            line_ends=pl.Series([row.line_end for row in readable], dtype=pl.Int64),
            as_read=pl.DataFrame({"record": [row.record for row in readable]}, schema={"record": pl.String}),
            to_json=lambda as_read: as_read["record"],
            faults=columns.faults,
            broken=tuple(broken),
            supersedes=pl.Series([row.name for row in readable], dtype=pl.String),
            absent=columns.absent,
            lacking=columns.lacking,
            lookups=fields.lookups,
            links=fields.links,
        )


_decode = msgspec.json.Decoder().decode


@contextmanager
def as_written(group: RejectGroup, rows: Sequence[RejectRow]) -> Iterator[None]:
    """Raise StoreError where rejects turn out to be none that any version of the loader has written."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, msgspec.MsgspecError) as error:
        problem = f"rejects {rows[0].id} to {rows[-1].id} of run {group.run} cannot be read: {one_line(error)}"
        raise StoreError(group.database, f"{problem}; discard them, or load their source again") from error


def _ascending(rows: Sequence[RejectRow]) -> Iterator[Sequence[RejectRow]]:
    """Yield parts in which each record begins on a later line than the one before, as in a source that is read once."""
    start = 0
    for place in range(1, len(rows)):
        if rows[place].line <= rows[place - 1].line:
            yield rows[start:place]
            start = place
    if rows:
        yield rows[start:]


def _have_any(rows: Sequence[RejectRow], codes: Sequence[str]) -> bool:
    """Return whether the reasons of rejects may have one of these codes."""
    reasons = "".join(row.reasons for row in rows)
    return any(code in reasons for code in codes)


def _broken(row: RejectRow, name: str) -> Broken | None:
    """Return the record as one that cannot be read into columns, if it is one."""
    if not any(code in row.reasons for code in _UNREADABLE):
        return None
    for reason in json.loads(row.reasons):
        if reason["column"] is None and reason["code"] in _UNREADABLE:
            return Broken(row.line, row.line_end, row.record, reason["code"], reason["message"], name)
    return None


def _fields(table: Table, layout: Layout, rows: Sequence[RejectRow]) -> Fields:
    """Return how the records' fields become the table's columns."""
    read_as = Source(
        "stored rejects",
        layout.kind,
        names=dict(layout.names),
        constants=dict(layout.constants),
        means_null=layout.means_null,
        aliases=dict(layout.aliases),
        ignore=layout.ignore,
        separators=dict(layout.separators),
    )
    every = replace(fields_of(read_as, table), spellings=layout.spellings)
    if layout.kind in {"jsonl", "json"}:
        return every.matched(layout.lookups) if layout.lookups else every
    # A line that is older than layouts does not say the columns; the records do.
    return every.matched(layout.columns or (_decode(rows[0].record) if rows else every.names.values()))


def _undecodable(fields: Fields, rows: Sequence[RejectRow]) -> dict[str, Undecodable]:
    """Return, by the source's columns that have any, which texts could not be decoded."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for place, row in enumerate(rows if _have_any(rows, UNDECODABLE) else ()):
        if not any(code in row.reasons for code in UNDECODABLE):
            continue
        for reason in json.loads(row.reasons):
            if reason["code"] in UNDECODABLE:
                shown = reason["message"].partition(": ")[2]
                found.setdefault((reason["column"], reason["code"]), {})[place] = shown
    return {
        fields.names[column]: Undecodable(code, pl.Series(map(shown.get, range(len(rows))), dtype=pl.String))
        for (column, code), shown in found.items()
        if column in fields.names
    }


def _csv(fields: Fields, _: Layout, rows: Sequence[RejectRow]) -> Typed:
    from async_loader.sources.csv import typed

    records = [_decode(row.record) for row in rows]
    names = dict.fromkeys(fields.names.values())
    texts = {name: pl.Series([record.get(name) for record in records], dtype=pl.String) for name in names}
    values, faults = typed(fields, pl.DataFrame(texts), _undecodable(fields, rows), nul=True)
    return Typed(values, faults, {}, fields.absent)


def _json_objects(fields: Fields, _: Layout, rows: Sequence[RejectRow]) -> Typed:
    from async_loader.sources.json_objects import object_reader
    from async_loader.sources.json_values import typed

    read = object_reader(fields)
    records: list[dict[str, Any]] = []
    texts = [row.record.encode() for row in rows]
    for row, text in zip(rows, texts, strict=True):
        record = read(row.line, text)
        if isinstance(record, Broken):
            raise ValueError(record.message)  # noqa: TRY004 - it is the text that is wrong
        records.append(record)
    return typed(fields, records, texts)


def _spreadsheet(fields: Fields, _: Layout, rows: Sequence[RejectRow]) -> Typed:
    from async_loader.sources.cells import cells_from_json, typed

    values, faults = typed(fields, [cells_from_json(row.record) for row in rows])
    return Typed(values, faults, {}, fields.absent)


def _parquet(fields: Fields, layout: Layout, rows: Sequence[RejectRow]) -> Typed:
    from async_loader.sources.parquet_rows import rows_table
    from async_loader.sources.parquet_values import typed

    records = rows_table(layout, [row.record for row in rows])
    as_read = pl.DataFrame({name: from_arrow(records.column(name)) for name in layout.columns})
    undecodable = {name: bad.shown.is_not_null() for name, bad in _undecodable(fields, rows).items()}
    values, faults = typed(fields, as_read, undecodable, len(rows))
    return Typed(values, faults, {}, fields.absent)


_TYPED: dict[str, Callable[[Fields, Layout, Sequence[RejectRow]], Typed]] = {
    "csv": _csv,
    "jsonl": _json_objects,
    "json": _json_objects,
    "parquet": _parquet,
    "xlsx": _spreadsheet,
}
