"""Pieces of PostgreSQL's SQL: the rows of a batch compared with those that a table holds, and put into it. Pure.

In all of them `batch` is a row of the batch, whose columns are c0, c1, ..., and `stored` a row of the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

import polars as pl

from async_loader.columns import Column, Type
from async_loader.effects import Packed
from async_loader.stores.names import joined_parts, quoted, table_sql
from async_loader.stores.postgres.arrays import Arrays, arrays_of
from async_loader.stores.store import assignments
from async_loader.tables import Table

# The table in which a statement finds its batch, which lives as long as the statement.
BATCH = "loader_batch"
# How a statement begins that takes the batch itself, from its client.
COPY = "COPY "

# Values that a batch has as text.
_CASTS = {Type.UUID: "::uuid", Type.JSON: "::jsonb"}

# In JSON, escapes of what jsonb cannot hold, once escaped backslashes and whole pairs are out of the way.
_HARMLESS = r"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F].."
_UNSTORABLE = r"\\u0000|\\u[dD][89a-fA-F].."

# How far a counter is moved by taking numbers from it, which no session can take at the same time. To a place further
# away it is set, between which and reading it no other session takes that many.
_TAKEN = 1000
# The counter is the sequence that the column owns, or else those that its default names. One that is ahead of all keys
# stays where it is; one that has counted nothing yet says null.
_COUNTER = """\
SELECT CASE WHEN greatest - last <= {taken}
    THEN (SELECT max(number) FROM (
        SELECT nextval(counter) AS number FROM generate_series(1, (greatest - last - 1) / seqincrement + 1)) AS taken)
    ELSE setval(counter, greatest) END
FROM (SELECT seqrelid::regclass AS counter, seqincrement, seqstart FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence($1, $2)::regclass OR seqrelid IN (SELECT refobjid FROM pg_attrdef
        JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        WHERE refclassid = 'pg_class'::regclass AND adrelid = to_regclass($1) AND attname = $2)
    OFFSET 0) AS counters,
LATERAL (SELECT {greatest} AS greatest FROM {table}) AS held,
LATERAL (SELECT CASE WHEN has_sequence_privilege(counter, 'UPDATE') AND has_sequence_privilege(counter, 'SELECT')
    THEN coalesce(pg_sequence_last_value(counter), seqstart - seqincrement) END AS last) AS counted
WHERE greatest > last AND seqincrement > 0"""


def with_batch(sql: str, batch: Arrays, bound: int) -> str:
    """Return a statement that finds a batch under its name. The arrays of the batch are bound after `bound` values."""
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(batch.types, bound + 1))
    names = ", ".join(f"c{place}" for place in range(len(batch.types)))
    return f"WITH {BATCH} AS (SELECT * FROM unnest({arrays}) AS batch ({names})) {sql}"


def counter(table: Table) -> str:
    """Return the statement that moves the counter of a key past all keys; a role that may not move it leaves it."""
    return _COUNTER.format(greatest=f"max({quoted(table.key)})", table=table_sql(table.name), taken=_TAKEN)


def counter_past(table: Table) -> str:
    """Return the statement that moves the counter of a key past all keys, and past a number that is bound as well."""
    greatest = f"greatest(max({quoted(table.key)}), $3::bigint)"
    return _COUNTER.format(greatest=greatest, table=table_sql(table.name), taken=_TAKEN)


def relation(table: Table) -> str:
    """Return the rows of a table in SQL: of one with parents, those of all its parts together."""
    return joined_parts(table, table_sql) if table.parents else table_sql(table.name)


def looked_up(table: Table, condition: str) -> str:
    """Return the rows of a batch with the stored ones under the condition, looked up by index row after row. The
    planner may believe that a table which was filled a moment ago is empty: OFFSET leaves it no other way.
    """
    stored = f"SELECT * FROM {relation(table)} AS stored WHERE {condition} OFFSET 0"
    return f"{BATCH} AS batch CROSS JOIN LATERAL ({stored}) AS stored"


def joined(table: Table, condition: str) -> str:
    """Return the rows of a batch with the stored ones under the condition, for which there is no index."""
    return f"{BATCH} AS batch JOIN {relation(table)} AS stored ON {condition}"


def cast_of(column: Column) -> str:
    """Return what makes a value of a column of the text that a batch has; nothing where that has it as it is."""
    return f"::{column.declared}" if column.type is Type.OTHER else _CASTS.get(column.type, "")


def insertion(table: Table) -> str:
    """Return how rows are inserted: into a key that the server counts up as well, as COPY does."""
    return f"INSERT INTO {table_sql(table.name)} ({', '.join(map(quoted, table.column_names))}) OVERRIDING SYSTEM VALUE"


def replacing(table: Table, absent: Collection[str]) -> str:
    """Return how an insertion replaces rows that have the same key."""
    others = [quoted(name) for name in table.column_names if name != table.key and name not in absent]
    # To take the key that a row has already is to change nothing, and counts.
    assignments = ", ".join(f"{name} = excluded.{name}" for name in others or [quoted(table.key)])
    return f" ON CONFLICT ({quoted(table.key)}) DO UPDATE SET {assignments}"


def updating(table: Table, absent: Collection[str]) -> str:
    """Return the statement that changes the rows that have the keys of a batch, and makes no new ones."""
    values = assignments(table, absent, lambda place: f"batch.c{place}{cast_of(table.columns[place])}")
    key = table.column_names.index(table.key)
    same = is_same(key, table.column(table.key), "=")
    return f"UPDATE {table_sql(table.name)} AS stored SET {values} FROM {BATCH} AS batch WHERE {same}"


def updating_one(table: Table, absent: Collection[str]) -> str:
    """Return the statement that changes the row that has the key of one record, whose values are bound: those of its
    columns that are not absent, since the server refuses one that it has no use for.
    """
    given = [name for name in table.column_names if name not in absent]
    values = assignments(table, absent, lambda place: f"${given.index(table.column_names[place]) + 1}")
    key = given.index(table.key) + 1
    return f"UPDATE {table_sql(table.name)} SET {values} WHERE {quoted(table.key)} = ${key}"


def is_unchanged(place: int, column: Column) -> str:
    """Return that a stored value is the one read; JSON that jsonb cannot hold, which a column of type json can, is
    compared as it is written.
    """
    if column.type is not Type.JSON:
        return is_same(place, column)
    read, stored = f"batch.c{place}", f"stored.{quoted(column.name)}::text"
    unstorable = f"regexp_replace(concat({read}, {stored}), '{_HARMLESS}', '', 'g') ~ '{_UNSTORABLE}'"
    return f"CASE WHEN {unstorable} THEN {read} IS NOT DISTINCT FROM {stored} ELSE {is_same(place, column)} END"


def is_same(place: int, column: Column, equals: str = "IS NOT DISTINCT FROM") -> str:
    """Return that a stored value is the one read; texts byte for byte, whatever order the column has."""
    read, stored = f"batch.c{place}{cast_of(column)}", f"stored.{quoted(column.name)}"
    if column.type is Type.OTHER and equals != "=":
        # Some types cannot be compared, and each has one text for each value.
        return f"{_written(read)} {equals} {_written(stored)}"
    if column.type is Type.JSON:
        return f"{read} {equals} {stored}::jsonb"
    if column.type is not Type.TEXT:
        return f"{read} {equals} {stored}"
    exactly = f'{read} COLLATE "C" {equals} {stored} COLLATE "C"'
    # The index of the column is in the column's own order.
    return f"({read} = {stored} AND {exactly})" if equals == "=" else exactly


def stored_value(column: Column) -> str:
    """Return a stored value in the form in which a batch has it."""
    name = f"stored.{quoted(column.name)}"
    if column.type is Type.UUID:
        return f"replace({name}::text, '-', '')"
    if column.type is Type.OTHER:
        return f"CASE WHEN {name} IS NOT NULL THEN {_written(name)} END"
    return f"{name}::text" if column.type is Type.JSON else name


def _written(value: str) -> str:
    """Return the text that the server gives to its clients: of inet, a cast to text would give another one."""
    return f"format('%s', {value})"


def placed(frame: pl.DataFrame, key: str) -> Sequence[Packed]:
    """Return rows packed, with their places as the last column, in the order in which the server finds them fastest."""
    places = pl.int_range(pl.len(), dtype=pl.Int64).alias(f"c{uuid.uuid4().hex}")
    return arrays_of(frame.with_columns(places).sort(key))


def comparable(name: str) -> pl.Expr:
    """Return a column of JSON that jsonb can read: what it cannot hold is made a text that no row has."""
    column = pl.col(name)
    unstorable = column.str.replace_all(_HARMLESS, "").str.contains(_UNSTORABLE)
    return pl.when(unstorable).then(pl.lit(f'"{uuid.uuid4().hex}"')).otherwise(column).alias(name)
