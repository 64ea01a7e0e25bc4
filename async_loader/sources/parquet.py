"""Parquet: row groups to batches. Only the table's columns are read. Page checksums are verified where the file has
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet

from async_loader.errors import SourceError
from async_loader.records.batches import Batch
from async_loader.sources.columnar import BYTES, ROWS, ColumnarSource, cut_by_bytes, lengths_of
from async_loader.sources.fields import Fields
from async_loader.sources.parquet_types import is_text
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import Stream

# Entries of a list in the footer, at most: columns, or row groups.
MOST_ENTRIES = 100_000
# The words of Arrow's library for a longer list.
_TOO_LONG = "Exceeded size limit"


class ParquetSource(ColumnarSource):
    """A source of Parquet."""

    def __init__(self, stream: Stream, fields: Fields, stretch: Stretch | None = None) -> None:
        try:
            with stream.failures():
                self._content = stream.seekable_file()
                self._file = _opened(stream.name, self._content)
                self._metadata = self._file.metadata
                schema = self._file.schema_arrow
            self._places = _places(self._metadata)
        except UnicodeDecodeError as error:
            raise SourceError(stream.name, "the name of a column is not valid UTF-8") from error
        super().__init__(stream, fields, schema)
        self._coarse = [name for name in self.columns if self.is_int96(name)]
        self._groups = range(self._file.num_row_groups) if stretch is None else stretch.groups
        self._total = self._rows(self._groups)
        self._first = 1 if stretch is None else stretch.line

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order; lines are row numbers from 1."""
        row = self._first
        for groups in self._runs():
            fine = self._fine_times(groups)
            for part in self._parts(groups):
                times = {name: column.take(len(part)) for name, column in fine.items()}
                yield self.batch(part, row, self._read_to(row - self._first + len(part)), times)
                row += len(part)

    def stretches(self, size: int) -> list[Stretch]:
        """Return neighbouring row groups, in parts of about `size` bytes as they are unpacked."""
        parts: list[list[int]] = []
        unpacked = size
        for group in self._groups:
            if unpacked >= size:
                parts.append([])
                unpacked = 0
            parts[-1].append(group)
            unpacked += self._metadata.row_group(group).total_byte_size
        row, stretches = 1, []
        for groups in parts:
            rows = self._rows(groups)
            start, stop = self._share(row - 1), self._share(row - 1 + rows)
            stretches.append(Stretch(self._stream.version, start, stop, row, groups=tuple(groups)))
            row += rows
        return stretches

    def _open(self, **options: Any) -> pa.parquet.ParquetFile:
        """Open the file once more; its footer, which may be long, is not read again."""
        return _opened(self._stream.name, self._content, metadata=self._metadata, **options)

    def is_int96(self, name: str) -> bool:
        """Return whether a column has the deprecated type INT96."""
        place = self._places.get(name)
        return place is not None and self._file.schema.column(place).physical_type == "INT96"

    def _rows(self, groups: Iterable[int]) -> int:
        return sum(self._metadata.row_group(group).num_rows for group in groups)

    def _share(self, rows: int) -> int:
        """Return the bytes of the source that these rows have, as if each of all its rows had as many."""
        of_all: int = max(1, self._metadata.num_rows)
        return (self._stream.size or 0) * rows // of_all

    def _runs(self) -> Iterator[list[int]]:
        """Yield neighbouring row groups that are read at once: several small ones, or one that is large."""
        run: list[int] = []
        size = 0
        for group in self._groups:
            size += (more := self._bytes([group]))
            if run and size > BYTES:
                yield run
                run, size = [], more
            run.append(group)
        if run:
            yield run

    def _bytes(self, groups: Iterable[int]) -> int:
        """Return the bytes of the columns that are read, as they are stored but not packed."""
        places = [self._places[name] for name in self.columns if name in self._places]
        metadata = [self._metadata.row_group(group) for group in groups]
        return sum(group.column(place).total_uncompressed_size for group in metadata for place in places)

    def _parts(self, groups: list[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some row groups, in parts of about BYTES as they are unpacked."""
        rows = self._rows(groups)
        at_once = max(1, min(ROWS, BYTES * rows // max(1, self._bytes(groups))))
        repeated = [name for name, length in self._longest(groups).items() if length * min(at_once, rows) > BYTES]
        file = self._open(read_dictionary=repeated, coerce_int96_timestamp_unit="us")
        for part in file.iter_batches(at_once, row_groups=groups, columns=[*self.columns, *self.marks]):
            yield from cut_by_bytes(part)

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
                        longest[name] = max(longest[name], int(lengths_of(column.dictionary).max(initial=0)))
                    break
        return longest

    def _has_dictionary(self, name: str, group: int) -> bool:
        return bool(self._metadata.row_group(group).column(self._places[name]).has_dictionary_page)

    def _fine_times(self, groups: list[int]) -> dict[str, _Times]:
        """Return, for each column of INT96, its times in nanoseconds, as far as they can be counted so."""
        if not self._coarse:
            return {}
        file = self._open()
        return {
            name: _Times(part.column(0) for part in file.iter_batches(ROWS, row_groups=groups, columns=[name]))
            for name in self._coarse
        }

    def _read_to(self, rows: int) -> int:
        """Return bytes on disk, as if each row had as many: columns are read ahead, so the file's position says
        nothing.
        """
        of_all = max(rows, self._total)
        return (self._stream.size or 0) * rows // of_all


def _opened(name: str, content: BinaryIO, **options: Any) -> pa.parquet.ParquetFile:
    try:
        return pa.parquet.ParquetFile(
            content, page_checksum_verification=True, thrift_container_size_limit=MOST_ENTRIES, **options
        )
    except OSError as error:
        if _TOO_LONG not in str(error):
            raise
        problem = f"its footer lists more than {MOST_ENTRIES:,} columns or row groups"
        raise SourceError(name, f"{problem}; write it anew with fewer") from error


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
