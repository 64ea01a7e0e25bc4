"""How rows exchange unique values in databases that look at each row as it changes. Steps, and no I/O.

A value that another row is to take is first replaced by one that no row has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.constraints import Unique
from async_loader.effects import Call, Change, Steps
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.stores.store import Store

# Characters for private use, which no text of the world has: as many as one digit of a value can be.
_FIRST_PRIVATE, _PRIVATE = 0xF0000, 0xFFFE
# The types of which there are values that no row is likely to have.
_PARKABLE = (Type.INTEGER, Type.TEXT, Type.UUID, Type.DATE, Type.DATETIME, Type.DECIMAL)


def parked(
    table: Table, database: Store, unique: Unique, keys: pl.Series, absent: Collection[str]
) -> Steps[list[Change]]:
    """Return the change by which rows of these keys give up their values of a unique set; nothing where none can be."""
    column = _column(table, unique, absent)
    if column is None or not len(keys):
        return []
    greatest = 0
    if column.type is Type.INTEGER and not _may_be_null(unique, column):
        greatest = yield from database.greatest(table, column)
    values = [None] * len(keys) if _may_be_null(unique, column) else [*islice(_unused(column, greatest), len(keys))]
    frame = pl.DataFrame([keys.alias(table.key), pl.Series(column.name, values, dtype=column.dtype)])
    change: Change = yield Call(database.assigning, (table, frame))
    return [change]


def _column(table: Table, unique: Unique, absent: Collection[str]) -> Column | None:
    """Return the column of a set whose values are parked: one that may be null, or one of a type that can be."""
    references = {reference.column for reference in table.references}
    columns = [table.column(name) for name in unique.columns if name not in absent]
    empty = [column for column in columns if _may_be_null(unique, column)]
    others = [column for column in columns if column.type in _PARKABLE and column.name not in references]
    return next(iter([*empty, *others]), None)


def _may_be_null(unique: Unique, column: Column) -> bool:
    return column.nullable and not unique.nulls_equal


def _unused(column: Column, greatest: int) -> Iterator[Any]:
    """Yield values of a column's type that no row has, as far as can be foreseen."""
    number = 0
    while True:
        number += 1
        yield _UNUSED[column.type](number, column, greatest)


def _text(number: int) -> str:
    """Return a text of few characters: a column may have room for no more."""
    digits = ""
    while number:
        number, digit = divmod(number, _PRIVATE)
        digits += chr(_FIRST_PRIVATE + digit)
    return digits


_UNUSED: dict[Type, Any] = {
    Type.INTEGER: lambda number, _, greatest: greatest + number,
    Type.TEXT: lambda number, _column, _greatest: _text(number),
    Type.UUID: lambda number, _column, _greatest: f"{2**128 - number:032x}",
    Type.DATE: lambda number, _column, _greatest: date.max - timedelta(days=number),
    Type.DATETIME: lambda number, column, _: (
        datetime(9999, 12, 30, tzinfo=UTC if column.zone else None) - timedelta(seconds=number)
    ),
    Type.DECIMAL: lambda number, column, _: (10**column.digits - number) * Decimal(10) ** -column.places,
}
