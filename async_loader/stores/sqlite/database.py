"""SQLite as a store: its SQL, how to connect, and how a statement is performed.

Batches cross into SQLite as images (`images.py`), which statements read as a table of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from async_loader.effects import Call, Change, Each, Packed, Query, Steps
from async_loader.errors import ConfigurationError, RefusedError, StoreError
from async_loader.records.keys import KeyRange
from async_loader.stores.shares import Shares
from async_loader.stores.sqlite import images
from async_loader.stores.sqlite.connections import Connection
from async_loader.stores.sqlite.rows import StoredRows, stored_rows
from async_loader.stores.sqlite.wal import LoggedConnection
from async_loader.stores.store import PASSED_OVER, Store, columns_of, create_sql, integers, numbered, quoted
from async_loader.tables import SQLITE_DIGITS, Column, Table, Type

# What each connection calls the database in memory that holds an image, and the table of the image in it.
_IMAGE = "loader_image"
BATCH = f"{_IMAGE}.{images.TABLE}"

# Bytes of a page in a database made here. Loading is a fifth faster than with SQLite's own 4 KiB, reading a single row
# costs the same, and changing one writes this much.
PAGE_SIZE = 16_384

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
}
# Text that is no number stays text in a NUMERIC column.
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

# What the database says of a row, not of itself.
_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError)

_ADVICE = (
    (sqlite3.SQLITE_BUSY, "another program is writing to it; try again when it is done, or wait longer"),
    (sqlite3.SQLITE_LOCKED, "another program is writing to it; try again when it is done, or wait longer"),
    (sqlite3.SQLITE_FULL, "free some room on its disk and run the same command again"),
    # Not even the index of the log fits, without which nobody can read.
    (sqlite3.SQLITE_IOERR_SHMSIZE, "free some room on its disk and run the same command again"),
    (sqlite3.SQLITE_READONLY_ROLLBACK, "a load into it was killed; run that command again, or init_db, to clean up"),
    (sqlite3.SQLITE_READONLY, "allow writing to the file, its -wal and -shm, and its directory"),
    (sqlite3.SQLITE_CANTOPEN, "create it with init_db, or check its directory and permissions"),
    (sqlite3.SQLITE_NOTADB, "the file is no SQLite database; move it away and run init_db"),
    (sqlite3.SQLITE_CORRUPT, "the file is damaged; restore it from a copy"),
    (sqlite3.SQLITE_IOERR, "check the disk"),
)


@dataclass(frozen=True, slots=True)
class Database(Store):
    """An SQLite file."""

    path: Path

    mark: ClassVar[str] = "?"
    batch: ClassVar[str] = BATCH
    batch_order: ClassVar[str] = "rowid"
    each_reason: ClassVar[str] = "json_each(reasons)"
    price_of_asking: ClassVar[int] = 8
    ledger_order: ClassVar[str] = "rowid"

    @property
    def shares(self) -> Shares:
        """See Store."""
        problem = "is an SQLite file, which one process writes; mode dask needs PostgreSQL"
        raise ConfigurationError(f"database {self.name}: {problem}")

    def create(self, tables: Sequence[Table], *, fresh: bool) -> Steps[None]:
        """See Store."""
        statements = [create_sql(table.name, columns_of(table, _sql_type)) for table in tables]
        statements += [create_sql(name, columns) for name, columns in _OWN_TABLES.items()]
        if fresh:
            names = [*(table.name for table in tables), *_OWN_TABLES]
            statements += [f"DELETE FROM {quoted(name)}" for name in names]
        yield from self.begin(tables)
        for statement in statements:
            yield Change(self.name, statement)

    def begin(self, tables: Iterable[Table]) -> Steps[None]:  # noqa: ARG002 - the lock is on the whole file
        """See Store. In a file that cannot be written SQLite takes no lock, and says nothing."""
        yield Change(self.name, "BEGIN IMMEDIATE")

    def begin_next(self, tables: Iterable[Table]) -> Steps[None]:
        """See Store. What the commit left in the log goes into the file first, lest the log only grow."""
        yield Query(self.name, "PRAGMA wal_checkpoint(PASSIVE)")
        yield from self.begin(tables)

    def begin_reading(self) -> Steps[None]:
        """See Store."""
        yield Change(self.name, "BEGIN")

    def hold(self) -> Steps[None]:
        """See Store. The connection is one for writing: one that may only read is refused where a writer was killed in
        the middle of a large transaction and the database keeps no log of its own, since what that had written must be
        undone first, by whoever comes next.
        """
        yield Change(self.name, "PRAGMA query_only = ON")
        yield from self.begin_reading()

    def check(self, table: Table, *, filled: bool = False) -> Steps[None]:
        """See Store."""
        columns = yield Query(
            self.name, 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (table.name,)
        )
        unique = yield Query(self.name, _UNIQUE_COLUMNS, (table.name,))
        self._check_columns(table, columns, {name for (name,) in unique}, filled=filled)
        for name, wanted in _OWN_TABLES.items():
            found = yield Query(self.name, "SELECT name FROM pragma_table_info(?)", (name,))
            if not set(wanted) <= {column for (column,) in found}:
                raise StoreError(self.name, f"has no table {name} as this version makes it; run init_db first")

    def _check_columns(self, table: Table, rows: Sequence[tuple[Any, ...]], unique: set[str], *, filled: bool) -> None:
        if not rows:
            raise StoreError(self.name, f"has no table {table.name}; run init_db or migrate first")
        found = {name: kind for name, kind, *_ in rows}
        primary = [name for name, _, _, _, place in rows if place]
        for column in table.columns:
            if column.name not in found:
                raise StoreError(self.name, f"table {table.name} has no column {column.name}; alter the table")
            if _affinity(found[column.name]) not in _AFFINITIES[column.type]:
                wanted = f"{found[column.name] or 'of no type'}, not {_SQL_TYPES[column.type]}"
                raise StoreError(self.name, f"table {table.name}: column {column.name} is {wanted}; alter the table")
            if column.type is Type.DECIMAL and min(column.digits, column.significant) > SQLITE_DIGITS:
                problem = f"SQLite keeps {SQLITE_DIGITS} significant digits of a decimal; declare no more"
                raise StoreError(self.name, f"table {table.name}: column {column.name}: {problem}")
        if primary != [table.key] and table.key not in unique:
            raise StoreError(self.name, f"table {table.name}: key {table.key} is neither primary key nor unique")
        for name, _, not_null, default, place in rows if filled else ():
            if not_null and default is None and not place and name not in table.column_names:
                raise StoreError(
                    self.name, f"table {table.name}: column {name} must not be null, and no source fills it"
                )

    def key_range(self, table: Table) -> Steps[KeyRange | None]:
        """See Store: the least and the greatest."""
        # In the order of their bytes, as keys are compared here, whatever the column's own order.
        key, name = f"{quoted(table.key)} COLLATE BINARY", quoted(table.name)
        # Two statements in one: SQLite answers a lone min() or max() from the index, both at once by a scan.
        sql = f"SELECT (SELECT min({key}) FROM {name}), (SELECT max({key}) FROM {name})"
        [(least, greatest)] = yield Query(self.name, sql)
        wanted = table.column(table.key).type
        for key in (least, greatest):
            if key is not None and type(key) is not wanted.python:
                problem = f"table {table.name} holds {table.key} {key!r}, which is not {wanted.value}; mend that row"
                raise StoreError(self.name, problem)
        return None if least is None else (least, greatest)

    def held(
        self, table: Table, records: pl.DataFrame, absent: Collection[str] = ()
    ) -> Steps[tuple[pl.Series, pl.Series]]:
        """See Store."""
        columns = {name: f"c{place}" for place, name in enumerate(table.column_names)}
        compared = [name for name in columns if name != table.key and name not in absent]
        same = " AND ".join(_exactly(columns[name], name) for name in compared) or "TRUE"
        sql = f"""SELECT group_concat(place) FILTER (WHERE same), group_concat(place) FILTER (WHERE NOT same) FROM (
            SELECT batch._rowid_ AS place, {same} AS same
            FROM {BATCH} AS batch CROSS JOIN main.{quoted(table.name)} AS stored
            ON {_is_key(columns[table.key], table)})"""
        rows = yield Query(self.name, sql, batch=images.images(_as_stored(records)))
        return integers(same for same, _ in rows), integers(differing for _, differing in rows)

    def owned(self, table: Table, column: Column, records: pl.DataFrame) -> Steps[pl.Series]:
        """See Store."""
        key = f"NOT (+batch.c0 IS +stored.{quoted(table.key)} COLLATE BINARY)"
        sql = f"""SELECT group_concat(batch._rowid_)
            FROM {BATCH} AS batch CROSS JOIN main.{quoted(table.name)} AS stored
            ON stored.{quoted(column.name)} = batch.c1 AND {_exactly("c1", column.name)} AND {key}"""
        rows = yield Query(self.name, sql, batch=images.images(_as_stored(records)))
        return integers(places for (places,) in rows)

    def values_of(self, table: Table, columns: Sequence[Column], keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        """See Store."""
        names = ", ".join(f"stored.{quoted(column.name)}" for column in columns)
        sql = f"""SELECT batch._rowid_, {names} FROM {BATCH} AS batch CROSS JOIN main.{quoted(table.name)} AS stored
            ON {_is_key("c0", table)}"""
        rows: list[tuple[Any, ...]] = yield Query(self.name, sql, batch=images.images(keys.to_frame()))
        return rows

    def as_stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        """See Store."""
        return _as_stored(frame)

    def present(self, table: Table, keys: pl.Series) -> Steps[pl.Series]:
        """See Store."""
        stored = f"SELECT 1 FROM main.{quoted(table.name)} AS stored WHERE {_is_key('c0', table)}"
        sql = f"SELECT group_concat(_rowid_) FROM {BATCH} AS batch WHERE EXISTS ({stored})"
        rows = yield Query(self.name, sql, batch=images.images(keys.to_frame()))
        return keys.gather(integers(places for (places,) in rows))

    def keys_between(self, table: Table, least: int, greatest: int) -> Steps[pl.Series]:
        """See Store."""
        key = quoted(table.key)
        sql = f"SELECT group_concat({key}) FROM main.{quoted(table.name)} WHERE {key} BETWEEN ? AND ?"
        rows = yield Query(self.name, sql, (least, greatest))
        if any(text and "." in text for (text,) in rows):
            # Reals, of which an INTEGER column may hold some. To look at each value's type takes twice as long.
            rows = yield Query(self.name, f"{sql} AND typeof({key}) = 'integer'", (least, greatest))
        # Of a table's keys there may be megabytes, too many to be taken apart where effects are passed on.
        keys: pl.Series = yield Call(integers, ([text for (text,) in rows],))
        return keys

    def pack(self, frame: pl.DataFrame, key: str | None = None) -> Sequence[Packed]:  # noqa: ARG002
        """See Store. Rows are written as fast in any order that is nearly that of their keys, so none is sorted."""
        return tuple(images.images(_as_stored(frame)))

    def write(
        self, table: Table, records: Sequence[Packed], size: int, *, replace: bool, absent: Collection[str] = ()
    ) -> Steps[int]:
        """See Store."""
        values = f"SELECT {numbered(table.column_names)} FROM {BATCH}"
        # Without a condition SQLite would take ON CONFLICT for part of the SELECT.
        sql = _insert_sql(table.name, table.column_names, f"{values} WHERE TRUE" if replace else values)
        return (yield from self.change(sql + (_replacing(table, absent) if replace else ""), (), records, size))

    def write_each(
        self, table: Table, records: pl.DataFrame, held: pl.Series, absent: Collection[str] = ()
    ) -> Steps[tuple[int, dict[Any, str]]]:
        """See Store."""
        insert = _insert_sql(table.name, table.column_names, f"VALUES ({', '.join('?' * records.width)})")
        keys, replaced = records[table.key].to_list(), set(held)
        statements = [
            (insert + _replacing(table, absent) if key in replaced else insert, row)
            for key, row in zip(keys, _as_stored(records).iter_rows(), strict=True)
        ]
        stored, refused = yield Each(self.name, statements)
        return stored, {keys[number]: problem for number, problem in refused.items()}

    def rows(self, table: Table) -> Steps[StoredRows]:
        """See Store."""
        return (yield from stored_rows(self.name, table))

    def undecoded(self, name: str) -> str:
        """See Store: sqlite3 refuses to fetch text that is not UTF-8."""
        column = quoted(name)
        return f"iif(typeof({column}) = 'text', CAST({column} AS BLOB), {column})"

    async def connect_async(self, *, lock_timeout: float, writable: bool, create: bool) -> Connection:
        """See Store."""
        return await Connection.open(self, lock_timeout=lock_timeout, writable=writable, create=create)

    def connect(self, *, lock_timeout: float, writable: bool, create: bool) -> LoggedConnection:
        """Open the file. `lock_timeout`: seconds to wait for a lock."""
        access = "rwc" if create else "rw" if writable else "ro"
        target = f"{self.path.absolute().as_uri()}?mode={access}"
        is_new = create and _is_new(self.path)
        try:
            connection = LoggedConnection.to(self.path, target, lock_timeout)
        except sqlite3.Error as error:
            raise self.error(error) from error
        try:
            self._set_up(connection, is_new=is_new)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection, *, is_new: bool) -> None:
        try:
            if is_new:
                connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
                # With a log of its own a load shuts no reader out, however large its transaction.
                connection.execute("PRAGMA journal_mode = WAL")
            # From the log into the file when the connection is closed, then for all databases at once, or by
            # `begin_next`: not within a commit, for which other databases wait.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            [(encoding,)] = connection.execute("PRAGMA encoding").fetchall()
            if encoding != "UTF-8":
                raise StoreError(self.name, f"its text is in {encoding} ({self.path}); make it anew in UTF-8")
            connection.execute(f"ATTACH ':memory:' AS {_IMAGE}")
        except sqlite3.Error as error:
            raise self.error(error) from error

    def perform(self, connection: LoggedConnection, statement: Query | Change | Each) -> Any:
        """See Store. Done as a whole: that costs one crossing into the thread of the connection, and SQLite works
        through a batch without the interpreter's lock.
        """
        if not isinstance(statement, Query) and not connection.in_transaction and _is_of_records(statement):
            # A trigger or a full disk may have ended it while another table of the database was being loaded.
            raise StoreError(self.name, f"its transaction has been rolled back ({self.path})")
        try:
            if isinstance(statement, Query):
                return _queried(connection, statement)
            return _changed(connection, statement) if isinstance(statement, Change) else _each(connection, statement)
        except _REFUSALS as error:
            if connection.in_transaction:
                raise RefusedError(self.name, str(error)) from error
            raise self.error(error) from error
        except sqlite3.Error as error:
            raise self.error(error) from error

    def error(self, error: sqlite3.Error) -> StoreError:
        """What SQLite said, as one line that says what to do."""
        if _is_directory(self.path.parent) is False:
            return StoreError(self.name, f"the directory {self.path.parent} does not exist; create it first")
        if _is_directory(self.path):
            return StoreError(self.name, f"{self.path} is a directory; move it away and run init_db")
        code = getattr(error, "sqlite_errorcode", None)
        advice = next((text for known, text in _ADVICE if code is not None and known in (code, code & 0xFF)), None)
        return StoreError(self.name, f"{error} ({self.path}); {advice}" if advice else f"{error} ({self.path})")


def _is_new(path: Path) -> bool:
    try:
        return not path.stat().st_size
    except OSError:
        # What else may be wrong with it, connecting will tell.
        return True


def _is_directory(path: Path) -> bool | None:
    """None where nobody lets us look."""
    try:
        return path.is_dir()
    except OSError:
        return None


_UNIQUE_COLUMNS = """\
SELECT min(columns.name) FROM pragma_index_list(?) AS indexes, pragma_index_info(indexes.name) AS columns
WHERE indexes."unique" AND NOT indexes.partial GROUP BY indexes.name HAVING count(*) = 1"""


def _sql_type(column: Column) -> str:
    return _SQL_TYPES[column.type]


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


def _insert_sql(table: str, columns: Sequence[str], rows: str) -> str:
    """A row that breaks a constraint is refused, even where the constraint was declared to ignore or replace rows."""
    return f"INSERT OR ABORT INTO main.{quoted(table)} ({', '.join(map(quoted, columns))}) {rows}"


def _as_stored(frame: pl.DataFrame) -> pl.DataFrame:
    """In the types that SQLite has."""
    converted = [
        _AS_STORED[type(kind)](pl.col(name)) for name, kind in frame.schema.items() if type(kind) in _AS_STORED
    ]
    return frame.with_columns(converted) if converted else frame


def _datetime_text(column: pl.Expr) -> pl.Expr:
    whole = column.dt.microsecond() == 0
    texts = pl.when(whole).then(column.dt.to_string("%Y-%m-%d %H:%M:%S"))
    return texts.otherwise(column.dt.to_string("%Y-%m-%d %H:%M:%S%.6f"))


_AS_STORED: Mapping[type[pl.DataType], Callable[[pl.Expr], pl.Expr]] = {
    pl.Boolean: lambda column: column.cast(pl.Int64),
    pl.Decimal: lambda column: column.cast(pl.Float64),
    pl.Date: lambda column: column.dt.to_string("%Y-%m-%d"),
    pl.Datetime: _datetime_text,
}


def _replacing(table: Table, absent: Collection[str]) -> str:
    others = [quoted(name) for name in table.column_names if name != table.key and name not in absent]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in others)
    stored, read = (f"{source}.{quoted(table.key)}" for source in (quoted(table.name), "excluded"))
    return f" ON CONFLICT ({quoted(table.key)}) DO UPDATE SET {assignments} WHERE +{stored} IS +{read} COLLATE BINARY"


def _is_key(read: str, table: Table) -> str:
    """That the stored key is the one read. The column's own way to compare finds texts that differ by case too."""
    found = f"stored.{quoted(table.key)} = batch.{read}"
    return found if table.column(table.key).type is Type.INTEGER else f"{found} AND {_exactly(read, table.key)}"


def _exactly(read: str, name: str) -> str:
    """That a stored value is the one read: null too, and no type or case made into another."""
    return f"+batch.{read} IS +stored.{quoted(name)} COLLATE BINARY"


def _at_hand(connection: sqlite3.Connection, batch: Iterable[Packed] | None) -> Iterator[None]:
    """Hang the batch beside the database, part after part; without a batch there is nothing to hang, once."""
    if batch is None:
        yield
        return
    for image in batch:
        connection.deserialize(image, name=_IMAGE)
        yield


def _is_of_records(statement: Change | Each) -> bool:
    return isinstance(statement, Each) or statement.batch is not None


def _queried(connection: sqlite3.Connection, query: Query) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for _ in _at_hand(connection, query.batch):
        rows += connection.execute(query.sql, query.parameters)
    return rows


def _changed(connection: LoggedConnection, change: Change) -> int:
    if change.batch is None:
        return connection.execute(change.sql, change.parameters).rowcount
    connection.make_room(change.sql, sum(map(len, change.batch)))
    with _all_or_nothing(connection):
        parts = _at_hand(connection, change.batch)
        changed = sum(connection.execute(change.sql, change.parameters).rowcount for _ in parts)
        if change.rows not in {None, changed}:
            raise RefusedError(change.database, PASSED_OVER)
    connection.hand_over()
    return changed


def _each(connection: sqlite3.Connection, each: Each) -> tuple[int, dict[int, str]]:
    changed, refused = 0, {}
    for number, (sql, row) in enumerate(each.statements):
        try:
            with _all_or_nothing(connection):
                done = connection.execute(sql, row).rowcount
        except _REFUSALS as error:
            if not connection.in_transaction:
                raise
            refused[number] = str(error)
            continue
        changed += done
        if not done:
            refused[number] = PASSED_OVER
    return changed, refused


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    """Undo what was done where not all of it can be, and leave the transaction open; a constraint may have ended it."""
    connection.execute("SAVEPOINT loader")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO loader")
            connection.execute("RELEASE loader")
        raise
    connection.execute("RELEASE loader")
