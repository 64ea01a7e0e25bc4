"""Rejects written to a spreadsheet: a row for each, the cells at fault in red, the reasons beside them.

A cell has the type that it had in the source. Stored rejects keep dates as text, which is a date
again where the table has dates. Other text is never written as a formula or a link.
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import IO, Any

import xlsxwriter

from async_loader.columns import Type
from async_loader.ledger.layouts import Layout
from async_loader.records.batches import EXTRA
from async_loader.rejects.formats import RejectInFile
from async_loader.sources.cells import Faulty, cells_from_json
from async_loader.tables import Table

# Characters that a cell has at most.
_MOST_TEXT = 32_767
_NO_ROOM = (
    f"a spreadsheet has at most 1,048,576 rows, 16,384 columns and {_MOST_TEXT:,} characters in a cell; "
    "export fewer rejects into one file (--run, --reason)"
)
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


_AT_FAULT = {"bg_color": "#FFC7CE"}
# How cells of dates are shown.
_SHOWN = {date: "yyyy-mm-dd", datetime: "yyyy-mm-dd hh:mm:ss"}
# Spreadsheets count days from here on without the 29 February 1900, which they believe in, and seconds to a thousandth.
_FIRST_DAY = date(1900, 3, 1)
_FINEST = 1_000


class SpreadsheetOfRejects:
    """A FileOfRejects that is an xlsx file."""

    def __init__(self, file: IO[bytes], table: Table, layout: Layout, marks: Sequence[str]) -> None:
        self._file = file
        self._book = xlsxwriter.Workbook(file, _OPTIONS)
        self._sheet = self._book.add_worksheet("rejects")
        self._plain, self._bold = self._book.add_format(), self._book.add_format({"bold": True})
        self._at_fault = self._book.add_format(_AT_FAULT)
        self._columns = layout.columns
        self._names = dict(layout.names)
        self._kinds = {self._names.get(column.name, column.name): column.type for column in table.columns}
        self._dated = {
            (kind, is_at_fault): self._book.add_format({"num_format": shown, **(_AT_FAULT if is_at_fault else {})})
            for kind, shown in _SHOWN.items()
            for is_at_fault in (False, True)
        }
        for place, name in enumerate([*self._columns, *marks]):
            self._sheet.write_string(0, place, name, self._bold)
        self._row = 1

    def write(self, rows: list[RejectInFile]) -> None:
        """Add rejects to the sheet."""
        for line, _, record, reasons, *name in rows:
            self._write_row(cells_from_json(record), int(line), json.loads(reasons), name)
            self._row += 1

    def _write_row(
        self, cells: Mapping[str, Any], line: int, reasons: Sequence[Mapping[str, Any]], name: Sequence[str]
    ) -> None:
        faulty = {self._names.get(reason["column"], reason["column"]) for reason in reasons}
        for place, column in enumerate(self._columns):
            cell = _dated(cells.get(column), self._kinds.get(column))
            style = self._at_fault if column in faulty else self._plain
            self._write_cell(place, cell, self._dated.get((type(cell), column in faulty), style))
        messages = "; ".join(reason["message"] for reason in reasons)
        more = [] if EXTRA in self._columns else cells.get(EXTRA, [])
        # Cells of columns that have no name stand in such columns again, after everything else.
        for place, cell in enumerate([line, messages[:_MOST_TEXT], *name, *more], len(self._columns)):
            self._write_cell(place, cell, self._plain)

    def _write_cell(self, place: int, cell: Any, style: Any) -> None:
        """Write one cell. Raises OSError where a spreadsheet has no room for it."""
        row, sheet = self._row, self._sheet
        match cell:
            case None:
                problem = sheet.write_blank(row, place, None, style)
            case Faulty("error_cell", text):
                problem = sheet.write_formula(row, place, f"={text}", style, text)
            case Faulty(_, text):
                problem = sheet.write_formula(row, place, text, style, "")
            case bool():
                problem = sheet.write_boolean(row, place, cell, style)
            case int() | float():
                problem = sheet.write_number(row, place, cell, style)
            case date():
                problem = sheet.write_datetime(row, place, cell, style)
            case _:
                problem = sheet.write_string(row, place, str(cell), style)
        if problem:
            raise OSError(errno.EFBIG, _NO_ROOM)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._book.close()
        self._file.close()


def _dated(cell: Any, kind: Type | None) -> Any:
    """Return the date or time that a text is in a column of such, if a spreadsheet can hold it; else the cell."""
    if not isinstance(cell, str) or kind not in (Type.DATE, Type.DATETIME):
        return cell
    for read in (date.fromisoformat, datetime.fromisoformat):
        with contextlib.suppress(ValueError):
            value = read(cell)
            return value if _can_be_held(value) and value.isoformat() == cell else cell
    return cell


def _can_be_held(value: date) -> bool:
    if not isinstance(value, datetime):
        return value >= _FIRST_DAY
    return value.tzinfo is None and value.date() >= _FIRST_DAY and not value.microsecond % _FINEST
