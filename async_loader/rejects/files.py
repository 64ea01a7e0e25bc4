"""Rejects as files: in the source's own format and columns, plus `_line` and `_reasons`, for a person to mend and load;
exported files have `_reject` too, which tells the stored reject that a mended record takes the place of.

A record that has no columns (broken quoting, a wrong number of fields, no JSON), or that no text shows exactly (invalid
UTF-8), stands whole in the first column of a CSV file behind `_raw:`, or under `_raw` in JSON Lines. Loaded again as it
is, it is rejected again, never taken for something else.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet

from async_loader.errors import OutputError
from async_loader.ledger.layouts import Layout, layout_of
from async_loader.records.batches import EXTRA, LINE, MARKS, RAW, RAW_MARK, REASONS, REJECT
from async_loader.sources.parquet_rows import column_of, schema_of, typed_values
from async_loader.tables import Column, Table

# What a spreadsheet would run as a formula (a plain number with a sign is none), and what marks a whole record.
_MISLEADING = re.compile(rf"'*([=+\-@\t\r]|{RAW_MARK})")
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")

_decode = msgspec.json.Decoder().decode

# line, line_end, record and reasons of one reject, the last two JSON; behind them, in exported files, its name.
Row = tuple[Any, ...]


class _File(Protocol):
    def write(self, rows: list[Row]) -> None: ...

    def close(self) -> None: ...


class HasLayouts(Protocol):
    """A source, as far as files of its rejects need it."""

    @property
    def layouts(self) -> Sequence[Layout]:
        """How its records stand in it: one way, or several where it is not the same file each time."""


class RejectFiles:
    """The files of one table, made in `directory` when their first reject comes; one for each layout of a source.

    `made` are those that there are by now. Raises OutputError where one cannot be written.
    """

    # What the files add to the source's columns, and how they are opened.
    marks: tuple[str, ...] = (LINE, REASONS)
    mode = "w"

    def __init__(self, directory: Path, table: Table) -> None:
        self._directory = directory
        self._table = table
        self._files: dict[Layout, _File] = {}
        self.made: list[Path] = []

    def check(self) -> None:
        """Find out before anything is loaded whether files can be made."""
        parent = self._directory.parent
        with self._failures():
            parent.mkdir(parents=True, exist_ok=True)
            if not os.access(parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def write(self, source: HasLayouts, rejects: pl.DataFrame) -> None:
        """Add a batch's rejects."""
        self.write_rows(source.layouts, rejects.rows())

    def write_rows(self, layouts: Sequence[Layout], rows: Iterable[Row]) -> dict[Layout, int]:
        """Add rejects, each to the file of that layout, among these, which it fits. Returns how many went where."""
        written = {}
        with self._failures():
            for layout, several in _by_layout(layouts, rows):
                self._file(layout).write(several)
                written[layout] = len(several)
        return written

    def close(self) -> None:
        """Finish all files; harmless when done already."""
        while self._files:
            _, file = self._files.popitem()
            with self._failures():
                file.close()

    def path(self, kind: str, number: int) -> Path:
        """`users.csv`, or `users-2.csv` and so on for sources that differ in their columns. A table may be called what
        no file can: of `a/b` it is `a%2Fb.csv`.
        """
        name = self._table.name.replace("/", "%2F")
        return self._directory / f"{name}{_numbered(number)}.{kind}"

    def _file(self, layout: Layout) -> _File:
        if layout not in self._files:
            self._directory.mkdir(parents=True, exist_ok=True)
            number = 1 + sum(other.kind == layout.kind for other in self._files)
            path = self.path(layout.kind, number)
            file = path.open(f"{self.mode}b")
            self.made.append(path)
            self._files[layout] = _OPEN[layout.kind](file, self._table, layout, self.marks)
        return self._files[layout]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(str(self._directory), error.strerror or str(error)) from error


class ExportedFiles(RejectFiles):
    """Files of stored rejects, which name each of them: `target`, and beside it `-2` and so on for other layouts.

    One that exists already is left alone: OutputError.
    """

    marks = (LINE, REASONS, REJECT)
    mode = "x"

    def __init__(self, target: Path, table: Table) -> None:
        super().__init__(target.parent, table)
        self._target = target

    def path(self, kind: str, number: int) -> Path:  # noqa: ARG002 - the target tells the kind
        """Another for each layout."""
        path = self._target.with_name(f"{self._target.stem}{_numbered(number)}{self._target.suffix}")
        if path.exists():
            raise OutputError(str(path), "it exists already; name another file, or move it away")
        return path

    def give_up(self) -> None:
        """Take away what was made: it is not whole."""
        with suppress(OutputError):
            self.close()
        for path in self.made:
            path.unlink(missing_ok=True)


class _Csv:
    def __init__(self, file: BinaryIO, table: Table, layout: Layout, marks: Sequence[str]) -> None:
        self._file = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self._columns = layout.columns
        self._nullable = {name for column, name in _columns(layout, table) if column.nullable}
        self._delimiter = layout.delimiter
        self._write_row([*map(_safe, self._columns), *marks])

    def write(self, rows: list[Row]) -> None:
        for line, _, record, reasons, *name in rows:
            why = _decode(reasons)
            messages = "; ".join(reason["message"] for reason in why)
            cells = self._cells(_decode(record), {reason["code"] for reason in why})
            self._write_row([*cells, str(line), _safe(messages), *name])
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
    def __init__(self, file: BinaryIO, *_: object) -> None:
        self._file = io.TextIOWrapper(file, encoding="utf-8", newline="\n")

    def write(self, rows: list[Row]) -> None:
        for line, _, record, reasons, *name in rows:
            body = _without_marks(record).strip()[1:-1].strip()
            named = "".join(f', "{REJECT}": {json.dumps(each)}' for each in name)
            self._file.write(f'{{{body}{", " if body else ""}"{LINE}": {line}, "{REASONS}": {reasons}{named}}}\n')
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """In the source's own types, so that no value changes on its way through the file."""

    def __init__(self, file: BinaryIO, table: Table, layout: Layout, marks: Sequence[str]) -> None:
        self._needed = _needed(layout, table)
        self._types = schema_of(layout)
        self._schema = pa.schema(
            [*self._types, *((mark, pa.int64() if mark == LINE else pa.string()) for mark in marks)]
        )
        self._file = file
        self._writer = pa.parquet.ParquetWriter(file, self._schema)

    def write(self, rows: list[Row]) -> None:
        records = [self._record(*row) for row in rows]
        columns = [column_of([record[field.name] for record in records], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def _record(self, line: int, _: int, record: str, reasons: str, *name: str) -> dict[str, Any]:
        values = typed_values(self._types, record)
        if "invalid_utf8" in {reason["code"] for reason in json.loads(reasons)}:
            # Its text is shown with escapes, which must not be taken for the text.
            values[self._needed] = None
        return values | dict(zip((LINE, REASONS, REJECT), (line, reasons, *name), strict=False))

    def close(self) -> None:
        self._writer.close()
        self._file.close()


_OPEN: dict[str, Any] = {"csv": _Csv, "jsonl": _JsonLines, "ndjson": _JsonLines, "parquet": _Parquet}


def _columns(layout: Layout, table: Table) -> list[tuple[Column, str]]:
    """The table's columns, and what the source calls them."""
    names = dict(layout.names)
    return [(column, names.get(column.name, column.name)) for column in table.columns]


def _needed(layout: Layout, table: Table) -> str:
    """What the source calls a column that must have a value: the key, unless that is not from the source."""
    found = [(column, name) for column, name in _columns(layout, table) if name in layout.columns]
    keys = [name for column, name in found if column.name == table.key]
    others = [name for column, name in found if not column.nullable]
    return [*keys, *others, *layout.columns][0]


def _by_layout(layouts: Sequence[Layout], rows: Iterable[Row]) -> Iterator[tuple[Layout, list[Row]]]:
    """Rejects by the layout whose columns they have; one that has those of none goes with the first."""
    if len(layouts) == 1:
        yield layouts[0], list(rows)
        return
    parts: dict[Layout, list[Row]] = {}
    for row in rows:
        parts.setdefault(layout_of(layouts, _decode(row[2])), []).append(row)
    yield from parts.items()


def _numbered(number: int) -> str:
    return f"-{number}" if number > 1 else ""


def _without_marks(record: str) -> str:
    """A JSON object less what a file of rejects adds, everything else as it stands."""
    if not any(mark in record for mark in MARKS) and "\\u" not in record:
        return record
    fields = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    kept = {name: value for name, value in fields.items() if name not in MARKS}
    return msgspec.json.encode(kept).decode()


def _safe(cell: str) -> str:
    """With an apostrophe in front of what a spreadsheet would run; reading the file again takes it away."""
    return f"'{cell}" if _MISLEADING.match(cell) and not _NUMBER.fullmatch(cell) else cell
