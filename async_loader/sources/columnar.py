"""Sources whose columns have types, Parquet and Arrow: a batch of rows in Arrow's memory to one of records.

A column of a wrong type is found before any row. A batch is bounded in bytes as its values are unpacked: a file of
kilobytes may hold one long text for each of a million rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.types as kinds

from async_loader.columns import Column, Type
from async_loader.errors import SourceError
from async_loader.records.batches import MARKS, REJECT, Batch, are_of_rejects
from async_loader.sources.fields import Fields
from async_loader.sources.headers import names_no_column, problem_of
from async_loader.sources.parquet_types import fits, fits_lists, is_nested, is_text, kept_type
from async_loader.sources.parquet_values import as_json, instants, json_texts, series_of, shown, typed
from async_loader.sources.streams import Stream

# Rows that are read at a time, at most, and their bytes as they are unpacked, about.
ROWS = 100_000
BYTES = 8 << 20
# Columns that a source may have: each costs time and memory before the first row is read.
MOST_COLUMNS = 10_000


class ColumnarSource(ABC):
    """A source of typed columns. `columns` are those that are read; `schema` has the types in which rejects keep them.

    Raises SourceError where one is missing or of a type that does not fit.
    """

    part = ""
    # How messages name all of it.
    whole = "the file"

    def __init__(self, stream: Stream, fields: Fields, schema: pa.Schema) -> None:
        self._stream = stream
        names = schema.names
        if len(names) > MOST_COLUMNS:
            problem = f"it has {len(names):,} columns, of which at most {MOST_COLUMNS:,} can be read"
            raise SourceError(stream.name, f"{problem}; keep those that are to be loaded")
        self.fields = fields.matched(dict.fromkeys(names))
        if refusal := names_no_column(self.fields, names, self.whole) or self.fields.refusal(set(names)):
            raise SourceError(stream.name, refusal)
        self._check_names(self.fields.unmarked(names))
        self.columns = list(dict.fromkeys(self.fields.names.values()))
        self.ignored = self.fields.unknown(name for name in names if name not in MARKS)
        self.marks = [REJECT] if _names_rejects(schema) else []
        self.is_rejects = are_of_rejects(names)
        for column in self.fields.columns:
            self._check_column(schema, column, self.fields.names[column.name])
        for column, _ in self.fields.list_columns:
            self._check_lists(schema, column, self.fields.names[column.name])
        binary = (column for column in self.fields.columns if column.type is Type.BINARY or column.convert is not None)
        self._binary = {self.fields.names[column.name] for column in binary}
        nested = (self.fields.names[column.name] for column in self.fields.columns if column.type is Type.JSON)
        self._nested = {name for name in nested if is_nested(schema.field(name).type)}
        self.schema = pa.schema([(name, self._kept_type(schema.field(name))) for name in self.columns])

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order; lines are row numbers from 1."""

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each batch."""
        for batch in self.batches():
            yield batch.values

    def _kept_type(self, field: pa.Field) -> pa.DataType:
        """Return the type in which rejects keep a column."""
        if field.name in self._nested:
            return pa.string()
        return kept_type(field.type, is_int96=self.is_int96(field.name))

    def is_int96(self, name: str) -> bool:  # noqa: ARG002 - of Parquet
        """Return whether a column has times of days and nanoseconds of the day."""
        return False

    def _check_names(self, names: list[str]) -> None:
        # A column that is not read may stand there twice.
        taken = set(self.fields.names.values())
        problem = problem_of(self.fields, [*dict.fromkeys(names), *_twice(names, taken)], self.whole)
        if problem is not None:
            raise SourceError(self._stream.name, problem)

    def _check_column(self, schema: pa.Schema, column: Column, name: str) -> None:
        kind = schema.field(name).type
        if not fits(kind, column, self.fields.spellings):
            problem = f"column {name!r} is {kind}, and the table wants {column.type.value}; convert it"
            raise SourceError(self._stream.name, problem)

    def _check_lists(self, schema: pa.Schema, column: Column, name: str) -> None:
        kind = schema.field(name).type
        if not fits_lists(kind, column, self.fields.spellings):
            problem = f"column {name!r} is {kind}, and the table wants a list of {column.type.value}; convert it"
            raise SourceError(self._stream.name, problem)

    def batch(self, part: pa.RecordBatch, row: int, read_to: int, fine: Mapping[str, pa.Array]) -> Batch:
        """Return rows, the first of which has this number; `fine` has the nanoseconds of columns of INT96."""
        read, undecodable = {}, {}
        for name in self.columns:
            if name in fine:
                read[name] = instants(part.column(name), fine[name])
                continue
            read[name], bad = series_of(part.column(name), as_bytes=name in self._binary)
            if bad is not None:
                undecodable[name] = bad
            if name in self._nested:
                read[name] = json_texts(read[name])
        as_read = pl.DataFrame(read)
        values, faults = typed(self.fields, as_read, undecodable, len(part))
        rows = pl.int_range(row, row + len(part), eager=True)
        return Batch(
            source=self._stream.name,
            values=values,
            absent=self.fields.absent,
            lookups=self.fields.lookups,
            links=self.fields.links,
            lines=rows,
            line_ends=rows,
            as_read=as_read.select(map(shown, as_read)),
            to_json=as_json,
            faults=faults,
            read_to=read_to,
            supersedes=series_of(part.column(REJECT))[0].cast(pl.String) if self.marks else None,
        )


def _twice(names: Sequence[str], taken: set[str]) -> list[str]:
    """Return the names that stand there twice, among those that are read."""
    return [name for name in taken if names.count(name) > 1]


def _names_rejects(schema: pa.Schema) -> bool:
    """Return whether there is one column, of text, for the stored rejects that rows are mended from."""
    return schema.names.count(REJECT) == 1 and is_text(schema.field(REJECT).type)


def cut_by_bytes(part: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the rows in parts that take about BYTES when texts which stand once in a dictionary are repeated."""
    lengths = [lengths_of(column) for column in part.columns if is_text(_plain_kind(column.type))]
    ends = np.cumsum(np.sum(lengths, axis=0)) if lengths else np.zeros(len(part), np.int64)
    if not len(part) or ends[-1] <= 2 * BYTES:
        yield part
        return
    start = 0
    while start < len(part):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BYTES, side="right")))
        yield part.slice(start, stop - start)
        start = stop


def _plain_kind(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if kinds.is_dictionary(kind) else kind


def lengths_of(texts: pa.Array) -> Any:
    """Return the bytes of each text."""
    if not len(texts):
        return np.zeros(0, np.int64)
    if kinds.is_dictionary(texts.type):
        of_each = np.append(lengths_of(texts.dictionary), 0)
        return of_each[texts.indices.fill_null(len(of_each) - 1).to_numpy(zero_copy_only=False)]
    if kinds.is_string_view(texts.type):
        texts = texts.cast(pa.large_string())
    width = np.int64 if kinds.is_large_string(texts.type) else np.int32
    offsets = np.frombuffer(texts.buffers()[1], width)[texts.offset : texts.offset + len(texts) + 1]
    return np.diff(offsets).astype(np.int64)
