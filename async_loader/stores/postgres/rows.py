"""Rows that a table holds, part after part, in the order of their keys: what a check of stored references asks.

A part of many rows comes as one row of texts, because that is handed over far faster than a row for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from async_loader.columns import Column, Type
from async_loader.effects import Call, Query, Steps
from async_loader.records.arrays import all_false, from_flags
from async_loader.stores.answers import Part
from async_loader.stores.names import quoted
from async_loader.stores.postgres.statements import relation
from async_loader.stores.store import integers
from async_loader.tables import Table

# How a value of a type is written into a text of many, and what stands for null. Times are counted from 1970.
_MICROSECONDS = ("(extract(epoch FROM {}) * 1000000)::bigint::text", "0")
WRITTEN = {
    Type.INTEGER: ("{}::text", "0"),
    Type.TEXT: ("encode(convert_to({}, 'UTF8'), 'hex')", ""),
    Type.UUID: ("replace({}::text, '-', '')", ""),
    Type.REAL: ("{}::text", "0"),
    Type.DECIMAL: ("{}::text", "0"),
    Type.BOOLEAN: ("{}::int::text", "0"),
    Type.DATE: ("({} - DATE '1970-01-01')::text", "0"),
    Type.DATETIME: _MICROSECONDS,
    Type.TIME: _MICROSECONDS,
    Type.DURATION: _MICROSECONDS,
    Type.BINARY: ("encode({}, 'hex')", ""),
    Type.OTHER: ("encode(convert_to(format('%s', {}), 'UTF8'), 'hex')", ""),
}

# What JSON has values for.
_PLAIN = {Type.INTEGER, Type.REAL, Type.TEXT, Type.BOOLEAN}


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a table. A place is a key. extent: the first and the last key; None where that is not known."""

    database: str
    table: Table
    extent: tuple[Any, Any] | None

    def read(self, columns: Sequence[str], after: Any, most: int) -> Steps[Part | None]:
        """Do what `StoredRows.read` says."""
        chosen = [self.table.column(name) for name in columns]
        texts = ", ".join(_texts(f"c{number}", column.type) for number, column in enumerate(chosen))
        sql = f"""SELECT (array_agg(place ORDER BY number DESC))[1], count(*), {texts}
            FROM ({self._part(after, columns)}) AS part"""
        [row] = yield Query(self.database, sql, self._bound(after, most))
        part: Part | None = yield Call(_parsed, (row, after, chosen))
        return part

    def whole(self, after: Any, numbers: Sequence[int]) -> Steps[list[tuple[Any, ...]]]:
        """Do what `StoredRows.whole` says."""
        names, bound = self.table.column_names, self._bound(after, numbers[-1] + 1)
        shown = ", ".join(_shown(f"c{place}", column.type) for place, column in enumerate(self.table.columns))
        sql = f"""SELECT {shown} FROM ({self._part(after, names)}) AS part
            WHERE number - 1 = ANY(${len(bound) + 1}) ORDER BY number"""
        rows: list[tuple[Any, ...]] = yield Query(self.database, sql, (*bound, list(numbers)))
        return rows

    def _part(self, after: Any, columns: Sequence[str]) -> str:
        key = quoted(self.table.key)
        following = "" if after is None else f"WHERE {key} > $2"
        named = ", ".join([f"{key} AS place", *(f"{quoted(name)} AS c{n}" for n, name in enumerate(columns))])
        part = f"SELECT {named} FROM {relation(self.table)} AS stored {following} ORDER BY {key} LIMIT $1"
        return f"SELECT row_number() OVER (ORDER BY place) AS number, * FROM ({part}) AS part"

    def _bound(self, after: Any, most: int) -> tuple[Any, ...]:
        return (most,) if after is None else (most, after)


def stored_rows(database: str, table: Table) -> Steps[Rows]:
    """Return the rows of a table that has been checked. A transaction that has begun sees this state of the database
    from here on.
    """
    extent = None
    if table.column(table.key).type is Type.INTEGER:
        key, name = quoted(table.key), f"{relation(table)} AS stored"
        [found] = yield Query(database, f"SELECT (SELECT min({key}) FROM {name}), (SELECT max({key}) FROM {name})")
        extent = None if found[0] is None else found
    return Rows(database, table, extent)


def _shown(name: str, kind: Type) -> str:
    """Return, in SQL, a value in a form that JSON has; any other, which may be past all that Python has, is a text."""
    if kind is Type.UUID:
        return f"replace({name}::text, '-', '')"
    return name if kind in _PLAIN else f"{name}::text"


def _texts(name: str, wanted: Type) -> str:
    """Return, in SQL, all values of a column as one text, and which of them are null as another, a letter for each."""
    written, nothing = WRITTEN[wanted]
    values = f"string_agg(coalesce({written.format(name)}, '{nothing}'), ',' ORDER BY number)"
    nulls = f"string_agg(CASE WHEN {name} IS NULL THEN 'n' ELSE 't' END, '' ORDER BY number)"
    return f"{values}, {nulls}"


def _parsed(row: Sequence[Any], after: Any, chosen: Sequence[Column]) -> Part | None:
    last, size, *texts = row
    if not size:
        return None
    columns = [_column(*each) for each in zip(texts[::2], texts[1::2], chosen, strict=True)]
    nothing = all_false(size)
    return Part(after, last, size, tuple(columns), (nothing,) * len(columns))


def _column(values: str, nulls: str, wanted: Column) -> pl.Series:
    is_null = from_flags(np.frombuffer(nulls.encode(), np.uint8) == ord("n"))
    keys = as_values([values], wanted)
    return pl.select(pl.when(~is_null).then(keys)).to_series() if is_null.any() else keys


def as_values(texts: Sequence[str], column: Column) -> pl.Series:
    """Return the values of which texts of many are made, as `WRITTEN` says."""
    match column.type:
        case Type.INTEGER:
            return integers(texts)
        case Type.BOOLEAN | Type.DATETIME | Type.DURATION:
            return integers(texts).cast(column.dtype)
        case Type.DATE:
            return integers(texts).cast(pl.Int32).cast(pl.Date)
        case Type.TIME:
            return (integers(texts) * 1000).cast(pl.Time)
    values = pl.Series([value for text in texts for value in text.split(",")], dtype=pl.String)
    match column.type:
        case Type.REAL | Type.DECIMAL:
            return values.cast(column.dtype, strict=False)
        case Type.BINARY:
            return values.str.decode("hex")
        case Type.TEXT | Type.OTHER:
            return values.str.decode("hex").cast(pl.String)
    return values
