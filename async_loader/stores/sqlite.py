"""SQLite as a store: all SQL text, and how to connect. What is done with it is asked of a mode, effect by effect.

Identifiers go through `quoted`, values are bound. Nothing here begins, waits or commits by itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from async_loader.effects import Call, Change, Query, Steps
from async_loader.errors import StoreError
from async_loader.tables import Table, Type

# Rows of one INSERT. 2,000 is the fastest of 100 to 8,000 when three databases are written at once: with more rows the
# interpreter's lock is handed on less often, with fewer the statements are smaller. What is left over goes in smaller
# groups, of few sizes, because the connection keeps each statement that it has prepared, and these are large.
ROWS_PER_INSERT = (2_000, 100, 1)
# SQLite takes at least so many parameters a statement since 3.32.
PARAMETERS_PER_STATEMENT = 32_766
# Keys of one look-up.
KEYS_PER_QUERY = 50_000
# A range is read as a whole where it has no more than so many integers for each key wanted.
SPREAD_OF_RANGE = 3

_SQL_TYPES = {Type.INTEGER: "INTEGER", Type.REAL: "REAL", Type.TEXT: "TEXT"}
_AFFINITIES = {
    Type.INTEGER: {"INTEGER", "NUMERIC"},
    Type.REAL: {"REAL"},
    Type.TEXT: {"TEXT", "BLOB"},
}

# The loader's own tables, written in the transaction of the records that they speak of.
_OWN_TABLES = {
    "loader_rejects": {
        "id": "INTEGER PRIMARY KEY",
        "run": "TEXT NOT NULL",
        "source": "TEXT NOT NULL",
        "line": "INTEGER NOT NULL",
        "line_end": "INTEGER NOT NULL",
        "record": "TEXT NOT NULL",
        "reasons": "TEXT NOT NULL",
        "created_at": "TEXT NOT NULL",
    },
    "loader_runs": {
        "run": "TEXT NOT NULL",
        "table_name": "TEXT NOT NULL",
        "mode": "TEXT NOT NULL",
        "sources": "TEXT NOT NULL",
        "state": "TEXT NOT NULL",
        "given": "INTEGER NOT NULL",
        "inserted": "INTEGER NOT NULL",
        "updated": "INTEGER NOT NULL",
        "unchanged": "INTEGER NOT NULL",
        "rejected": "INTEGER NOT NULL",
        "checkpoint": "INTEGER NOT NULL",
        "started_at": "TEXT NOT NULL",
        "finished_at": "TEXT",
    },
}

_ADVICE = (
    (sqlite3.SQLITE_BUSY, "another program is writing to it; try again when it is done, or wait longer"),
    (sqlite3.SQLITE_LOCKED, "another program is writing to it; try again when it is done, or wait longer"),
    (sqlite3.SQLITE_FULL, "free some room on its disk and run the same command again"),
    (sqlite3.SQLITE_READONLY, "allow writing to the file and its directory"),
    (sqlite3.SQLITE_CANTOPEN, "create it with init_db, or check its directory and permissions"),
    (sqlite3.SQLITE_NOTADB, "the file is no SQLite database; move it away and run init_db"),
    (sqlite3.SQLITE_CORRUPT, "the file is damaged; restore it from a copy"),
    (sqlite3.SQLITE_IOERR, "check the disk"),
)


@dataclass(frozen=True, slots=True)
class Database:
    """An SQLite file under the name that tables use for it."""

    name: str
    path: Path

    def create(self, tables: Sequence[Table], *, fresh: bool) -> Steps[None]:
        """Create what is missing, the loader's own tables too; with `fresh`, empty all of it."""
        statements = [_create_sql(table.name, _columns_of(table)) for table in tables]
        statements += [_create_sql(name, columns) for name, columns in _OWN_TABLES.items()]
        if fresh:
            names = [*(table.name for table in tables), *_OWN_TABLES]
            statements += [f"DELETE FROM {quoted(name)}" for name in names]
        for statement in statements:
            yield Change(self.name, statement)

    def begin(self) -> Steps[None]:
        """Take the write lock, so that nothing read from here on can change before the commit."""
        yield Change(self.name, "BEGIN IMMEDIATE")

    def begin_reading(self) -> Steps[None]:
        """Hold on to one state of the database."""
        yield Change(self.name, "BEGIN")

    def commit(self) -> Steps[None]:
        """Make everything since `begin` permanent."""
        yield Change(self.name, "COMMIT")

    def check(self, table: Table) -> Steps[None]:
        """StoreError unless the database has the table as declared, and the loader's own."""
        columns = yield Query(
            self.name, 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (table.name,)
        )
        unique = yield Query(self.name, _UNIQUE_COLUMNS, (table.name,))
        self._check_columns(table, columns, {name for (name,) in unique})
        for name, wanted in _OWN_TABLES.items():
            found = yield Query(self.name, "SELECT name FROM pragma_table_info(?)", (name,))
            if not set(wanted) <= {column for (column,) in found}:
                raise StoreError(self.name, f"has no table {name} as this version makes it; run init_db first")

    def _check_columns(self, table: Table, rows: Sequence[tuple[Any, ...]], unique: set[str]) -> None:
        if not rows:
            raise StoreError(self.name, f"has no table {table.name}; run init_db first")
        found = {name: kind for name, kind, *_ in rows}
        primary = [name for name, _, _, _, place in rows if place]
        for column in table.columns:
            if column.name not in found:
                raise StoreError(self.name, f"table {table.name} has no column {column.name}; alter the table")
            if _affinity(found[column.name]) not in _AFFINITIES[column.type]:
                wanted = f"{found[column.name] or 'of no type'}, not {_SQL_TYPES[column.type]}"
                raise StoreError(self.name, f"table {table.name}: column {column.name} is {wanted}; alter the table")
        if primary != [table.key] and table.key not in unique:
            raise StoreError(self.name, f"table {table.name}: key {table.key} is neither primary key nor unique")
        for name, _, not_null, default, place in rows:
            if not_null and default is None and not place and name not in table.column_names:
                raise StoreError(
                    self.name, f"table {table.name}: column {name} must not be null, and no source fills it"
                )

    def key_range(self, table: Table) -> Steps[tuple[Any, Any] | None]:
        """The least and the greatest key; None where the table is empty."""
        key, name = quoted(table.key), quoted(table.name)
        # Two statements in one: SQLite answers a lone min() or max() from the index, both at once by a scan.
        sql = f"SELECT (SELECT min({key}) FROM {name}), (SELECT max({key}) FROM {name})"
        [(least, greatest)] = yield Query(self.name, sql)
        wanted = table.column(table.key).type
        for key in (least, greatest):
            if key is not None and type(key) is not wanted.python:
                problem = f"table {table.name} holds {table.key} {key!r}, which is not {wanted.value}; mend that row"
                raise StoreError(self.name, problem)
        return None if least is None else (least, greatest)

    def rows_of(self, table: Table, keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        """The rows that have these distinct keys, in the table's columns and order of keys; perhaps others between."""
        return (yield from self._select(table, table.column_names, keys))

    def keys_of(self, table: Table, keys: pl.Series) -> Steps[list[Any]]:
        """Those of the distinct keys that the table holds; perhaps others between them."""
        rows = yield from self._select(table, (table.key,), keys)
        return [key for (key,) in rows]

    def _select(self, table: Table, columns: Sequence[str], keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        names, key = ", ".join(map(quoted, columns)), quoted(table.key)
        rows: list[tuple[Any, ...]] = []
        for wanted, parameters in (yield Call(_look_ups, (keys,))):
            sql = f"SELECT {names} FROM {quoted(table.name)} WHERE {key} {wanted} ORDER BY {key}"
            rows += yield Query(self.name, sql, parameters)
        return rows

    def insert(self, table: Table, records: pl.DataFrame) -> Steps[int]:
        """New records; returns how many rows that made."""
        return (yield from self._insert(table.name, records))

    def replace(self, table: Table, records: pl.DataFrame) -> Steps[int]:
        """Records in place of the rows that have their keys; returns how many rows changed."""
        others = [quoted(name) for name in table.column_names if name != table.key]
        assignments = ", ".join(f"{name} = excluded.{name}" for name in others)
        clause = f" ON CONFLICT ({quoted(table.key)}) DO UPDATE SET {assignments}"
        return (yield from self._insert(table.name, records, clause))

    def add_rejects(self, run: str, created_at: str, source: str, rejects: pl.DataFrame) -> Steps[int]:
        """Keep a verdict's rejects; returns how many."""
        rows = rejects.select(
            pl.lit(run).alias("run"),
            pl.lit(source).alias("source"),
            "line",
            "line_end",
            "record",
            "reasons",
            pl.lit(created_at).alias("created_at"),
        )
        return (yield from self._insert("loader_rejects", rows))

    def add_run(self, row: Mapping[str, Any]) -> Steps[int]:
        """Keep one line of `loader_runs`."""
        return (yield from self._insert("loader_runs", pl.DataFrame([row])))

    def _insert(self, table: str, records: pl.DataFrame, clause: str = "") -> Steps[int]:
        """As many rows at a time as can be, then fewer, then one by one."""
        changed = 0
        for most in ROWS_PER_INSERT:
            rows = max(1, min(most, PARAMETERS_PER_STATEMENT // records.width))
            whole = len(records) - len(records) % rows
            if whole:
                sql = _insert_sql(table, records.columns, rows) + clause
                changed += yield Change(self.name, sql, _flat_groups(records.head(whole), rows))
                records = records.slice(whole)
        return changed

    def error(self, error: sqlite3.Error) -> StoreError:
        """What SQLite said, as one line that says what to do."""
        if not self.path.parent.is_dir():
            return StoreError(self.name, f"the directory {self.path.parent} does not exist; create it first")
        code = getattr(error, "sqlite_errorcode", None)
        advice = next((text for known, text in _ADVICE if code is not None and code & 0xFF == known), None)
        return StoreError(self.name, f"{error} ({self.path}); {advice}" if advice else f"{error} ({self.path})")

    def target(self, *, writable: bool, create: bool) -> str:
        """The URI to open."""
        access = "rwc" if create else "rw" if writable else "ro"
        return f"{self.path.absolute().as_uri()}?mode={access}"


def quoted(name: str) -> str:
    """An identifier, safe in SQL."""
    return '"' + name.replace('"', '""') + '"'


_UNIQUE_COLUMNS = """\
SELECT min(columns.name) FROM pragma_index_list(?) AS indexes, pragma_index_info(indexes.name) AS columns
WHERE indexes."unique" AND NOT indexes.partial GROUP BY indexes.name HAVING count(*) = 1"""


def _columns_of(table: Table) -> dict[str, str]:
    """The table's columns with their declarations in SQL."""
    columns = {}
    for column in table.columns:
        null = "" if column.nullable else " NOT NULL"
        key = " PRIMARY KEY" if column.name == table.key else ""
        columns[column.name] = f"{_SQL_TYPES[column.type]}{null}{key}"
    return columns


def _create_sql(table: str, columns: Mapping[str, str]) -> str:
    lines = ",\n".join(f"    {quoted(name)} {declaration}" for name, declaration in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {quoted(table)} (\n{lines}\n)"


def _look_ups(keys: pl.Series) -> list[tuple[str, tuple[Any, ...]]]:
    """Conditions that between them find distinct keys, in order."""
    return [_wanted(part.to_series()) for part in keys.sort().to_frame().iter_slices(KEYS_PER_QUERY)]


def _wanted(keys: pl.Series) -> tuple[str, tuple[Any, ...]]:
    """A condition for sorted, distinct keys. A range is read three times as fast as keys are found one by one."""
    if keys.dtype.is_integer() and keys[-1] - keys[0] < SPREAD_OF_RANGE * len(keys):
        return "BETWEEN ? AND ?", (keys[0], keys[-1])
    return "IN (SELECT value FROM json_each(?))", (json.dumps(keys.to_list()),)


def _affinity(declared: str) -> str:
    """SQLite's own rules, from https://www.sqlite.org/datatype3.html, section 3.1."""
    kind = declared.upper()
    if "INT" in kind:
        return "INTEGER"
    if any(part in kind for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not kind or "BLOB" in kind:
        return "BLOB"
    return "REAL" if any(part in kind for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def _insert_sql(table: str, columns: Sequence[str], rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    names = ", ".join(map(quoted, columns))
    return f"INSERT INTO {quoted(table)} ({names}) VALUES {', '.join([row] * rows)}"


def _flat_groups(records: pl.DataFrame, rows: int) -> Iterator[list[Any]]:
    """The records' values, so many rows in each list, row after row: the cheapest parameters to make."""
    width = records.width
    for group in records.iter_slices(rows):
        flat: list[Any] = [None] * (rows * width)
        for place, column in enumerate(group.get_columns()):
            flat[place::width] = column.to_list()
        yield flat
