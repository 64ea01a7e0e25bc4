"""Values that a database computes for new rows, by the default that a column has there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import polars as pl

from async_loader.columns import Column
from async_loader.errors import StoreError
from async_loader.tables import Table

# Returns a stored value as a batch has it, and whether it is odd; see `Store.read_back`.
ReadBack: TypeAlias = Callable[[Column, Any], tuple[Any, bool]]


def computes_none(database: str, table: Table, column: Column) -> StoreError:
    """Return the error of a column that has no default in its database."""
    problem = f"table {table.name}: has no default for {column.name}, which the source lacks"
    return StoreError(database, f"{problem}; give it in the source, or a constant with --set")


def series_of(database: str, column: Column, computed: Iterable[Any], read_back: ReadBack) -> pl.Series:
    """Return values that a database has computed as a batch has them. StoreError for one that is no value."""
    values = []
    for each in computed:
        value, is_odd = read_back(column, each)
        if is_odd:
            problem = f"the default of {column.name} gives {each!r}, which is no {column.type.value}"
            raise StoreError(database, f"{problem}; give it in the source, or a constant with --set")
        values.append(value)
    return pl.Series(column.name, values, dtype=column.dtype)
