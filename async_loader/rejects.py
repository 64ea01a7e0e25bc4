"""Rejects as files: in the source's own format and columns, plus `_line` and `_reasons`, for a person to mend and load.

A record that has no columns (broken quoting, a wrong number of fields, no JSON), or that no text shows exactly (invalid
UTF-8), stands whole in the first column of a CSV file behind `_raw:`, or under `_raw` in JSON Lines. Loaded again as it
is, it is rejected again, never taken for something else.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pyarrow.types as kinds

from async_loader.batches import EXTRA, LINE, RAW, RAW_MARK, REASONS
from async_loader.errors import LoaderError
from async_loader.report import plain_json
from async_loader.sources import Reader
from async_loader.tables import Table

# What a spreadsheet would run as a formula (a plain number with a sign is none), and what marks a whole record.
_MISLEADING = re.compile(rf"'*([=+\-@\t\r]|{RAW_MARK})")
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")

# line, line_end, record and reasons of one reject; the last two are JSON.
Row = tuple[int, int, str, str]


class _File(Protocol):
    def write(self, rows: list[Row]) -> None: ...

    def close(self) -> None: ...


class RejectFiles:
    """The files of one run, made in `directory` when their first reject comes; one for each table and layout."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[tuple[str, ...], _File] = {}

    def write(self, table: Table, reader: Reader, rows: list[Row]) -> None:
        """Add a batch's rejects. LoaderError where the file cannot be written."""
        source = reader.source
        path = self._directory / f"{table.name}.{source.kind}"
        layout = (str(path), source.delimiter, *reader.layout)
        try:
            if layout not in self._files:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._files[layout] = _OPEN[source.kind](self._free(path), table, reader)
            self._files[layout].write(rows)
        except OSError as error:
            raise LoaderError(f"{path}: cannot be written: {error.strerror or error}") from error

    def _free(self, path: Path) -> Path:
        """The path, or `users-2.csv` for a table whose sources differ in their columns."""
        others = sum(layout[0] == str(path) for layout in self._files)
        return path.with_stem(f"{path.stem}-{others + 1}") if others else path

    def close(self) -> None:
        """Finish all files."""
        for file in self._files.values():
            file.close()


class _Csv:
    def __init__(self, path: Path, _: Table, reader: Reader) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns = [name for name in reader.columns if name not in (LINE, REASONS)]
        self._delimiter = reader.source.delimiter
        self._writer = csv.writer(self._file, delimiter=self._delimiter)
        self._writer.writerow([_safe(name) for name in (*self._columns, LINE, REASONS)])

    def write(self, rows: list[Row]) -> None:
        for line, _, record, reasons in rows:
            why = json.loads(reasons)
            messages = "; ".join(reason["message"] for reason in why)
            cells = self._cells(json.loads(record), {reason["code"] for reason in why})
            self._writer.writerow([*cells, line, _safe(messages)])
        self._file.flush()

    def _cells(self, record: dict[str, Any], codes: set[str]) -> list[str]:
        if "invalid_utf8" not in codes and self._has_columns(record):
            return [_safe(record[name] or "") for name in self._columns]
        whole = record[RAW] if set(record) == {RAW} else self._joined(record)
        return [RAW_MARK + whole, *[""] * (len(self._columns) - 1)]

    def _has_columns(self, record: dict[str, Any]) -> bool:
        return set(self._columns) == set(record)

    def _joined(self, record: dict[str, Any]) -> str:
        """A record that does not fit the columns, as a line."""
        extra = [] if EXTRA in self._columns else record.pop(EXTRA, [])
        return self._delimiter.join(_quoted(field or "") for field in [*record.values(), *extra])

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
        self._key = table.key
        fields = [pa.field(field.name, _plain(field.type)) for field in reader.schema]
        self._schema = pa.schema([*fields, (LINE, pa.int64()), (REASONS, pa.string())])
        self._writer = pa.parquet.ParquetWriter(path, self._schema)

    def write(self, rows: list[Row]) -> None:
        records = [self._record(*row) for row in rows]
        self._writer.write_table(pa.Table.from_pylist(records, self._schema))

    def _record(self, line: int, _: int, record: str, reasons: str) -> dict[str, Any]:
        values = plain_json(record)
        for field in self._schema:
            if kinds.is_floating(field.type) and values[field.name] is not None:
                values[field.name] = float(values[field.name])
        if '"invalid_utf8"' in reasons:
            # Its text is shown with escapes, which must not be taken for the text.
            values[self._key] = None
        return values | {LINE: line, REASONS: reasons}

    def close(self) -> None:
        self._writer.close()


_OPEN: dict[str, Any] = {"csv": _Csv, "jsonl": _JsonLines, "ndjson": _JsonLines, "parquet": _Parquet}


def _without_marks(record: str) -> str:
    """A JSON object less what a file of rejects adds, everything else as it stands."""
    if LINE not in record and REASONS not in record:
        return record
    fields = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    kept = {name: value for name, value in fields.items() if name not in (LINE, REASONS)}
    return msgspec.json.encode(kept).decode()


def _plain(kind: pa.DataType) -> pa.DataType:
    if kinds.is_dictionary(kind):
        return _plain(kind.value_type)
    return pa.string() if kinds.is_string_view(kind) else kind


def _quoted(field: str) -> str:
    """A field as it may stand in a line of CSV."""
    return field if field.isalnum() else '"' + field.replace('"', '""') + '"'


def _safe(cell: str) -> str:
    """With an apostrophe in front of what a spreadsheet would run; reading the file again takes it away."""
    return f"'{cell}" if _MISLEADING.match(cell) and not _NUMBER.fullmatch(cell) else cell
