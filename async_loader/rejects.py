"""Rejects as files: in the source's own format and columns, plus `_line` and `_reasons`, for a person to mend and load.

A record that has no columns (broken quoting, a wrong number of fields, no JSON), or that no text shows exactly (invalid
UTF-8), stands whole in the first column of a CSV file behind `_raw:`, or under `_raw` in JSON Lines. Loaded again as it
is, it is rejected again, never taken for something else.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pyarrow.types as kinds

from async_loader.batches import EXTRA, LINE, RAW, RAW_MARK, REASONS
from async_loader.errors import OutputError
from async_loader.report import plain_json
from async_loader.sources import Reader
from async_loader.tables import Table

# What a spreadsheet would run as a formula (a plain number with a sign is none), and what marks a whole record.
_MISLEADING = re.compile(rf"'*([=+\-@\t\r]|{RAW_MARK})")
_COUNT = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")

# line, line_end, record and reasons of one reject; the last two are JSON.
Row = tuple[int, int, str, str]


class _File(Protocol):
    def write(self, rows: list[Row]) -> None: ...

    def close(self) -> None: ...


class RejectFiles:
    """The files of one table, made in `directory` when their first reject comes; one for each layout of a source.

    Raises OutputError where one cannot be written.
    """

    def __init__(self, directory: Path, table: Table) -> None:
        self._directory = directory
        self._table = table
        self._files: dict[tuple[str, ...], _File] = {}

    def check(self) -> None:
        """Find out before anything is loaded whether files can be made."""
        parent = self._directory.parent
        with self._failures():
            parent.mkdir(parents=True, exist_ok=True)
            if not os.access(parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def write(self, reader: Reader, rejects: pl.DataFrame) -> None:
        """Add a batch's rejects."""
        source = reader.source
        layout = (source.kind, source.delimiter, *reader.layout)
        with self._failures():
            if layout not in self._files:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._files[layout] = _OPEN[source.kind](self._path(source.kind), self._table, reader)
            self._files[layout].write(rejects.rows())

    def close(self) -> None:
        """Finish all files; harmless when done already."""
        while self._files:
            _, file = self._files.popitem()
            with self._failures():
                file.close()

    def _path(self, kind: str) -> Path:
        """`users.csv`, or `users-2.csv` and so on for sources that differ in their columns."""
        others = sum(layout[0] == kind for layout in self._files)
        return self._directory / f"{self._table.name}{f'-{others + 1}' if others else ''}.{kind}"

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(str(self._directory), error.strerror or str(error)) from error


class _Csv:
    def __init__(self, path: Path, _: Table, reader: Reader) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns = [name for name in reader.columns if name not in (LINE, REASONS)]
        self._nullable = reader.nullable
        self._delimiter = reader.source.delimiter
        self._write_row([*map(_safe, self._columns), LINE, REASONS])

    def write(self, rows: list[Row]) -> None:
        for line, _, record, reasons in rows:
            why = json.loads(reasons)
            messages = "; ".join(reason["message"] for reason in why)
            cells = self._cells(json.loads(record), {reason["code"] for reason in why})
            self._write_row([*cells, str(line), _safe(messages)])
        self._file.flush()

    def _write_row(self, cells: list[str | None]) -> None:
        self._file.write(self._delimiter.join(map(self._field, cells)) + "\r\n")

    def _field(self, cell: str | None) -> str:
        """Nothing for null, and quotes where reading needs them: around empty text too, which is not null."""
        if cell is None:
            return ""
        return cell if cell and not set(cell) & {self._delimiter, *'"\r\n'} else '"' + cell.replace('"', '""') + '"'

    def _cells(self, record: dict[str, Any], codes: set[str]) -> list[str | None]:
        if "invalid_utf8" not in codes and self._has_columns(record):
            return [self._cell(name, record[name]) for name in self._columns]
        whole = record[RAW] if set(record) == {RAW} else self._joined(record)
        return [RAW_MARK + whole, *[None] * (len(self._columns) - 1)]

    def _cell(self, name: str, value: str | None) -> str | None:
        return None if value is None or (not value and name not in self._nullable) else _safe(value)

    def _has_columns(self, record: dict[str, Any]) -> bool:
        return set(self._columns) == set(record)

    def _joined(self, record: dict[str, Any]) -> str:
        """A record that does not fit the columns, as a line."""
        extra = [] if EXTRA in self._columns else record.pop(EXTRA, [])
        return self._delimiter.join(map(self._field, [*record.values(), *extra]))

    def close(self) -> None:
        self._file.close()


class _JsonLines:
    def __init__(self, path: Path, *_: object) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, rows: list[Row]) -> None:
        for line, _, record, reasons in rows:
            body = _without_marks(record).strip()[1:-1].strip()
            self._file.write(f'{{{body}{", " if body else ""}"{LINE}": {line}, "{REASONS}": {reasons}}}\n')
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """In the source's own types, so that no value changes on its way through the file."""

    def __init__(self, path: Path, table: Table, reader: Reader) -> None:
        # What must have a value: the key, unless that is not from the source.
        needed = [reader.names[each.name] for each in table.columns if each.name in reader.names and not each.nullable]
        self._key = reader.names.get(table.key, (needed or reader.columns)[0])
        fields = [pa.field(field.name, _plain(field.type)) for field in reader.schema]
        self._schema = pa.schema([*fields, (LINE, pa.int64()), (REASONS, pa.string())])
        self._writer = pa.parquet.ParquetWriter(path, self._schema)

    def write(self, rows: list[Row]) -> None:
        records = [self._record(*row) for row in rows]
        columns = [_column([record[field.name] for record in records], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def _record(self, line: int, _: int, record: str, reasons: str) -> dict[str, Any]:
        values = plain_json(record)
        for field in self._schema:
            if kinds.is_floating(field.type) and values[field.name] is not None:
                values[field.name] = float(values[field.name])
        if "invalid_utf8" in {reason["code"] for reason in json.loads(reasons)}:
            # Its text is shown with escapes, which must not be taken for the text.
            values[self._key] = None
        return values | {LINE: line, REASONS: reasons}

    def close(self) -> None:
        self._writer.close()


_OPEN: dict[str, Any] = {"csv": _Csv, "jsonl": _JsonLines, "ndjson": _JsonLines, "parquet": _Parquet}


def _without_marks(record: str) -> str:
    """A JSON object less what a file of rejects adds, everything else as it stands."""
    if LINE not in record and REASONS not in record and "\\u" not in record:
        return record
    fields = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    kept = {name: value for name, value in fields.items() if name not in (LINE, REASONS)}
    return msgspec.json.encode(kept).decode()


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """What JSON has no type for stands there as text."""
    if kinds.is_date(kind) or kinds.is_timestamp(kind):
        # Days or times that nothing can write are numbers.
        counts = [int(value) if value and _COUNT.fullmatch(value) else None for value in values]
        written = [value if count is None else None for value, count in zip(values, counts, strict=True)]
        number = pa.int32() if kinds.is_date(kind) else pa.int64()
        return pc.coalesce(pa.array(written, pa.string()).cast(kind), pa.array(counts, number).cast(kind))
    if kinds.is_decimal(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


def _plain(kind: pa.DataType) -> pa.DataType:
    if kinds.is_dictionary(kind):
        return _plain(kind.value_type)
    if kinds.is_date64(kind):
        return pa.date32()
    return pa.string() if kinds.is_string_view(kind) else kind


def _safe(cell: str) -> str:
    """With an apostrophe in front of what a spreadsheet would run; reading the file again takes it away."""
    return f"'{cell}" if _MISLEADING.match(cell) and not _NUMBER.fullmatch(cell) else cell
