"""Rejects as files: in the source's own format and columns, plus `_line` and `_reasons`, for a person to mend and load.

A record that has no columns (broken quoting, a wrong number of fields, no JSON) stands whole in the first column of a
CSV file, or under `_raw` in JSON Lines: loaded again as it is, it is rejected again, never taken for something else.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet

from async_loader.batches import EXTRA, LINE, RAW, REASONS
from async_loader.errors import LoaderError
from async_loader.report import plain_json
from async_loader.sources import Source
from async_loader.tables import Table, Type

# What a spreadsheet would run as a formula. A plain number with a sign is none.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")

_ARROW = {Type.INTEGER: pa.int64(), Type.REAL: pa.float64(), Type.TEXT: pa.string()}

# line, line_end, record and reasons of one reject; the last two are JSON.
Row = tuple[int, int, str, str]


class _File(Protocol):
    def write(self, rows: list[Row]) -> None: ...

    def close(self) -> None: ...


class RejectFiles:
    """The files of one run, made in `directory` when their first reject comes; one for each table and format."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[tuple[str, ...], _File] = {}

    def write(self, table: Table, source: Source, columns: list[str], rows: list[Row]) -> None:
        """Add a batch's rejects. LoaderError where the file cannot be written."""
        path = self._directory / f"{table.name}.{source.kind}"
        layout = (str(path), source.delimiter, *columns)
        try:
            if layout not in self._files:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._files[layout] = _OPEN[source.kind](self._free(path), table, columns, source.delimiter)
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
    def __init__(self, path: Path, _: Table, columns: list[str], delimiter: str) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns = [name for name in columns if name not in (LINE, REASONS)]
        self._delimiter = delimiter
        self._writer = csv.writer(self._file, delimiter=delimiter)
        self._writer.writerow([*self._columns, LINE, REASONS])

    def write(self, rows: list[Row]) -> None:
        for line, _, record, reasons in rows:
            messages = "; ".join(reason["message"] for reason in json.loads(reasons))
            cells = [*self._cells(json.loads(record)), str(line), messages]
            self._writer.writerow([_safe(cell) for cell in cells])
        self._file.flush()

    def _cells(self, record: dict[str, Any]) -> Iterator[str]:
        if set(self._columns) <= set(record) and EXTRA not in record:
            return (record[name] or "" for name in self._columns)
        whole = record[RAW] if RAW in record else self._joined(record)
        return iter([whole, *[""] * (len(self._columns) - 1)])

    def _joined(self, record: dict[str, Any]) -> str:
        """A record of too few or too many fields, as a line."""
        text = io.StringIO()
        extra = record.pop(EXTRA, [])
        csv.writer(text, delimiter=self._delimiter, lineterminator="").writerow([*record.values(), *extra])
        return text.getvalue()

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
    def __init__(self, path: Path, table: Table, *_: object) -> None:
        fields = [(column.name, _ARROW[column.type]) for column in table.columns]
        self._schema = pa.schema([*fields, (LINE, pa.int64()), (REASONS, pa.string())])
        self._writer = pa.parquet.ParquetWriter(path, self._schema)

    def write(self, rows: list[Row]) -> None:
        records = [plain_json(record) | {LINE: line, REASONS: reasons} for line, _, record, reasons in rows]
        for record in records:
            for field in self._schema:
                if pa.types.is_floating(field.type) and record[field.name] is not None:
                    record[field.name] = float(record[field.name])
        self._writer.write_table(pa.Table.from_pylist(records, self._schema))

    def close(self) -> None:
        self._writer.close()


_OPEN: dict[str, Any] = {"csv": _Csv, "jsonl": _JsonLines, "ndjson": _JsonLines, "parquet": _Parquet}


def _without_marks(record: str) -> str:
    """A record from a file of rejects, less what that file added."""
    if LINE not in record and REASONS not in record:
        return record
    return json.dumps({key: value for key, value in json.loads(record).items() if key not in (LINE, REASONS)})


def _safe(cell: str) -> str:
    """With an apostrophe in front of what a spreadsheet would run; reading the file again takes it away."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell
