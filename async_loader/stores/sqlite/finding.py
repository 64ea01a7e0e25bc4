"""How SQLite finds rows by values in some of their columns, and where it takes keys for new rows from. Steps."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.effects import Call, Query, Steps
from async_loader.errors import StoreError
from async_loader.records.row_index import FoundRows, found_rows
from async_loader.stores.computing import ReadBack, computes_none, series_of
from async_loader.stores.names import bare_name, quoted
from async_loader.stores.new_keys import CountedKeys, NewKeys
from async_loader.stores.sqlite import images
from async_loader.stores.sqlite.statements import BATCH, in_main, is_exactly, relation
from async_loader.stores.sqlite.written import WRITTEN, values_in
from async_loader.stores.store import integers
from async_loader.tables import Table

# The columns of the table's own key, and of every index of the whole table, each with its place in it.
_INDEXED = """\
SELECT name FROM pragma_table_info(?) WHERE pk = 1 UNION
SELECT columns.name FROM pragma_index_list(?) AS indexes, pragma_index_info(indexes.name) AS columns
WHERE NOT indexes.partial AND columns.seqno = 0"""
_FREE = "batch.{} = +stored.{} COLLATE BINARY"
_COUNTS_UP = """\
SELECT upper(type) = 'INTEGER', dflt_value FROM pragma_table_info(?) WHERE name = ? AND pk = 1
AND (SELECT count(*) FROM pragma_table_info(?) WHERE pk) = 1"""


def find(
    database: str,
    table: Table,
    columns: Sequence[Column],
    wanted: Column,
    frame: pl.DataFrame,
    *,
    is_indexed: bool,
    read_back: ReadBack,
) -> Steps[FoundRows]:
    """Do what `Store.find` says, with values as they are stored."""
    same = " AND ".join(_is_same(f"c{n}", column.name, is_indexed=is_indexed) for n, column in enumerate(columns))
    # To count the rows of each record takes longer than to find them. Where hardly any has several, each is listed.
    value, matches, grouped = f"stored.{quoted(wanted.name)}", "1", ""
    if not _is_unique(table, columns):
        value, matches, grouped = f"min({value})", "count(*)", "GROUP BY batch._rowid_"
    # The first is the outer loop. Without an index of the table, SQLite makes one of the batch for this statement.
    both = [f"{BATCH} AS batch", f"{relation(table)} AS stored"]
    rows = " CROSS JOIN ".join(both if is_indexed else reversed(both))
    sql = f"""SELECT group_concat(place), group_concat({WRITTEN[wanted.type].sql("value")}),
        group_concat(place) FILTER (WHERE matches > 1) FROM (
        SELECT batch._rowid_ AS place, {value} AS value, {matches} AS matches
        FROM {rows} ON {same} {grouped})"""
    answers = yield Query(database, sql, batch=images.images(frame))
    answer: FoundRows = yield Call(_answer, (len(frame), wanted, answers, read_back))
    return answer


def _is_same(read: str, name: str, *, is_indexed: bool) -> str:
    """Return that a stored value is the one read, by an index of the table, or else by an index of the batch, which
    serves for values only that have no type of a column.
    """
    by_index = f"stored.{quoted(name)} = batch.{read}" if is_indexed else _FREE.format(read, quoted(name))
    return f"{by_index} AND {is_exactly(read, name)}"


def _is_unique(table: Table, columns: Sequence[Column]) -> bool:
    """Return whether the table is declared to have at most one row with the same values in these columns."""
    names = {column.name for column in columns}
    return any(unique <= names for unique in table.unique_columns)


def _answer(size: int, wanted: Column, answers: Sequence[Sequence[str | None]], read_back: ReadBack) -> FoundRows:
    """Return what was found from the texts that SQLite gives: places, values, and places with several rows."""
    places = integers(each for each, _, _ in answers)
    several = places.is_in(integers(each for _, _, each in answers).implode()) | places.is_duplicated()
    values = values_in((values for _, values, _ in answers if values is not None), wanted, read_back)
    return found_rows(size, places, values, several)


def linked(
    database: str, table: Table, column: Column, wanted: Column, frame: pl.DataFrame, *, read_back: ReadBack
) -> Steps[pl.DataFrame]:
    """Do what `Store.linked` says."""
    given = {"value": wanted, "key": table.column(table.key)}
    value, key = (f"stored.{quoted(each.name)}" for each in given.values())
    texts = ", ".join(f"group_concat({WRITTEN[each.type].sql(name)})" for name, each in given.items())
    sql = f"""SELECT group_concat(place), {texts} FROM (
        SELECT batch._rowid_ AS place, {value} AS value, {key} AS key
        FROM {BATCH} AS batch CROSS JOIN {in_main(table.name)} AS stored
        ON stored.{quoted(column.name)} = batch.c0 AND {is_exactly("c0", column.name)} WHERE {value} IS NOT NULL)"""
    answers = [row for row in (yield Query(database, sql, batch=images.images(frame))) if row[0]]
    found = [
        values_in((row[number] or "" for row in answers), each, read_back)
        for number, each in enumerate(given.values(), 1)
    ]
    places = integers(row[0] for row in answers)
    return pl.DataFrame([places.alias("place"), found[0].alias("value"), found[1].alias("key")])


def is_indexed(database: str, table: Table, columns: Sequence[Column]) -> Steps[bool]:
    """Do what `Store.is_indexed` says."""
    name = bare_name(table.name)
    rows = yield Query(database, _INDEXED, (name, name))
    return any(column.name == name for (name,) in rows for column in columns)


def new_keys(database: str, table: Table, read_back: ReadBack) -> Steps[NewKeys]:
    """See Store. Only a key that is SQLite's own number of the row is counted up."""
    name = bare_name(table.name)
    found = yield Query(database, _COUNTS_UP, (name, table.key, name))
    if found and found[0][1] is not None:
        return _Evaluated(database, found[0][1], table.column(table.key), read_back)
    if not found or not found[0][0]:
        raise StoreError(database, f"table {table.name}: makes no {table.key} for a new row; give it in the source")
    [(greatest,)] = yield Query(database, f"SELECT max({quoted(table.key)}) FROM {in_main(name)}")
    counters = yield Query(database, "SELECT 1 FROM main.sqlite_master WHERE name = 'sqlite_sequence'")
    sql = "SELECT seq FROM main.sqlite_sequence WHERE name = ?"
    counted = (yield Query(database, sql, (name,))) if counters else []
    return CountedKeys(database, max(greatest or 0, *(number for (number,) in counted), 0) + 1)


def computed(database: str, table: Table, column: Column, size: int, read_back: ReadBack) -> Steps[pl.Series]:
    """Do what `Store.computed` says."""
    sql = "SELECT dflt_value FROM pragma_table_info(?) WHERE name = ?"
    found = yield Query(database, sql, (bare_name(table.name), column.name))
    if not found or found[0][0] is None:
        raise computes_none(database, table, column)
    rows = yield from _evaluated(database, found[0][0], size)
    spelled = [_spelled(column, value) for value in rows]
    values: pl.Series = yield Call(series_of, (database, column, spelled, read_back))
    return values


def _spelled(column: Column, value: Any) -> Any:
    """Return a value that SQLite has computed as it would be stored: its functions write times in other ways."""
    if column.type is not Type.DATETIME or not isinstance(value, str):
        return value
    with contextlib.suppress(ValueError):
        return str(datetime.fromisoformat(value))
    return value


def _evaluated(database: str, expression: str, size: int) -> Steps[list[Any]]:
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
    rows = yield Query(database, f"{numbers} SELECT ({expression}) FROM numbers", (size,))
    return [value for (value,) in rows]


class _Evaluated:
    """Keys that the default of a column gives, evaluated by SQLite for each."""

    def __init__(self, database: str, expression: str, column: Column, read_back: ReadBack) -> None:
        self._database = database
        self._expression = expression
        self._column = column
        self._read_back = read_back

    def take(self, size: int) -> Steps[pl.Series]:
        """Do what `NewKeys` says of it."""
        made = [
            _spelled(self._column, each) for each in (yield from _evaluated(self._database, self._expression, size))
        ]
        return series_of(self._database, self._column, made, self._read_back)

    def skip(self, greatest: object) -> None:
        """Do what `NewKeys` says of it."""
