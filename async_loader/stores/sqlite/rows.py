"""Rows that a table holds, part after part: what a check of stored references asks of SQLite.

A part of many rows comes as one row of texts, because that is handed over far faster than a row for each; they are
taken apart by columns. Rows in whole are fetched only where a report shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from async_loader.columns import Column, Type
from async_loader.effects import Call, Query, Steps
from async_loader.records.arrays import from_flags
from async_loader.stores.answers import Part
from async_loader.stores.computing import ReadBack
from async_loader.stores.names import bare_name, quoted
from async_loader.stores.sqlite.statements import in_main, relation
from async_loader.stores.sqlite.written import WRITTEN, values_in
from async_loader.tables import Table

# Names for the place of a row, as long as no column has taken them: https://www.sqlite.org/rowidtable.html
_ROWID_NAMES = ("_rowid_", "rowid", "oid")

# What a value is: one of its column's type, null, or of another type.
_TYPED, _NULL, _OTHER = "tno"


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a table in the order of their places, which are rowids, or keys in a table WITHOUT ROWID.

    place: the place in SQL. extent: the first and the last place; None where there are no rows.
    """

    database: str
    table: Table
    place: str
    extent: tuple[Any, Any] | None
    read_back: ReadBack

    def read(self, columns: Sequence[str], after: Any, most: int) -> Steps[Part | None]:
        """Do what `StoredRows.read` says."""
        chosen = [self.table.column(name) for name in columns]
        texts = ", ".join(_texts(f"c{number}", column.type) for number, column in enumerate(chosen))
        named = [f"{quoted(column.name)} AS c{number}" for number, column in enumerate(chosen)]
        sql = f"SELECT max(place), count(*), {texts} FROM ({self._part(after, named)})"
        [row] = yield Query(self.database, sql, self._bound(after, most))
        part: Part | None = yield Call(_parsed, (row, after, chosen, self.read_back))
        return part

    def whole(self, after: Any, numbers: Sequence[int]) -> Steps[list[tuple[Any, ...]]]:
        """Do what `StoredRows.whole` says. Text that is not UTF-8 has escapes."""
        names = self.table.column_names
        # sqlite3 refuses to fetch text that is not UTF-8.
        values = ", ".join(
            f"typeof(c{n}), iif(typeof(c{n}) = 'text', CAST(c{n} AS BLOB), c{n})" for n in range(len(names))
        )
        named = [f"{quoted(name)} AS c{number}" for number, name in enumerate(names)]
        sql = f"""SELECT {values} FROM (
            SELECT row_number() OVER (ORDER BY place) - 1 AS number, * FROM ({self._part(after, named)}))
            WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"""
        parameters = (*self._bound(after, numbers[-1] + 1), json.dumps(list(numbers)))
        rows = yield Query(self.database, sql, parameters)
        return [tuple(map(_readable, row[::2], row[1::2])) for row in rows]

    def _part(self, after: Any, named: Iterable[str]) -> str:
        following = "" if after is None else f"WHERE {self.place} > ?"
        columns = ", ".join([f"{self.place} AS place", *named])
        return f"SELECT {columns} FROM {relation(self.table)} AS stored {following} ORDER BY {self.place} LIMIT ?"

    def _bound(self, after: Any, most: int) -> tuple[Any, ...]:
        return (most,) if after is None else (after, most)


def stored_rows(database: str, table: Table, read_back: ReadBack) -> Steps[Rows]:
    """Return the rows of a table that has been checked. It reads from the table, so a transaction that has begun sees
    this state of the database from here on.
    """
    if table.parents:
        # Of a part alone a key is no place: the rows of all parts have their key for one.
        extent = yield from _extent(database, quoted(table.key), relation(table))
        return Rows(database, table, quoted(table.key), extent, read_back)
    bare = bare_name(table.name)
    columns = yield Query(database, "SELECT lower(name) FROM pragma_table_info(?)", (bare,))
    taken = {name for (name,) in columns}
    without = yield Query(database, "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main' AND wr", (bare,))
    free = [] if without else [name for name in _ROWID_NAMES if name not in taken]
    place, name = free[0] if free else quoted(table.key), in_main(bare)
    return Rows(database, table, place, (yield from _extent(database, place, name)), read_back)


def _extent(database: str, place: str, rows: str) -> Steps[tuple[Any, Any] | None]:
    [(first, last)] = yield Query(
        database, f"SELECT (SELECT min({place}) FROM {rows}), (SELECT max({place}) FROM {rows})"
    )
    return None if first is None else (first, last)


def _texts(name: str, wanted: Type) -> str:
    """Return, in SQL, all values of a column as one text, and the kinds of the values as another, a letter for each."""
    written = WRITTEN[wanted]
    kinds = ", ".join(f"'{kind}'" for kind in written.stored)
    is_typed = f"typeof({name}) IN ({kinds})"
    values = f"iif({is_typed}, {written.sql(name)}, {written.other})"
    letters = f"CASE WHEN {is_typed} THEN '{_TYPED}' WHEN {name} IS NULL THEN '{_NULL}' ELSE '{_OTHER}' END"
    return f"group_concat({values}), group_concat({letters}, '')"


def _parsed(row: Sequence[Any], after: Any, chosen: Sequence[Column], read_back: ReadBack) -> Part | None:
    last, size, *texts = row
    if not size:
        return None
    columns = [_column(*each, read_back) for each in zip(texts[::2], texts[1::2], chosen, strict=True)]
    return Part(after, last, size, tuple(keys for keys, _ in columns), tuple(unreadable for _, unreadable in columns))


def _column(values: str | None, kinds: str, wanted: Column, read_back: ReadBack) -> tuple[pl.Series, pl.Series]:
    """Return the values, and which of them are not null and yet of another type."""
    kind = np.frombuffer(kinds.encode(), np.uint8)
    # Nothing but empty text is null to some versions of group_concat.
    keys = values_in([values or ""], wanted, read_back)
    if (kind != ord(_TYPED)).any():
        keys = pl.select(pl.when(from_flags(kind == ord(_TYPED))).then(keys)).to_series()
    return keys, keys.is_null() & from_flags(kind != ord(_NULL))


def _readable(kind: str, value: Any) -> Any:
    return value.decode(errors="backslashreplace") if kind == "text" else value
