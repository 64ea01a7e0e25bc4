"""Parquet: row groups to batches. Columns are typed by the file, so a column of a wrong type is found before any row.

Only the table's columns are read. Page checksums are verified where the file has them. A batch is bounded in bytes as
its values are unpacked: a file of kilobytes may hold one long text for each of a million rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pyarrow.types as kinds

from async_loader.errors import SourceError
from async_loader.records.batches import MARKS, REJECT, Batch
from async_loader.sources.fields import Fields
from async_loader.sources.headers import problem_of
from async_loader.sources.parquet_values import (
    as_json,
    fits,
    instants,
    is_text,
    kept_type,
    series_of,
    shown,
    typed,
)
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import Stream
from async_loader.tables import Column

# Rows that are taken from a row group at a time, at most, and their bytes as they are unpacked, about.
ROWS = 100_000
BYTES = 8 << 20


class ParquetSource:
    """A source of Parquet. `columns` are those that are read; `schema` has the types in which rejects keep them.

    Raises SourceError where one is missing or of a type that does not fit.
    """

    def __init__(self, stream: Stream, fields: Fields, stretch: Stretch | None = None) -> None:
        self._stream = stream
        try:
            with stream.failures():
                self._content = stream.seekable_file()
                self._file = self._open()
                schema = self._file.schema_arrow
            names = schema.names
        except UnicodeDecodeError as error:
            raise SourceError(stream.name, "the name of a column is not valid UTF-8") from error
        self.fields = fields.matched(dict.fromkeys(names))
        if refusal := self.fields.refusal(set(names)):
            raise SourceError(stream.name, refusal)
        self._check_names([name for name in names if name not in MARKS])
        self.columns = list(dict.fromkeys(self.fields.names.values()))
        self.ignored = self.fields.unknown(name for name in names if name not in MARKS)
        self._marks = [REJECT] if _names_rejects(schema) else []
        self._places = _places(self._file.metadata)
        self._coarse = [name for name in self.columns if self._is_int96(name)]
        for column in self.fields.columns:
            self._check_column(schema, column, self.fields.names[column.name])
        self.schema = pa.schema(
            [(name, kept_type(schema.field(name).type, is_int96=name in self._coarse)) for name in self.columns]
        )
        self._groups = range(self._file.num_row_groups) if stretch is None else stretch.groups
        self._total = self._rows(self._groups)
        self._first = 1 if stretch is None else stretch.line

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order; lines are row numbers from 1."""
        row = self._first
        for groups in self._runs():
            fine = self._fine_times(groups)
            for part in self._parts(groups):
                yield self._batch(part, row, {name: column.take(len(part)) for name, column in fine.items()})
                row += len(part)

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each batch."""
        for batch in self.batches():
            yield batch.values

    def stretches(self, size: int) -> list[Stretch]:
        """Return neighbouring row groups, in parts of about `size` bytes as they are unpacked."""
        parts: list[list[int]] = []
        unpacked = size
        for group in self._groups:
            if unpacked >= size:
                parts.append([])
                unpacked = 0
            parts[-1].append(group)
            unpacked += self._file.metadata.row_group(group).total_byte_size
        row, stretches = 1, []
        for groups in parts:
            rows = self._rows(groups)
            start, stop = self._share(row - 1), self._share(row - 1 + rows)
            stretches.append(Stretch(self._stream.version, start, stop, row, groups=tuple(groups)))
            row += rows
        return stretches

    def _open(self, **options: Any) -> pa.parquet.ParquetFile:
        return pa.parquet.ParquetFile(self._content, page_checksum_verification=True, **options)

    def _check_names(self, names: list[str]) -> None:
        # A column that is not read may stand there twice.
        taken = set(self.fields.names.values())
        problem = problem_of(self.fields, [*dict.fromkeys(names), *_twice(names, taken)], "the file")
        if problem is not None:
            raise SourceError(self._stream.name, problem)

    def _check_column(self, schema: pa.Schema, column: Column, name: str) -> None:
        kind = schema.field(name).type
        if not fits(kind, column):
            problem = f"column {name!r} is {kind}, and the table wants {column.type.value}; convert it"
            raise SourceError(self._stream.name, problem)

    def _is_int96(self, name: str) -> bool:
        place = self._places.get(name)
        return place is not None and self._file.schema.column(place).physical_type == "INT96"

    def _rows(self, groups: Iterable[int]) -> int:
        return sum(self._file.metadata.row_group(group).num_rows for group in groups)

    def _share(self, rows: int) -> int:
        """Return the bytes of the source that these rows have, as if each of all its rows had as many."""
        of_all: int = max(1, self._file.metadata.num_rows)
        return (self._stream.size or 0) * rows // of_all

    def _runs(self) -> Iterator[list[int]]:
        """Yield neighbouring row groups that are read at once: several small ones, or one that is large."""
        run: list[int] = []
        for group in self._groups:
            if run and self._bytes([*run, group]) > BYTES:
                yield run
                run = []
            run.append(group)
        if run:
            yield run

    def _bytes(self, groups: Iterable[int]) -> int:
        """Return the bytes of the columns that are read, as they are stored but not packed."""
        places = [self._places[name] for name in self.columns if name in self._places]
        metadata = [self._file.metadata.row_group(group) for group in groups]
        return sum(group.column(place).total_uncompressed_size for group in metadata for place in places)

    def _parts(self, groups: list[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some row groups, in parts of about BYTES as they are unpacked."""
        rows = self._rows(groups)
        at_once = max(1, min(ROWS, BYTES * rows // max(1, self._bytes(groups))))
        repeated = [name for name, length in self._longest(groups).items() if length * min(at_once, rows) > BYTES]
        file = self._open(read_dictionary=repeated, coerce_int96_timestamp_unit="us")
        for part in file.iter_batches(at_once, row_groups=groups, columns=[*self.columns, *self._marks]):
            yield from _cut_by_bytes(part)

    def _longest(self, groups: list[int]) -> dict[str, int]:
        """Return the length of the longest text in the dictionaries of each column that has some."""
        names = [name for name in self.columns if is_text(self._file.schema_arrow.field(name).type)]
        names = [name for name in names if any(self._has_dictionary(name, group) for group in groups)]
        longest = dict.fromkeys(names, 0)
        if names:
            file = self._open(read_dictionary=names)
            for group in groups:
                # One row is enough for the whole dictionary.
                for row in file.iter_batches(1, row_groups=[group], columns=names):
                    for name, column in zip(row.schema.names, row.columns, strict=True):
                        longest[name] = max(longest[name], int(_lengths(column.dictionary).max(initial=0)))
                    break
        return longest

    def _has_dictionary(self, name: str, group: int) -> bool:
        return bool(self._file.metadata.row_group(group).column(self._places[name]).has_dictionary_page)

    def _fine_times(self, groups: list[int]) -> dict[str, _Times]:
        """Return, for each column of INT96, its times in nanoseconds, as far as they can be counted so."""
        if not self._coarse:
            return {}
        file = self._open()
        return {
            name: _Times(part.column(0) for part in file.iter_batches(ROWS, row_groups=groups, columns=[name]))
            for name in self._coarse
        }

    def _batch(self, part: pa.RecordBatch, row: int, fine: Mapping[str, pa.Array]) -> Batch:
        read, undecodable = {}, {}
        for name in self.columns:
            if name in fine:
                read[name] = instants(part.column(name), fine[name])
                continue
            read[name], bad = series_of(part.column(name))
            if bad is not None:
                undecodable[name] = bad
        as_read = pl.DataFrame(read)
        values, faults = typed(self.fields, as_read, undecodable, len(part))
        rows = pl.int_range(row, row + len(part), eager=True)
        return Batch(
            source=self._stream.name,
            values=values,
            absent=self.fields.absent,
            lookups=self.fields.lookups,
            lines=rows,
            line_ends=rows,
            as_read=as_read.select(map(shown, as_read)),
            to_json=as_json,
            faults=faults,
            read_to=self._read_to(row - self._first + len(part)),
            supersedes=series_of(part.column(REJECT))[0].cast(pl.String) if self._marks else None,
        )

    def _read_to(self, rows: int) -> int:
        """Return bytes on disk, as if each row had as many: columns are read ahead, so the file's position says
        nothing.
        """
        of_all = max(rows, self._total)
        return (self._stream.size or 0) * rows // of_all


class _Times:
    """The values of a column of times, to be taken in pieces of any size."""

    def __init__(self, arrays: Iterator[pa.Array]) -> None:
        self._arrays = arrays
        self._waiting: list[pa.Array] = []

    def take(self, size: int) -> pa.Array:
        """Return the next values, that many."""
        while sum(map(len, self._waiting)) < size:
            self._waiting.append(next(self._arrays))
        joined = pa.concat_arrays(self._waiting)
        self._waiting = [joined[size:]]
        return joined[:size]


def _places(metadata: pa.parquet.FileMetaData) -> dict[str, int]:
    """Return where the columns stand that are not nested."""
    return {metadata.schema.column(place).path: place for place in range(metadata.num_columns)}


def _twice(names: Sequence[str], taken: set[str]) -> list[str]:
    """Return the names that stand there twice, among those that are read."""
    return [name for name in taken if names.count(name) > 1]


def _names_rejects(schema: pa.Schema) -> bool:
    """Return whether there is one column, of text, for the stored rejects that rows are mended from."""
    return schema.names.count(REJECT) == 1 and is_text(schema.field(REJECT).type)


def _cut_by_bytes(part: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the rows in parts that take about BYTES when texts which stand once in a dictionary are repeated."""
    lengths = [_lengths(column) for column in part.columns if is_text(_plain_kind(column.type))]
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


def _lengths(texts: pa.Array) -> Any:
    """Return the bytes of each text."""
    if not len(texts):
        return np.zeros(0, np.int64)
    if kinds.is_dictionary(texts.type):
        of_each = np.append(_lengths(texts.dictionary), 0)
        return of_each[texts.indices.fill_null(len(of_each) - 1).to_numpy(zero_copy_only=False)]
    if kinds.is_string_view(texts.type):
        texts = texts.cast(pa.large_string())
    width = np.int64 if kinds.is_large_string(texts.type) else np.int32
    offsets = np.frombuffer(texts.buffers()[1], width)[texts.offset : texts.offset + len(texts) + 1]
    return np.diff(offsets).astype(np.int64)
