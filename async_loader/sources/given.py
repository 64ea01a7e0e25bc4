"""Sources that a program gives as they are, instead of a file: frames, and records one after another.

A frame is read through Arrow's PyCapsule interface, which Polars, pandas, pyarrow and DuckDB have, so none of them is
imported for it. Records become lines of JSON, so that all that holds for JSON Lines holds for them.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from async_loader.effects import Records
from async_loader.errors import SourceError, one_line
from async_loader.ledger.contents import Content
from async_loader.records.batches import Broken
from async_loader.sources.arrow import ArrowRecords
from async_loader.sources.columnar import ROWS
from async_loader.sources.fields import Fields
from async_loader.sources.given_records import Odd, line_of
from async_loader.sources.jsonl import JsonLines
from async_loader.sources.opening import Facts
from async_loader.sources.reader import OpenSource
from async_loader.sources.source import ARROW, Source, is_lazy
from async_loader.sources.streams import BLOCK, Stream

# Records that are drawn at a time: encoding them takes about a millisecond, and they are what a large record can add to
# memory beyond a block.
AT_ONCE = 1_000
# A column that pandas adds for row labels that have no name.
_ROW_LABELS = re.compile(r"__index_level_\d+__")
# Stands for a record that is none. It is no object, so the lines of its block are read one by one.
_ODD = b"null\n"


class GivenStream(Stream):
    """A stream of what a program gives: it has no bytes on disk, and is read once."""

    def __init__(self, name: str) -> None:  # a stream of bytes opens a file
        self.name, self.front, self.encoding = name, b"", ""
        self.size, self.can_be_opened_again = None, False
        self.checksum, self.summed, self.is_at_end = 0, 0, False

    @property
    def facts(self) -> Facts:
        """Nothing is known of it."""
        return Facts(None, 0)

    @property
    def read_to(self) -> int:
        """How much has been read: bytes of JSON, or rows."""
        return self.summed

    @property
    def content(self) -> Content | None:
        """What was read, once that is all: size in bytes of JSON or in rows, and a checksum."""
        return Content(self.summed, checksum=self.checksum) if self.is_at_end else None

    def sum_up(self, part: bytes, size: int) -> None:
        """Take note of what was read."""
        self.checksum, self.summed = zlib.crc32(part, self.checksum), self.summed + size

    def check_unchanged(self) -> None:
        """Do nothing: it is read once."""

    def close(self) -> None:
        """Do nothing: the mode closes what it draws from."""

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Translate what the library of a frame can raise, but nothing that comes from a program's own records."""
        try:
            yield
        except (pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise SourceError(self.name, f"cannot be read: {one_line(error)}") from error


class RecordStream(GivenStream):
    """Lines of JSON, made of records that are drawn as they are wanted: a batch, and no more."""

    def __init__(self, name: str, records: Records, batch_size: int) -> None:
        super().__init__(name)
        self.records = records
        self.odd: dict[int, Odd] = {}
        self._batch_size, self._taken = batch_size, 0
        self._lines: list[bytes] = []
        self._bytes = 0

    @property
    def wanted(self) -> int:
        """How many records may be drawn next; 0 where a batch is complete, or all have come."""
        if self.is_at_end or self._bytes >= BLOCK:
            return 0
        return min(AT_ONCE, self._batch_size - len(self._lines))

    def take(self, records: Sequence[Any], wanted: int) -> None:
        """Take records that were drawn. Fewer than were wanted are the last."""
        for record in records:
            self._taken += 1
            line = line_of(record, self.name, self._taken)
            if isinstance(line, Odd):
                self.odd[self._taken] = line
                self.sum_up(line.text.encode(), len(line.text))
                line = _ODD
            else:
                self.sum_up(line, len(line))
            self._lines.append(line)
            self._bytes += len(line)
        self.is_at_end = len(records) < wanted

    def block(self) -> bytes:
        """Return the lines that were taken since the last time; nothing where no more will come."""
        block = b"".join(self._lines)
        self._lines, self._bytes = [], 0
        return block


class RecordsSource(JsonLines):
    """Records as JSON Lines; the number of a line is that of its record, from 1."""

    def __init__(self, stream: RecordStream, fields: Fields) -> None:
        super().__init__(stream, fields)
        self._records, self._read_line = stream, self._read
        self._read = self._read_or_odd

    def _blocks(self) -> Iterator[bytes]:
        while block := self._records.block():
            yield block

    def _read_or_odd(self, number: int, line: bytes) -> dict[str, Any] | Broken:
        odd = self._records.odd.pop(number, None)
        return self._read_line(number, line) if odd is None else odd.broken(number)


class FrameSource(ArrowRecords):
    """Rows of a frame, numbered from 1."""

    whole = "the frame"

    def __init__(self, stream: GivenStream, fields: Fields, reader: pa.RecordBatchReader) -> None:
        self._given = stream
        super().__init__(stream, fields, reader)

    def _read(self) -> Iterator[pa.RecordBatch]:
        for batch in super()._read():
            self._sum_up(batch)
            yield batch
        self._given.is_at_end = True

    def _sum_up(self, batch: pa.RecordBatch) -> None:
        """Take note of the rows by their hashes, which do not depend on how a library cuts and stores them."""
        columns = {name: pl.from_arrow(batch.column(name)) for name in self.columns}
        hashes = pl.DataFrame(columns).hash_rows(seed=0).to_numpy()
        self._given.sum_up(hashes.tobytes(), len(batch))


def open_given(source: Source, fields: Fields, batch_size: int) -> tuple[GivenStream, OpenSource]:
    """Open what a program gives. SourceError where its columns do not fit, or are not to be had."""
    if source.kind != ARROW:
        records = RecordStream(source.name, Records(source.data), batch_size)
        return records, RecordsSource(records, fields)
    stream = GivenStream(source.name)
    try:
        reader = _batches_of(source.data)
    except (ValueError, TypeError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        # Pandas has a ValueError for columns of the same name.
        raise SourceError(source.name, f"cannot be read as a frame: {one_line(error)}") from error
    return stream, FrameSource(stream, fields, reader)


def _batches_of(frame: Any) -> pa.RecordBatchReader:
    if is_lazy(frame):
        return _collected(frame)
    if isinstance(frame, pl.DataFrame) and (
        objects := [name for name, kind in frame.schema.items() if kind == pl.Object]
    ):
        raise TypeError(f"column {objects[0]!r} has objects of Python, of which Arrow knows nothing")
    return _without_row_labels(pa.RecordBatchReader.from_stream(frame))


def _collected(frame: pl.LazyFrame) -> pa.RecordBatchReader:
    """Return the rows of a query as they come."""
    schema = pl.DataFrame(schema=frame.collect_schema()).to_arrow().schema
    # Not every version that is supported can give them piece by piece.
    frames = frame.collect_batches(chunk_size=ROWS) if hasattr(frame, "collect_batches") else iter([frame.collect()])
    batches = (batch for each in frames for batch in each.to_arrow().to_batches())
    return pa.RecordBatchReader.from_batches(schema, batches)


def _without_row_labels(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return the rows without labels that have no name: they are no column of the frame."""
    names = reader.schema.names
    columns = [name for name in names if not _ROW_LABELS.fullmatch(name)]
    if len(columns) == len(names):
        return reader
    schema = pa.schema([reader.schema.field(name) for name in columns])
    return pa.RecordBatchReader.from_batches(schema, (batch.select(columns) for batch in reader))
