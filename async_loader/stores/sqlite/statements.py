"""Pieces of SQLite's SQL, and values in the types in which SQLite stores them. Pure.

In all of them `batch` is a row of the batch, whose columns are c0, c1, ..., and `stored` a row of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import polars as pl

from async_loader.columns import Column, Type
from async_loader.constraints import Unique
from async_loader.records.zones import all_of_zone
from async_loader.stores.names import bare_name, joined_parts, quoted
from async_loader.stores.sqlite import images
from async_loader.stores.sqlite.json_values import SAME_JSON
from async_loader.stores.store import assignments
from async_loader.tables import Table

# What each connection calls the database in memory that holds an image, and the table of the image in it.
IMAGE = "loader_image"
BATCH = f"{IMAGE}.{images.TABLE}"


def in_main(name: str) -> str:
    """Return the name of a table, safe in SQL, in the database itself, whatever a connection has attached."""
    return f"main.{quoted(bare_name(name))}"


def relation(table: Table) -> str:
    """Return the rows of a table in SQL: of one with parents, those of all its parts together."""
    if not table.parents:
        return in_main(table.name)
    return joined_parts(table, in_main)


def insertion(table: str, columns: Sequence[str], rows: str) -> str:
    """Return how rows are inserted: a row that breaks a constraint is refused, even where the constraint was declared
    to ignore or replace rows.
    """
    return f"INSERT OR ABORT INTO {in_main(table)} ({', '.join(map(quoted, columns))}) {rows}"


def replacing(table: Table, absent: Collection[str]) -> str:
    """Return how an insertion replaces rows that have the same key."""
    others = [quoted(name) for name in table.column_names if name != table.key and name not in absent]
    # To take the key that a row has already is to change nothing, and counts.
    assignments = ", ".join(f"{name} = excluded.{name}" for name in others or [quoted(table.key)])
    stored, read = (f"{source}.{quoted(table.key)}" for source in (quoted(bare_name(table.name)), "excluded"))
    return f" ON CONFLICT ({quoted(table.key)}) DO UPDATE SET {assignments} WHERE +{stored} IS +{read} COLLATE BINARY"


def updating(table: Table, absent: Collection[str], batch: str = BATCH) -> str:
    """Return the statement that changes the rows that have the keys of a batch, and makes no new ones."""
    values = assignments(table, absent, lambda place: f"batch.c{place}")
    same = is_key(f"c{table.column_names.index(table.key)}", table)
    return f"UPDATE {in_main(table.name)} AS stored SET {values} FROM {batch} AS batch WHERE {same}"


def updating_one(table: Table, absent: Collection[str]) -> str:
    """Return the statement that changes the row that has the key of one record, whose values are bound in order."""
    bound = ", ".join(f"? AS c{place}" for place in range(len(table.columns)))
    return updating(table, absent, f"(SELECT {bound})")


def is_key(read: str, table: Table) -> str:
    """Return that the stored key is the one read. The column itself may compare without regard to case."""
    same = f"stored.{quoted(table.key)} = batch.{read}"
    return same if table.column(table.key).type is Type.INTEGER else f"{same} AND {is_exactly(read, table.key)}"


def is_exactly(read: str, name: str) -> str:
    """Return that a stored value is the one read: null too, and no type or case made into another."""
    return f"+batch.{read} IS +stored.{quoted(name)} COLLATE BINARY"


def is_found(read: str, name: str, unique: Unique) -> str:
    """Return that a stored value is the one read, by the index of a unique set."""
    same = is_exactly(read, name)
    return same if unique.nulls_equal else f"stored.{quoted(name)} = batch.{read} AND {same}"


def rows_of(table: Table, unique: Unique) -> str:
    """Return the rows of a table that are in a unique set. SQLite sees in this form that it can use a partial index."""
    name = in_main(table.name)
    return name if unique.where is None else f"(SELECT * FROM {name} WHERE {unique.where.sql})"


def is_unchanged(read: str, column: Column) -> str:
    """Return that a stored value is the one read; JSON is compared as a value."""
    exactly = is_exactly(read, column.name)
    if column.type is not Type.JSON:
        return exactly
    return f"iif({exactly}, TRUE, {SAME_JSON}(batch.{read}, stored.{quoted(column.name)}))"


def as_stored(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Return values in the types that SQLite has; times in the zone in which the database keeps them."""
    local = [
        all_of_zone(frame[name], zone).alias(name)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None
    ]
    if local:
        frame = frame.with_columns(local)
    converted = [
        _AS_STORED[type(kind)](pl.col(name)) for name, kind in frame.schema.items() if type(kind) in _AS_STORED
    ]
    return frame.with_columns(converted) if converted else frame


def _datetime_text(column: pl.Expr) -> pl.Expr:
    whole = column.dt.microsecond() == 0
    texts = pl.when(whole).then(column.dt.to_string("%Y-%m-%d %H:%M:%S"))
    return texts.otherwise(column.dt.to_string("%Y-%m-%d %H:%M:%S%.6f"))


def _time_text(column: pl.Expr) -> pl.Expr:
    texts = pl.when(column.dt.microsecond() == 0).then(column.dt.to_string("%H:%M:%S"))
    return texts.otherwise(column.dt.to_string("%H:%M:%S%.6f"))


_AS_STORED: Mapping[type[pl.DataType], Callable[[pl.Expr], pl.Expr]] = {
    pl.Boolean: lambda column: column.cast(pl.Int64),
    pl.Decimal: lambda column: column.cast(pl.Float64),
    pl.Date: lambda column: column.dt.to_string("%Y-%m-%d"),
    pl.Datetime: _datetime_text,
    pl.Time: _time_text,
    pl.Duration: lambda column: column.dt.total_microseconds(),
}
