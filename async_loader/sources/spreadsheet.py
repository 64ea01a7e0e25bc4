"""Spreadsheets (xlsx, xlsb, xls, ods): a sheet's rows to batches. The first row that is not empty is the header, after
those that are to be skipped; or the names are given.

A cell has the type that the spreadsheet gives it: 3.0 is the integer 3, the text `007` stays text, a formula is its
stored value. A cell that shows an error, and a formula that was never calculated, are faults and never null. Rows in
which nothing stands are no records; a record's line is the number of its row in the spreadsheet.

The whole sheet is in memory, about 100 bytes a cell.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from async_loader.errors import SourceError, one_line
from async_loader.formats import Dialect
from async_loader.records.batches import EXTRA, MARKS, REJECT, Batch, Broken, are_of_rejects
from async_loader.sources.cell_faults import faults_of
from async_loader.sources.cells import Cell, as_json, typed
from async_loader.sources.fields import Fields
from async_loader.sources.headers import distinct, header_below, listed, names_no_column, nearest_name, problem_of
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import Stream
from async_loader.sources.unpacking import BROKEN_ARCHIVE

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

# Bytes of a workbook as it is unpacked: a packed one of some megabytes may be of any size.
_MOST_UNPACKED = 2 << 30
# Rows of a batch.
_ROWS = 10_000
_INSTALL = "pip install 'django-async-loader[spreadsheets]'"

# The number of a row, and its cells by the numbers of their columns, both from 0.
_Row: TypeAlias = tuple[int, Sequence[Any]]


class SpreadsheetSource:
    """A sheet of a workbook. `columns` is the header; `ignored` are the names in it that are not read; `part` is the
    name of the sheet, also where its number was given.

    Raises SourceError where there is no such sheet, or where its header does not fit the table.
    """

    schema = None

    def __init__(self, stream: Stream, fields: Fields, sheet: str, dialect: Dialect) -> None:
        self._stream = stream
        content = stream.seekable_file()
        book = _opened(stream.name, content)
        self.part = _chosen(stream.name, book, sheet)
        self._sheet = _read(stream.name, partial(book.get_sheet_by_name, self.part))
        self._faults = faults_of(stream.name, content, self.part)
        self._first_column = (self._sheet.start or (0, 0))[1]
        self._rows = self._filled_rows()
        self._has_names = bool(dialect.header)
        self._header = self._read_header(dialect)
        names = [name for name in self._header.values() if name]
        self.is_rejects = are_of_rejects(names)
        self.fields = fields.matched(dict.fromkeys(names))
        self.columns = distinct(self.fields, names)
        # Columns that are left out need not have names of their own.
        self.again = tuple(name for name in self.columns if name not in names)
        places = [place for place, name in self._header.items() if name]
        self._header |= dict(zip(places, self.columns, strict=True))
        self._check_header()
        self.ignored = self.fields.unknown(name for name in self.columns if name not in (*MARKS, *self.again))

    def batches(self) -> Iterator[Batch]:
        """Yield the sheet's rows after the header, in order."""
        several: list[_Row] = []
        for row in self._rows:
            several.append(row)
            if len(several) == _ROWS:
                yield self._batch(several)
                several = []
        yield self._batch(several)

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each batch."""
        for batch in self.batches():
            yield batch.values

    def stretches(self, _: int) -> list[Stretch]:
        """Return everything, as one: a sheet is read as a whole."""
        return [Stretch(self._stream.version, 0, self._stream.size or 0)]

    def _filled_rows(self) -> Iterator[_Row]:
        """Yield the rows in which anything stands. The library leaves out what comes after the last value."""
        height = 0
        for number, cells in enumerate(self._sheet.iter_rows()):
            height = number + 1
            if any(cell != "" for cell in cells) or number in self._faults:
                yield number, cells
        for number in sorted(self._faults):
            if number >= height:
                yield number, ()

    def _read_header(self, dialect: Dialect) -> dict[int, str]:
        """Return the names of the columns, by their numbers; empty for one without a name. The first row of a file of
        rejects is its header.
        """
        number, cells = next(self._rows, (0, ()))
        if not are_of_rejects(list(map(_name, cells))):
            while number < dialect.skip_lines:
                number, cells = next(self._rows, (dialect.skip_lines, ()))
            if dialect.header:
                self._rows = chain([(number, cells)], self._rows)
                return dict(enumerate(dialect.header, self._first_column))
        return {place: _name(cell) for place, cell in enumerate(cells, self._first_column)}

    def _check_header(self) -> None:
        name, fields = self._stream.name, self.fields
        columns = [each for each in self.columns if each not in self.again]
        if names_no_column(fields, columns, "the header"):
            raise SourceError(name, names_no_column(fields, columns, "the header", self._title_hint()) or "")
        if refusal := fields.refusal(columns):
            raise SourceError(name, refusal)
        problem = problem_of(fields, fields.unmarked(columns))
        if problem is not None:
            raise SourceError(name, problem)

    def _title_hint(self) -> str | None:
        """Say with how many rows skipped the header names columns of the table; None where no row below does."""
        if self._has_names:
            return None
        before = header_below(self.fields, ((number, list(map(_name, cells))) for number, cells in self._rows))
        return None if before is None else f"row {before + 1} does: --skip-lines {before} reads from there"

    def _batch(self, rows: Sequence[_Row]) -> Batch:
        records: list[dict[str, Cell]] = []
        lines, broken = [], []
        for number, cells in rows:
            record, extra = self._record(number, cells)
            if extra:
                broken.append(_surplus(number + 1, record, extra))
                continue
            records.append(record)
            lines.append(number + 1)
        values, faults = typed(self.fields, records)
        at = pl.Series(lines, dtype=pl.Int64)
        return Batch(
            source=self._stream.name,
            values=values,
            absent=self.fields.absent,
            lookups=self.fields.lookups,
            links=self.fields.links,
            lines=at,
            line_ends=at,
            as_read=pl.DataFrame({"place": pl.int_range(len(records), eager=True)}),
            to_json=partial(_to_json, records),
            faults=faults,
            broken=tuple(broken),
            read_to=self._stream.size or 0,
            supersedes=_supersedes(records) if REJECT in self.columns else None,
        )

    def _record(self, number: int, cells: Sequence[Any]) -> tuple[dict[str, Cell], list[Cell]]:
        """Return a row's cells by the names of their columns, and those that stand in columns without a name."""
        record: dict[str, Cell] = {}
        extra: list[Cell] = []
        values = {**dict(enumerate(cells, self._first_column)), **self._faults.get(number, {})}
        for place in sorted({*values, *self._header}):
            value = values.get(place, "")
            value = None if value == "" else value
            if name := self._header.get(place):
                record[name] = value
            elif value is not None:
                extra.append(value)
        return record, extra


def widths_of(stream: Stream, sheet: str, most: int) -> list[int]:
    """Return how many cells of each row of a sheet hold anything, of the first rows, at most that many."""
    book = _opened(stream.name, stream.seekable_file())
    chosen = _read(stream.name, partial(book.get_sheet_by_name, _chosen(stream.name, book, sheet)))
    return [sum(cell != "" for cell in cells) for cells in islice(chosen.iter_rows(), most)]


def sheets_of(stream: Stream) -> dict[str, int]:
    """Return by name of each sheet how many rows it has."""
    book = _opened(stream.name, stream.seekable_file())
    return {name: _read(stream.name, partial(book.get_sheet_by_name, name)).total_height for name in book.sheet_names}


def _opened(name: str, content: Any) -> CalamineWorkbook:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError as error:
        raise SourceError(name, f"python-calamine is not installed, which reads spreadsheets: {_INSTALL}") from error
    if (size := _unpacked(content)) > _MOST_UNPACKED:
        problem = f"is {size / 2**30:,.1f} GiB when it is unpacked, of which at most {_MOST_UNPACKED >> 30} can be read"
        raise SourceError(name, f"{problem}; save the sheet as CSV")
    content.seek(0)
    book: CalamineWorkbook = _read(name, partial(CalamineWorkbook.from_filelike, io.BytesIO(content.read())))
    return book


def _unpacked(content: Any) -> int:
    """Return the bytes of all that is in a packed workbook; of one that is not packed its own."""
    with contextlib.suppress(*BROKEN_ARCHIVE), zipfile.ZipFile(content) as archive:
        return sum(each.file_size for each in archive.infolist())
    return int(content.seek(0, io.SEEK_END))


def _read(name: str, steps: Any) -> Any:
    """Take steps of the library, and translate what it raises."""
    from python_calamine import CalamineError, PasswordError

    try:
        return steps()
    except PasswordError as error:
        raise SourceError(name, "is protected by a password: save it without one") from error
    except (CalamineError, OSError, ValueError) as error:
        raise SourceError(name, f"is no spreadsheet that can be read: {one_line(error)}") from error


def _chosen(name: str, book: CalamineWorkbook, sheet: str) -> str:
    """Return the name of the sheet that is meant: by its name, by its number from 1, or as the only one."""
    names = list(book.sheet_names)
    if not names:
        raise SourceError(name, "has no sheet")
    if sheet in names:
        return sheet
    if sheet.isdecimal() and 0 < int(sheet) <= len(names):
        return names[int(sheet) - 1]
    if sheet:
        near = nearest_name(sheet, names)
        hint = f"did you mean {near!r}?" if near else f"it has {listed(names)}"
        raise SourceError(name, f"has no sheet {sheet!r}; {hint}")
    if len(names) != 1:
        raise SourceError(name, f"has the sheets {listed(names)}; name one after #, as in {name}#{names[0]}")
    return names[0]


def _name(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _surplus(line: int, record: Mapping[str, Cell], extra: list[Cell]) -> Broken:
    message = f"{len(extra)} cells stand in columns that have no name in the header"
    if len(extra) == 1:
        message = "a cell stands in a column that has no name in the header"
    return Broken(line, line, as_json({**record, EXTRA: extra}), "wrong_field_count", message)


def _to_json(records: Sequence[Mapping[str, Cell]], places: pl.DataFrame) -> pl.Series:
    return pl.Series("record", [as_json(records[place]) for place in places["place"]], dtype=pl.String)


def _supersedes(records: Sequence[Mapping[str, Cell]]) -> pl.Series:
    named = [record.get(REJECT) for record in records]
    return pl.Series([name if isinstance(name, str) else None for name in named], dtype=pl.String)
