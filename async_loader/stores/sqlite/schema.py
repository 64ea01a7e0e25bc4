"""Tables of SQLite: how they are made, and whether one that is there can take what is declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from async_loader.columns import SQLITE_DIGITS, Column, Type
from async_loader.effects import Query, Steps
from async_loader.errors import StoreError
from async_loader.stores.answers import BrokenRows, ForeignKey
from async_loader.stores.creating import columns_of, constraints_of, create_sql
from async_loader.stores.names import bare_name, schema_and_table
from async_loader.tables import Table

# Types that SQLite does not have are declared, and stored, as Django does it.
_SQL_TYPES = {
    Type.INTEGER: "INTEGER",
    Type.REAL: "REAL",
    Type.TEXT: "TEXT",
    Type.DECIMAL: "decimal",
    Type.BOOLEAN: "bool",
    Type.DATE: "date",
    Type.DATETIME: "datetime",
    Type.UUID: "char(32)",
    Type.JSON: "text",
    Type.TIME: "time",
    Type.DURATION: "bigint",
    Type.BINARY: "BLOB",
    Type.OTHER: "text",
}
# Text that is no number stays text in a NUMERIC column, and bytes stay bytes in any.
_AFFINITIES = {
    Type.INTEGER: {"INTEGER", "NUMERIC"},
    Type.REAL: {"REAL"},
    Type.TEXT: {"TEXT", "BLOB"},
    Type.DECIMAL: {"NUMERIC", "REAL"},
    Type.BOOLEAN: {"NUMERIC", "INTEGER"},
    Type.DATE: {"NUMERIC", "TEXT", "BLOB"},
    Type.DATETIME: {"NUMERIC", "TEXT", "BLOB"},
    Type.UUID: {"TEXT", "BLOB"},
    Type.JSON: {"TEXT", "BLOB"},
    Type.TIME: {"NUMERIC", "TEXT", "BLOB"},
    Type.DURATION: {"INTEGER", "NUMERIC"},
    Type.BINARY: {"BLOB", "TEXT", "NUMERIC", "INTEGER", "REAL"},
    Type.OTHER: {"TEXT", "BLOB"},
}
# The loader's own tables, written in the transaction of the records that they speak of.
OWN_TABLES = {
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
    # Under which names records may still call a stored reject: those of the rejects whose place it took. A reject and a
    # name are each looked up.
    "loader_reject_names": {
        "run": "TEXT NOT NULL",
        "id": "INTEGER NOT NULL",
        "name": "TEXT NOT NULL, PRIMARY KEY (run, id, name), UNIQUE (name, run, id)",
    },
    # Which runs have accepted a record under the key of a stored reject.
    "loader_good_rejects": {
        "run": "TEXT NOT NULL",
        "id": "INTEGER NOT NULL",
        "made_good_by": "TEXT NOT NULL, PRIMARY KEY (run, id)",
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
        "deleted": "INTEGER NOT NULL DEFAULT 0",
        "checkpoint": "INTEGER NOT NULL",
        "started_at": "TEXT NOT NULL",
        "finished_at": "TEXT",
    },
}
# The statement that has lines of an older version count no deleted rows.
_COUNT_DELETED = f"ALTER TABLE main.loader_runs ADD COLUMN deleted {OWN_TABLES['loader_runs']['deleted']}"

_COLUMNS = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)'
_UNIQUE_COLUMNS = """\
SELECT min(columns.name) FROM pragma_index_list(?) AS indexes, pragma_index_info(indexes.name) AS columns
WHERE indexes."unique" AND NOT indexes.partial GROUP BY indexes.name HAVING count(*) = 1"""

# Of each foreign key of one column: the column, the table that it names and, where there is one, that table's own name
# and primary key, and the key that the foreign key names.
_FOREIGN_KEYS = """\
SELECT keys."from", keys."table", targets.name, keys."to",
(SELECT name FROM pragma_table_info(keys."table") WHERE pk = 1)
FROM pragma_foreign_key_list(?) AS keys
LEFT JOIN sqlite_master AS targets ON targets.type = 'table' AND targets.name = keys."table" COLLATE NOCASE
WHERE NOT EXISTS (SELECT 1 FROM pragma_foreign_key_list(?) AS more WHERE more.id = keys.id AND more.seq > 0)
ORDER BY keys.id DESC"""

# The same of all keys that are enforced.
_ENFORCED_KEYS = """\
SELECT "from", "table" FROM pragma_foreign_key_list(?) WHERE (SELECT foreign_keys FROM pragma_foreign_keys)"""
# How many rows break foreign keys, the last of those rows, and the table that it names.
_BROKEN = "SELECT count(*), max(rowid), parent FROM pragma_foreign_key_check(?)"


def creation(database: str, tables: Iterable[Table]) -> list[str]:
    """Return the statements that make the tables that are missing, the loader's own too. StoreError for a table of
    another schema.
    """
    for table in tables:
        _check_name(database, table)
    statements = [
        create_sql(table.name, columns_of(table, _sql_type, " AUTOINCREMENT"), constraints_of(table))
        for table in tables
    ]
    return statements + [create_sql(name, columns) for name, columns in OWN_TABLES.items()]


def migrations(database: str) -> Steps[Sequence[str]]:
    """Return the statements that add to tables of an older version what this one needs, and keep what they hold."""
    present = yield Query(database, "SELECT name FROM pragma_table_info(?)", ("loader_runs",))
    return (_COUNT_DELETED,) if present and ("deleted",) not in present else ()


def check(database: str, table: Table, *, filled: bool) -> Steps[None]:
    """Raise StoreError unless the database has the table as declared, and the loader's own. `filled` is Store's."""
    _check_name(database, table)
    columns = yield Query(database, _COLUMNS, (bare_name(table.name),))
    unique = yield Query(database, _UNIQUE_COLUMNS, (bare_name(table.name),))
    _check_columns(database, table, columns, {name for (name,) in unique})
    if filled:
        _check_others(database, table, columns)
    for name, wanted in OWN_TABLES.items():
        present = yield Query(database, "SELECT name FROM pragma_table_info(?)", (name,))
        if not set(wanted) <= {column for (column,) in present}:
            raise StoreError(database, f"has no table {name} as this version makes it; run init_db first")


def foreign_keys(database: str, table: Table) -> Steps[list[ForeignKey]]:
    """Return the table's foreign keys of one column. Raises StoreError for one that names a table of another database,
    since SQLite then takes no row at all.
    """
    rows = yield Query(database, _FOREIGN_KEYS, (bare_name(table.name), bare_name(table.name)))
    [(enforced,)] = yield Query(database, "PRAGMA foreign_keys")
    for column, named, target, *_ in rows if enforced else ():
        if target is None:
            advice = "make it a column without a constraint (in Django db_constraint=False)"
            problem = f"column {column} is a foreign key to {named}, which is not in this database"
            raise StoreError(database, f"table {table.name}: {problem}; {advice}")
    return [ForeignKey(column, target, key or primary) for column, _, target, key, primary in rows if target]


def broken_rows(database: str, table: Table) -> Steps[BrokenRows]:
    """Return the rows that break foreign keys which are no references. Where there are such keys, the whole table is
    read.
    """
    rows = yield Query(database, _ENFORCED_KEYS, (bare_name(table.name),))
    references = {(each.column, each.table) for each in table.references}
    if all(row in references for row in rows):
        return BrokenRows()
    [broken] = yield Query(database, _BROKEN, (bare_name(table.name),))
    return BrokenRows(*broken)


def _check_name(database: str, table: Table) -> None:
    """Raise StoreError for a table of another schema than the database itself: Django finds none there either."""
    schema, name = schema_and_table(table.name)
    if schema not in {"", "main"}:
        problem = f"SQLite has no schema {schema}; call the table {name} alone (in Django db_table)"
        raise StoreError(database, f"table {table.name}: {problem}")


def _check_columns(database: str, table: Table, rows: Sequence[tuple[Any, ...]], unique: set[str]) -> None:
    if not rows:
        raise StoreError(database, f"has no table {table.name}; run init_db or migrate first")
    types = {name: kind for name, kind, *_ in rows}
    for column in table.columns:
        if column.name not in types:
            raise StoreError(database, f"table {table.name} has no column {column.name}; alter the table")
        _check_type(database, table, column, types[column.name])
    if [name for name, _, _, _, place in rows if place] != [table.key] and table.key not in unique:
        raise StoreError(database, f"table {table.name}: key {table.key} is neither primary key nor unique")


def _check_type(database: str, table: Table, column: Column, kind: str) -> None:
    if _affinity(kind) not in _AFFINITIES[column.type]:
        problem = f"is {kind or 'of no type'}, not {_SQL_TYPES[column.type]}; alter the table"
        raise StoreError(database, f"table {table.name}: column {column.name} {problem}")
    if column.type is Type.DECIMAL and min(column.digits, column.significant) > SQLITE_DIGITS:
        problem = f"SQLite keeps {SQLITE_DIGITS} significant digits of a decimal; declare no more"
        raise StoreError(database, f"table {table.name}: column {column.name}: {problem}")


def _check_others(database: str, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Raise StoreError for a column that a new row needs and no source has."""
    for name, _, not_null, default, place in rows:
        if not_null and default is None and not place and name not in table.column_names:
            raise StoreError(database, f"table {table.name}: column {name} must not be null, and no source fills it")


def _sql_type(column: Column) -> str:
    return _SQL_TYPES[column.type]


def _affinity(declared: str) -> str:
    """Return the affinity of a declared type, by the rules of https://www.sqlite.org/datatype3.html, section 3.1."""
    kind = declared.upper()
    if "INT" in kind:
        return "INTEGER"
    if any(part in kind for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not kind or "BLOB" in kind:
        return "BLOB"
    return "REAL" if any(part in kind for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"
