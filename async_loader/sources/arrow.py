"""Arrow files and streams (IPC, also called Feather): their batches as they stand, cut where they are large."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.ipc

from async_loader.errors import SourceError
from async_loader.records.batches import Batch
from async_loader.sources.columnar import ROWS, ColumnarSource, cut_by_bytes
from async_loader.sources.fields import Fields
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import Stream

# How a file begins, and how a stream ends: one without an end may be cut off between two batches.
_FILE, _END = b"ARROW1", b"\xff\xff\xff\xff" + bytes(4)


class ArrowRecords(ColumnarSource):
    """Rows in Arrow's memory, from the front to their end."""

    def __init__(self, stream: Stream, fields: Fields, reader: pa.RecordBatchReader | pa.RecordBatchFileReader) -> None:
        self._reader = reader
        super().__init__(stream, fields, reader.schema)

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order; lines are row numbers from 1."""
        row = 1
        names = [*self.columns, *self.marks]
        for read in self._read():
            # What is passed over may be broken.
            chosen = read.select(names)
            for start in range(0, len(chosen), ROWS):
                for part in cut_by_bytes(chosen.slice(start, ROWS)):
                    yield self.batch(part, row, self._stream.size or 0, {})
                    row += len(part)

    def _read(self) -> Iterator[pa.RecordBatch]:
        if isinstance(self._reader, pa.RecordBatchFileReader):
            yield from map(self._reader.get_batch, range(self._reader.num_record_batches))
        else:
            yield from self._reader

    def stretches(self, _: int) -> list[Stretch]:
        """Return everything, as one."""
        return [Stretch(self._stream.version, 0, self._stream.size or 0)]


class ArrowSource(ArrowRecords):
    """A source of Arrow's own format, as a file or as a stream."""

    def __init__(self, stream: Stream, fields: Fields) -> None:
        try:
            with stream.failures():
                content = stream.seekable_file()
                content.seek(0)
                is_file = content.read(len(_FILE)) == _FILE
                is_whole = is_file or _ends_with_mark(content)
                content.seek(0)
                reader = pa.ipc.open_file(content) if is_file else pa.ipc.open_stream(content)
        except UnicodeDecodeError as error:
            raise SourceError(stream.name, "the name of a column is not valid UTF-8") from error
        if not is_whole:
            raise SourceError(stream.name, "is a stream without the mark of its end: it is cut off")
        super().__init__(stream, fields, reader)


def _ends_with_mark(content: BinaryIO) -> bool:
    content.seek(0, io.SEEK_END)
    content.seek(-min(len(_END), content.tell()), io.SEEK_END)
    return content.read() == _END
