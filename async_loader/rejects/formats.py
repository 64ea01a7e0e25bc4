"""How rejects are written to a file, in each format that a source may have.

A record that has no columns (broken quoting, a wrong number of fields, no JSON), or that no text shows exactly (invalid
UTF-8), stands whole in the first column of a CSV file after `_raw:`, or under `_raw` in JSON Lines. Loaded again as it
is, it is rejected again, never taken for something else.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Sequence
from typing import IO, Any, Protocol, TypeAlias

import msgspec

from async_loader.ledger.layouts import Layout
from async_loader.ledger.reject_groups import UNDECODABLE
from async_loader.records.batches import EXTRA, LINE, MARKS, RAW, RAW_MARK, REASONS, REJECT
from async_loader.sources.formula_guard import guarded, guarded_within
from async_loader.tables import Table

_decode = msgspec.json.Decoder().decode

# line, line_end, record and reasons of one reject, the last two JSON; after them, in exported files, its name.
RejectInFile: TypeAlias = tuple[Any, ...]


# Characters that an encoding does not have, as JSON escapes them.
_JSON_ESCAPES = "async_loader.json_escapes"


class FileOfRejects(Protocol):
    """An open file that takes rejects."""

    def write(self, rows: list[RejectInFile]) -> None:
        """Add rejects to the file."""

    def close(self) -> None:
        """Write what is left, and close the file."""


def open_format(file: IO[bytes], table: Table, layout: Layout, marks: Sequence[str]) -> FileOfRejects:
    """Return the file as one that takes rejects whose source had this layout. marks: the columns that it adds."""
    return _OPEN[layout.kind](file, table, layout, marks)


class _Csv:
    def __init__(self, file: IO[bytes], table: Table, layout: Layout, marks: Sequence[str]) -> None:
        self._file = io.TextIOWrapper(file, encoding=layout.encoding or "utf-8", errors="backslashreplace", newline="")
        self._columns = layout.columns
        names = dict(layout.names)
        self._nullable = {names.get(column.name, column.name) for column in table.columns if column.nullable}
        self._dialect = layout.dialect.of_rejects
        self._write_row([*map(guarded, self._columns), *marks])

    def write(self, rows: list[RejectInFile]) -> None:
        for line, _, record, reasons_json, *name in rows:
            reasons = _decode(reasons_json)
            messages = "; ".join(reason["message"] for reason in reasons)
            cells = self._cells(_decode(record), {reason["code"] for reason in reasons})
            self._write_row([*cells, str(line), guarded(messages), *name])
        self._file.flush()

    def _write_row(self, cells: list[str | None]) -> None:
        self._file.write(self._dialect.delimiter.join(map(self._field, cells)) + "\r\n")

    def _field(self, cell: str | None) -> str:
        """Return nothing for null, and quotes where reading needs them: around empty text too, which is not null."""
        if cell is None:
            return ""
        return cell if cell and not set(cell) & {*self._dialect.marks, *"\r\n"} else self._dialect.quoted(cell)

    def _cells(self, record: dict[str, Any], codes: set[str]) -> list[str | None]:
        if not codes & {*UNDECODABLE} and self._has_columns(record):
            return [self._cell(name, record[name]) for name in self._columns]
        whole = record[RAW] if set(record) == {RAW} else self._joined(record)
        return [RAW_MARK + guarded_within(whole), *[None] * (len(self._columns) - 1)]

    def _cell(self, name: str, value: str | None) -> str | None:
        return None if value is None or (not value and name not in self._nullable) else guarded(value)

    def _has_columns(self, record: dict[str, Any]) -> bool:
        return set(self._columns) == set(record)

    def _joined(self, record: dict[str, Any]) -> str:
        """Return a record that does not fit the columns as a line."""
        extra = [] if EXTRA in self._columns else record.pop(EXTRA, [])
        return self._dialect.delimiter.join(map(self._field, [*record.values(), *extra]))

    def close(self) -> None:
        self._file.close()


class _JsonLines:
    # What stands before the first object, between two, and after the last.
    _begin, _between, _end = "", "\n", "\n"

    def __init__(self, file: IO[bytes], _table: Table, layout: Layout, _marks: Sequence[str]) -> None:
        # A reason may show characters that the encoding of the source does not have.
        encoding = layout.encoding or "utf-8"
        self._file = io.TextIOWrapper(file, encoding=encoding, errors=_JSON_ESCAPES, newline="\n")
        self._before = self._begin

    def write(self, rows: list[RejectInFile]) -> None:
        for line, _, record, reasons, *name in rows:
            body = _without_marks(record).strip()[1:-1].strip()
            named = "".join(f', "{REJECT}": {json.dumps(each)}' for each in name)
            comma = ", " if body else ""
            self._file.write(f'{self._before}{{{body}{comma}"{LINE}": {line}, "{REASONS}": {reasons}{named}}}')
            self._before = self._between
        self._file.flush()

    def close(self) -> None:
        if self._before == self._between:
            self._file.write(self._end)
        self._file.close()


def _escape_in_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_JSON_ESCAPES, _escape_in_json)


class _JsonDocument(_JsonLines):
    _begin, _between, _end = "[\n", ",\n", "\n]\n"


def _without_marks(record: str) -> str:
    """Return a JSON object without the members that a file of rejects adds, everything else as it stands."""
    if not any(mark in record for mark in MARKS) and "\\u" not in record:
        return record
    fields = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    kept = {name: value for name, value in fields.items() if name not in MARKS}
    return msgspec.json.encode(kept).decode()


def _parquet(file: IO[bytes], table: Table, layout: Layout, marks: Sequence[str]) -> FileOfRejects:
    """See `parquet_format`, whose library is imported where such a file is written."""
    from async_loader.rejects.parquet_format import ParquetFileOfRejects

    return ParquetFileOfRejects(file, table, layout, marks)


def _spreadsheet(file: IO[bytes], table: Table, layout: Layout, marks: Sequence[str]) -> FileOfRejects:
    """See `spreadsheet_format`, whose library is imported where such a file is written."""
    from async_loader.rejects.spreadsheet_format import SpreadsheetOfRejects

    return SpreadsheetOfRejects(file, table, layout, marks)


_OPEN: dict[str, Callable[[IO[bytes], Table, Layout, Sequence[str]], FileOfRejects]] = {
    "csv": _Csv,
    "jsonl": _JsonLines,
    "ndjson": _JsonLines,
    "json": _JsonDocument,
    "parquet": _parquet,
    "xlsx": _spreadsheet,
}
