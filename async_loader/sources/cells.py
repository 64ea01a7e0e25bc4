"""Cells of a spreadsheet to values of columns. Pure.

A number, date or boolean is what the cell says it is, whatever its column shows; text in a typed column is read as in
CSV, because spreadsheets hold much as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, TypeAlias

import polars as pl

from async_loader.columns import Column, Type
from async_loader.formats import STANDARD_SPELLINGS
from async_loader.records.parsing import clipped, null_codes, parse_text, shown_text, with_faults
from async_loader.records.times import duration_text
from async_loader.sources.fields import Fields

# Digits of a number that spreadsheets show; what stands after them comes from their arithmetic.
_DIGITS = 15
# Up to here each whole number is one of a spreadsheet's numbers.
_EXACT = 2**53
_MIDNIGHT = time()


@dataclass(frozen=True, slots=True)
class Faulty:
    """A cell without a value. code: of the reason. text: the error that it shows, or the formula."""

    code: str
    text: str


# Values, and their faults as in a batch; None where there are none.
Read: TypeAlias = "tuple[pl.Series, pl.DataFrame | None]"
Cell: TypeAlias = int | float | str | bool | date | time | timedelta | Faulty | None


def typed(fields: Fields, records: Sequence[Mapping[str, Cell]]) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the table's columns, made of n records' cells by name, and the faults of those that have any."""
    values, faults = {}, {}
    for column in fields.columns:
        cells = [record.get(fields.names[column.name]) for record in records]
        values[column.name], fault = _column(column, cells, partial(_read, fields, column, cells))
        if fault is not None:
            faults[column.name] = fault
    for column, separator in fields.list_columns:
        cells = [record.get(fields.names[column.name]) for record in records]
        read = partial(_read_lists, fields, column, separator)
        values[column.name], fault = _column(column, cells, read)
        if fault is not None:
            faults[column.name] = fault
    return fields.complete(values, len(records)), faults


def _read_lists(fields: Fields, column: Column, separator: str, texts: pl.Series) -> Read:
    from async_loader.records import lists

    split = lists.split(texts, separator, fields.nulls(column.name))
    return lists.read_lists(split, partial(fields.read_text, column=column))


def _column(column: Column, cells: Sequence[Cell], read: Callable[[pl.Series], Read]) -> Read:
    values, fault = read(pl.Series([_text(column.type, cell) for cell in cells], dtype=pl.String))
    faulty = [cell.code if isinstance(cell, Faulty) else None for cell in cells]
    if not any(faulty):
        return values, fault
    codes = null_codes(len(cells)) if fault is None else fault["code"]
    special = pl.Series(faulty, dtype=pl.String)
    codes = special.zip_with(special.is_not_null(), codes)
    shown = pl.Series([clipped(json.dumps(_plain(cell), ensure_ascii=False)) for cell in cells], dtype=pl.String)
    return with_faults(
        values, codes, lambda: shown if fault is None else shown.zip_with(special.is_not_null(), fault["shown"])
    )


def _read(fields: Fields, column: Column, cells: Sequence[Cell], texts: pl.Series) -> Read:
    """Return values and faults; what is text in the spreadsheet may be spelled in ways of its own."""
    if fields.spellings == STANDARD_SPELLINGS:
        return fields.read_text(texts, column)
    is_text = pl.Series([isinstance(cell, str) for cell in cells], dtype=pl.Boolean)
    values, fault = fields.read_text(pl.select(pl.when(is_text).then(texts)).to_series(), column)
    others, other_fault = parse_text(pl.select(pl.when(~is_text).then(texts)).to_series(), column)
    codes, other_codes = (null_codes(len(cells)) if each is None else each["code"] for each in (fault, other_fault))
    shown = shown_text(texts) if fault is None else fault["shown"].zip_with(is_text, shown_text(texts))
    return with_faults(values.zip_with(is_text, others), codes.zip_with(is_text, other_codes), lambda: shown)


def _text(kind: Type, cell: Cell) -> str | None:
    """Return a cell as CSV would have it for a column of this type."""
    match cell:
        case None | Faulty():
            return None
        case bool():
            return str(cell).lower()
        case float() if cell.is_integer() and abs(cell) <= _EXACT:
            return str(int(cell))
        case float() if kind is Type.DECIMAL:
            return f"{cell:.{_DIGITS}g}"
        case datetime() if kind is Type.DATE and cell.time() == _MIDNIGHT:
            return cell.date().isoformat()
        case date() if kind is Type.DATETIME and not isinstance(cell, datetime):
            return datetime.combine(cell, _MIDNIGHT).isoformat()
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return duration_text(cell)
    return str(cell)


def as_json(record: Mapping[str, Any]) -> str:
    """Return the cells of a row as a JSON object: dates and times as text, a faulty cell as an object."""
    return json.dumps(record, ensure_ascii=False, default=_plain)


def cells_from_json(text: str) -> dict[str, Any]:
    """Return the cells of a row from what `as_json` made of them; dates and times are text, surplus cells a list."""
    return {name: _cell(value) for name, value in json.loads(text).items()}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return [_cell(each) for each in value]
    if isinstance(value, dict):
        [(code, shown)] = value.items()
        return Faulty(code, shown)
    return value


def _plain(cell: Any) -> Any:
    match cell:
        case Faulty():
            return {cell.code: cell.text}
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return duration_text(cell)
    return cell
