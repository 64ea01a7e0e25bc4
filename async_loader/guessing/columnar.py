"""Samples of Parquet and Arrow: rows of both ends, read by pyarrow, which knows their types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from async_loader.guessing.ends import stream_of
from async_loader.guessing.records import RECORDS
from async_loader.records.times import duration_text


def rows_of(path: str, kind: str, suffix: str) -> tuple[pa.Table, int, bool]:
    """Return rows of both ends of a file, how many it has, and whether that is sure: a stream of Arrow does not say."""
    with closing(stream_of(path, suffix)) as stream, stream.failures():
        content = stream.seekable_file()
        content.seek(0)
        return _parquet(content) if kind == "parquet" else _arrow(content)


def write_rows(rows: pa.Table, path: Path, kind: str) -> None:
    """Write rows to a file that is read as theirs is."""
    if kind == "parquet":
        pa.parquet.write_table(rows, path)
        return
    with pa.ipc.new_file(path, rows.schema) as writer:
        writer.write_table(rows)


def values_of(rows: pa.Table) -> dict[str, list[Any]]:
    """Return values by column; dates and times as text in ISO 8601."""
    return {name: [_plain(value) for value in _readable(rows.column(name)).to_pylist()] for name in rows.column_names}


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return moments as Python has them: it knows no nanoseconds."""
    kind = column.type
    if not pa.types.is_temporal(kind) or getattr(kind, "unit", "") != "ns":
        return column
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    return column.cast(pa.duration("us") if pa.types.is_duration(kind) else pa.time64("us"), safe=False)


def _parquet(content: Any) -> tuple[pa.Table, int, bool]:
    file = pa.parquet.ParquetFile(content)
    total, groups = file.metadata.num_rows, file.num_row_groups
    if not groups:
        return file.schema_arrow.empty_table(), total, True
    first = _first(file.iter_batches(RECORDS, row_groups=[0]), file.schema_arrow)
    if total <= len(first):
        return first, total, True
    rest = list(range(max(1, groups - 1) if groups > 1 else 0, groups))
    parts = list(file.iter_batches(RECORDS, row_groups=rest))[-2:]
    last = pa.Table.from_batches(parts, file.schema_arrow)
    wanted = min(RECORDS, total - len(first))
    return pa.concat_tables([first, last.slice(max(0, len(last) - wanted))]), total, True


def _first(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    batch = next(batches, None)
    return schema.empty_table() if batch is None else pa.Table.from_batches([batch], schema)


def _arrow(content: Any) -> tuple[pa.Table, int, bool]:
    if content.read(6) == b"ARROW1":
        content.seek(0)
        file = pa.ipc.open_file(content)
        count = file.num_record_batches
        total = file.count_rows()
        if not count:
            return file.schema.empty_table(), 0, True
        chosen = [file.get_batch(0), *([file.get_batch(count - 1)] if count > 1 else [])]
        first = pa.Table.from_batches(chosen[:1]).slice(0, RECORDS)
        last = pa.Table.from_batches(chosen[1:], file.schema)
        return pa.concat_tables([first, last.slice(max(0, len(last) - RECORDS))]), total, True
    content.seek(0)
    stream = pa.ipc.open_stream(content)
    first = _first(iter(stream), stream.schema)
    return first.slice(0, RECORDS), len(first), next(iter(stream), None) is None and len(first) <= RECORDS


def _plain(value: Any) -> Any:
    match value:
        case date() | time():
            return value.isoformat()
        case timedelta():
            return duration_text(value)
        case bytes():
            return value.hex()
        case dict() | list():
            return json.loads(json.dumps(value, default=str))
        case None | bool() | int() | float() | str() | Decimal():
            return value
    return str(value)
