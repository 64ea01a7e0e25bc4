"""How PostgreSQL finds rows by values in some of their columns, and where it takes keys for new rows from. Steps."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from async_loader.columns import Column, Type
from async_loader.constraints import Unique
from async_loader.effects import Call, Change, Query, Steps
from async_loader.errors import StoreError
from async_loader.records.row_index import FoundRows, found_rows
from async_loader.stores.computing import ReadBack, computes_none, series_of
from async_loader.stores.names import quoted, table_sql
from async_loader.stores.new_keys import NewKeys
from async_loader.stores.postgres.arrays import arrays_of
from async_loader.stores.postgres.rows import WRITTEN, as_values
from async_loader.stores.postgres.statements import (
    BATCH,
    cast_of,
    comparable,
    counter_past,
    is_same,
    joined,
    looked_up,
    placed,
    stored_value,
)
from async_loader.stores.store import integers
from async_loader.tables import Table

_INDEXED = """\
SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = to_regclass($1) AND indisvalid AND indpred IS NULL"""
# How the server makes a value of a column: from the sequence of an identity, or by evaluating the column's default.
_DEFAULT = """\
SELECT CASE WHEN attidentity <> '' THEN format('nextval(%L)', pg_get_serial_sequence($1, $2))
ELSE pg_get_expr(adbin, adrelid) END FROM pg_attribute
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = to_regclass($1) AND attname = $2"""

# The default of a column, and its type.
_COMPUTED = """\
SELECT pg_get_expr(adbin, adrelid), format_type(atttypid, atttypmod) FROM pg_attribute
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = to_regclass($1) AND attname = $2"""


def find(
    database: str, table: Table, columns: Sequence[Column], wanted: Column, frame: pl.DataFrame, *, is_indexed: bool
) -> Steps[FoundRows]:
    """Do what `Store.find` says."""
    same = " AND ".join(is_same(place, column, "=") for place, column in enumerate(columns))
    place, value = f"batch.c{frame.width}", f"stored.{quoted(wanted.name)}"
    written, _ = WRITTEN[wanted.type]
    sql = f"""SELECT string_agg(place::text, ','), string_agg({written.format("value")}, ','),
            string_agg(CASE WHEN matches > 1 THEN '1' ELSE '0' END, ',')
        FROM (SELECT {place} AS place, (array_agg({value}))[1] AS value, count(*) AS matches
            FROM {looked_up(table, same) if is_indexed else joined(table, same)} GROUP BY 1) AS found"""
    answers = yield Query(database, sql, batch=placed(frame, frame.columns[0]))
    places, several = integers(each for each, _, _ in answers), integers(each for _, _, each in answers)
    texts = [values for _, values, _ in answers if values is not None]
    values = as_values(texts, wanted)
    return found_rows(len(frame), places, values, several == 1)


def linked(database: str, table: Table, column: Column, wanted: Column, values: pl.Series) -> Steps[pl.DataFrame]:
    """Do what `Store.linked` says."""
    key = table.column(table.key)
    texts = ", ".join(
        f"string_agg({WRITTEN[each.type][0].format(f'stored.{quoted(each.name)}')}, ',')" for each in (wanted, key)
    )
    found = looked_up(table, f"{is_same(0, column, '=')} AND {quoted(wanted.name)} IS NOT NULL")
    sql = f"SELECT string_agg(batch.c1::text, ','), {texts} FROM {found}"
    rows = yield Query(database, sql, batch=(yield Call(placed, (values.to_frame(), values.name))))
    answers = [row for row in rows if row[0]]
    made = [as_values([row[number] for row in answers], each) for number, each in enumerate((wanted, key), 1)]
    places = integers(row[0] for row in answers)
    return pl.DataFrame([places.alias("place"), made[0].alias("value"), made[1].alias("key")]).sort("place")


def delete(database: str, table: Table, keys: pl.Series) -> Steps[int]:
    """Do what `Store.delete` says."""
    cast = cast_of(table.column(table.key))
    sql = f"DELETE FROM {table_sql(table.name)} WHERE {quoted(table.key)} IN (SELECT c0{cast} FROM {BATCH})"
    changed: int = yield Change(database, sql, (), (yield Call(arrays_of, (keys.to_frame(),))))
    return changed


def owned(database: str, table: Table, unique: Unique, records: pl.DataFrame) -> Steps[pl.Series]:
    """Do what `Store.owned` says."""
    other = f"NOT ({is_same(0, table.column(table.key))})"
    columns, equals = [table.column(name) for name in unique.columns], "IS NOT DISTINCT FROM"
    equals = equals if unique.nulls_equal else "="
    same = " AND ".join(is_same(place, column, equals) for place, column in enumerate(columns, 1))
    # In parentheses, since a condition may have OR in it.
    within = "" if unique.where is None else f" AND ({unique.where.sql})"
    found = looked_up(table, f"{same} AND {other}{within}")
    sql = f"SELECT string_agg(batch.c{records.width}::text, ',') FROM {found}"
    frame = records.with_columns(comparable(column.name) for column in columns if column.type is Type.JSON)
    rows = yield Query(database, sql, batch=(yield Call(placed, (frame, columns[0].name))))
    return integers(places for (places,) in rows).sort()


def is_indexed(database: str, table: Table, columns: Sequence[Column]) -> Steps[bool]:
    """Do what `Store.is_indexed` says."""
    rows = yield Query(database, _INDEXED, (table_sql(table.name),))
    return any(column.name == name for (name,) in rows for column in columns)


def new_keys(database: str, table: Table) -> Steps[NewKeys]:
    """Do what `Store.new_keys` says."""
    rows = yield Query(database, _DEFAULT, (table_sql(table.name), table.key))
    if not rows or rows[0][0] is None:
        raise StoreError(database, f"table {table.name}: makes no {table.key} for a new row; give it in the source")
    return _Evaluated(database, rows[0][0], table)


def computed(database: str, table: Table, column: Column, size: int, read_back: ReadBack) -> Steps[pl.Series]:
    """Do what `Store.computed` says."""
    found = yield Query(database, _COMPUTED, (table_sql(table.name), column.name))
    if not found or found[0][0] is None:
        raise computes_none(database, table, column)
    expression, kind = found[0]
    sql = f"""SELECT {stored_value(column)}
        FROM (SELECT CAST(({expression}) AS {kind}) AS {quoted(column.name)} FROM generate_series(1, $1)) AS stored"""
    rows = yield Query(database, sql, (size,))
    values: pl.Series = yield Call(series_of, (database, column, [value for (value,) in rows], read_back))
    return values


class _Evaluated:
    """Keys that the server makes by evaluating an expression for each: no other session gets the same."""

    def __init__(self, database: str, expression: str, table: Table) -> None:
        self._database = database
        self._expression = expression
        self._table = table
        self._column = table.column(table.key)
        # The greatest integer among the keys that the source has brought itself.
        self._brought = 0

    def take(self, size: int) -> Steps[pl.Series]:
        """Do what `NewKeys` says of it. A counter that has not come past the keys of the source is moved there."""
        keys = yield from self._evaluated(size)
        if not self._brought or keys.filter(keys <= self._brought).is_empty():
            return keys
        yield Query(
            self._database,
            counter_past(self._table),
            (table_sql(self._table.name), self._table.key, self._brought),
        )
        return (yield from self._evaluated(size))

    def _evaluated(self, size: int) -> Steps[pl.Series]:
        written, _ = WRITTEN[self._column.type]
        sql = f"""SELECT string_agg({written.format("value")}, ',' ORDER BY number)
            FROM (SELECT number, ({self._expression}) AS value FROM generate_series(1, $1) AS number) AS made"""
        rows = yield Query(self._database, sql, (size,))
        texts = [text for (text,) in rows if text is not None]
        return as_values(texts, self._column)

    def skip(self, greatest: object) -> None:
        """Do what `NewKeys` says of it."""
        if isinstance(greatest, int):
            self._brought = max(self._brought, greatest)
