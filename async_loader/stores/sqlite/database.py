"""SQLite as a store: its steps, and how to connect.

Batches cross into SQLite as images (`images.py`), which statements read as a table of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from async_loader.columns import PLAIN_TYPES, Column
from async_loader.constraints import Unique
from async_loader.effects import Call, Change, Each, Packed, Query, Refusal, Steps
from async_loader.errors import ConfigurationError, StoreError
from async_loader.locations import Lend, Lent
from async_loader.records.keys import KeyRange
from async_loader.stores.answers import BrokenRows, ForeignKey, StoredRows
from async_loader.stores.names import quoted, table_sql
from async_loader.stores.sqlite import constraints, images, schema
from async_loader.stores.sqlite.connections import Connection
from async_loader.stores.sqlite.faults import driver_error, explained, missing
from async_loader.stores.sqlite.performing import REFUSALS, is_of_records, perform
from async_loader.stores.sqlite.places import identity, is_new, is_there
from async_loader.stores.sqlite.sessions import BEGIN, CHECKPOINT, Session
from async_loader.stores.sqlite.statements import (
    BATCH,
    as_stored,
    in_main,
    insertion,
    is_found,
    is_key,
    is_unchanged,
    replacing,
    rows_of,
    updating,
    updating_one,
)
from async_loader.stores.store import Store, integers, numbered, only_updates, refused
from async_loader.stores.values import read_back
from async_loader.tables import Table

# What only some loads need is imported where it is used: each module takes 0.2 ms.
if TYPE_CHECKING:
    from async_loader.records.row_index import FoundRows
    from async_loader.stores.new_keys import NewKeys
    from async_loader.stores.referring import Referring
    from async_loader.stores.shares import Shares


@dataclass(frozen=True, slots=True)
class Database(Store):
    """A database of SQLite.

    path, zone, lend: as in locations.SQLite.
    """

    path: Path | None
    zone: str = "UTC"
    lend: Lend | None = field(default=None, repr=False)

    batch: ClassVar[str] = BATCH
    batch_order: ClassVar[str] = "rowid"
    each_reason: ClassVar[str] = "json_each(reasons)"
    price_of_asking: ClassVar[int] = 8
    price_of_finding: ClassVar[float] = 0.5
    ledger_order: ClassVar[str] = "rowid"

    @property
    def shares(self) -> Shares:
        """Do what `Store.shares` says."""
        problem = "is an SQLite file, which one process writes; mode dask needs PostgreSQL"
        raise ConfigurationError(f"database {self.name}: {problem}")

    @property
    def referring(self) -> Referring:
        """Do what `Store.referring` says."""
        from async_loader.stores.sqlite.referring import References

        return References(self.name, self.zone)

    @staticmethod
    def mark(number: int) -> str:  # noqa: ARG004 - the marks stand in the order of values
        """Return the mark of a bound value. It has no number: Python takes one with a number for a name."""
        return "?"

    def create(self, tables: Sequence[Table], *, fresh: bool) -> Steps[None]:
        """Do what `Store.create` says."""
        statements = schema.creation(self.name, tables)
        if fresh:
            names = [*(table.name for table in tables), *schema.OWN_TABLES]
            statements += [f"DELETE FROM {table_sql(name)}" for name in names]
        yield from self.begin(tables)
        statements += yield from schema.migrations(self.name)
        for statement in statements:
            yield Change(self.name, statement)

    def begin(self, tables: Iterable[Table]) -> Steps[None]:  # noqa: ARG002 - the lock is on the whole file
        """Do what `Store.begin` says. In a file that cannot be written SQLite takes no lock, and says nothing."""
        yield Change(self.name, f"{BEGIN} IMMEDIATE")

    def begin_next(self, tables: Iterable[Table]) -> Steps[None]:
        """Do what `Store.begin_next` says. What the commit left in the log goes into the file first, lest the log only
        grow.
        """
        yield Change(self.name, CHECKPOINT)
        yield from self.begin(tables)

    def begin_reading(self) -> Steps[None]:
        """Do what `Store.begin_reading` says."""
        yield Change(self.name, BEGIN)

    def version(self) -> Steps[Any]:
        """Return SQLite's own number of the state of the file, which this connection's commits leave as it is."""
        [(number,)] = yield Query(self.name, "PRAGMA data_version")
        return number

    def check_place(self) -> Steps[None]:
        """Do what `Store.check_place` says: the session looks at its file before every statement."""
        yield Query(self.name, "SELECT 1")

    def hold(self) -> Steps[None]:
        """Do what `Store.hold` says. The connection is one for writing. One that may only read is refused where a
        writer was killed in the middle of a large transaction and the database keeps no log of its own: the next writer
        must first undo what the killed one had written.
        """
        yield Change(self.name, "PRAGMA query_only = ON")
        yield from self.begin_reading()

    def check(self, table: Table, *, filled: bool = False) -> Steps[None]:
        """Do what `Store.check` says."""
        yield from schema.check(self.name, table, filled=filled)

    def identity(self) -> Steps[tuple[object, object]]:
        """Do what `Store.identity` says."""
        # As bytes: a path may be no text.
        rows = yield Query(self.name, "SELECT CAST(file AS BLOB) FROM pragma_database_list WHERE name = 'main'")
        known: object = yield Call(identity, (self.name, rows[0][0]))
        return known, None

    def foreign_keys(self, table: Table) -> Steps[list[ForeignKey]]:
        """Do what `Store.foreign_keys` says."""
        return (yield from schema.foreign_keys(self.name, table))

    def broken_rows(self, table: Table) -> Steps[BrokenRows]:
        """Do what `Store.broken_rows` says."""
        return (yield from schema.broken_rows(self.name, table))

    def key_range(self, table: Table) -> Steps[KeyRange | None]:
        """See Store: the least and the greatest. Of types whose values are not stored as they are in a batch, all that
        is said is whether there are any.
        """
        wanted = table.column(table.key).type
        if wanted not in PLAIN_TYPES:
            some = yield Query(self.name, f"SELECT 1 FROM {in_main(table.name)} LIMIT 1")
            return (None, None) if some else None
        # In the order of their bytes, as keys are compared here, whatever the column's own order.
        key, name = f"{quoted(table.key)} COLLATE BINARY", in_main(table.name)
        # Two statements in one: SQLite answers a lone min() or max() from the index, both at once by a scan.
        sql = f"SELECT (SELECT min({key}) FROM {name}), (SELECT max({key}) FROM {name})"
        [(least, greatest)] = yield Query(self.name, sql)
        for key in (least, greatest):
            if key is not None and type(key) is not wanted.python:
                problem = f"table {table.name} holds {table.key} {key!r}, which is not {wanted.value}; mend that row"
                raise StoreError(self.name, problem)
        return None if least is None else (least, greatest)

    def held(
        self, table: Table, records: pl.DataFrame, absent: Collection[str] = ()
    ) -> Steps[tuple[pl.Series, pl.Series]]:
        """Do what `Store.held` says."""
        columns = {name: f"c{place}" for place, name in enumerate(table.column_names)}
        compared = [each for each in table.columns if each.name != table.key and each.name not in absent]
        same = " AND ".join(is_unchanged(columns[each.name], each) for each in compared) or "TRUE"
        sql = f"""SELECT group_concat(place) FILTER (WHERE same), group_concat(place) FILTER (WHERE NOT same) FROM (
            SELECT batch._rowid_ AS place, {same} AS same
            FROM {BATCH} AS batch CROSS JOIN {in_main(table.name)} AS stored
            ON {is_key(columns[table.key], table)})"""
        rows = yield Query(self.name, sql, batch=images.images(self.as_stored(records)))
        return integers(same for same, _ in rows), integers(differing for _, differing in rows)

    def owned(self, table: Table, unique: Unique, records: pl.DataFrame) -> Steps[pl.Series]:
        """Do what `Store.owned` says."""
        key = f"NOT (+batch.c0 IS +stored.{quoted(table.key)} COLLATE BINARY)"
        same = " AND ".join(is_found(f"c{place}", name, unique) for place, name in enumerate(unique.columns, 1))
        sql = f"""SELECT group_concat(batch._rowid_)
            FROM {BATCH} AS batch CROSS JOIN {rows_of(table, unique)} AS stored ON {same} AND {key}"""
        rows = yield Query(self.name, sql, batch=images.images(self.as_stored(records)))
        return integers(places for (places,) in rows)

    def conditions(self, table: Table) -> Steps[dict[str, str]]:
        """Do what `Store.conditions` says."""
        return (yield from constraints.conditions(self.name, table))

    def values_of(self, table: Table, columns: Sequence[Column], keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        """Do what `Store.values_of` says."""
        # Signs keep sqlite3 from converting values by the types of their columns, as Django lets it.
        names = ", ".join(f"+stored.{quoted(column.name)}" for column in columns)
        sql = f"""SELECT batch._rowid_, {names} FROM {BATCH} AS batch CROSS JOIN {in_main(table.name)} AS stored
            ON {is_key("c0", table)}"""
        rows: list[tuple[Any, ...]] = yield Query(self.name, sql, batch=images.images(self.as_stored(keys.to_frame())))
        return rows

    def computed(self, table: Table, column: Column, size: int) -> Steps[pl.Series]:
        """Do what `Store.computed` says."""
        from async_loader.stores.sqlite import finding

        return (yield from finding.computed(self.name, table, column, size, self.read_back))

    def read_back(self, column: Column, stored: Any) -> tuple[Any, bool]:
        """Do what `Store.read_back` says: times are in the zone in which the database keeps them."""
        value, is_odd = read_back(column, stored)
        if self.zone == "UTC" or column.zone is None or not isinstance(value, datetime):
            return value, is_odd
        return value.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC), False

    def as_stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Do what `Store.as_stored` says."""
        return as_stored(frame, self.zone)

    def present(self, table: Table, keys: pl.Series) -> Steps[pl.Series]:
        """Do what `Store.present` says."""
        stored = f"SELECT 1 FROM {in_main(table.name)} AS stored WHERE {is_key('c0', table)}"
        sql = f"SELECT group_concat(_rowid_) FROM {BATCH} AS batch WHERE EXISTS ({stored})"
        rows = yield Query(self.name, sql, batch=images.images(self.as_stored(keys.to_frame())))
        return keys.gather(integers(places for (places,) in rows))

    def find(
        self, table: Table, columns: Sequence[Column], wanted: Column, frame: pl.DataFrame, *, is_indexed: bool
    ) -> Steps[FoundRows]:
        """Do what `Store.find` says."""
        from async_loader.stores.sqlite import finding

        return (
            yield from finding.find(
                self.name,
                table,
                columns,
                wanted,
                self.as_stored(frame),
                is_indexed=is_indexed,
                read_back=self.read_back,
            )
        )

    def linked(self, table: Table, column: Column, wanted: Column, values: pl.Series) -> Steps[pl.DataFrame]:
        """Do what `Store.linked` says."""
        from async_loader.stores.sqlite import finding

        return (
            yield from finding.linked(
                self.name, table, column, wanted, self.as_stored(values.to_frame()), read_back=self.read_back
            )
        )

    def delete(self, table: Table, keys: pl.Series) -> Steps[int]:
        """Do what `Store.delete` says."""
        sql = f"DELETE FROM {in_main(table.name)} WHERE {quoted(table.key)} IN (SELECT c0 FROM {BATCH})"
        return (yield from self.change(sql, (), self.pack(keys.to_frame())))

    def is_indexed(self, table: Table, columns: Sequence[Column]) -> Steps[bool]:
        """Do what `Store.is_indexed` says."""
        from async_loader.stores.sqlite import finding

        return (yield from finding.is_indexed(self.name, table, columns))

    def new_keys(self, table: Table) -> Steps[NewKeys]:
        """Do what `Store.new_keys` says."""
        from async_loader.stores.sqlite import finding

        return (yield from finding.new_keys(self.name, table, read_back=self.read_back))

    def keys_between(self, table: Table, least: int, greatest: int) -> Steps[pl.Series]:
        """Do what `Store.keys_between` says."""
        key = quoted(table.key)
        sql = f"SELECT group_concat({key}) FROM {in_main(table.name)} WHERE {key} BETWEEN ? AND ?"
        rows = yield Query(self.name, sql, (least, greatest))
        if any(text and "." in text for (text,) in rows):
            # Reals, of which an INTEGER column may hold some. To look at each value's type takes twice as long.
            rows = yield Query(self.name, f"{sql} AND typeof({key}) = 'integer'", (least, greatest))
        # Of a table's keys there may be megabytes, too many to be taken apart where effects are passed on.
        keys: pl.Series = yield Call(integers, ([text for (text,) in rows],))
        return keys

    def pack(
        self,
        frame: pl.DataFrame,
        table: Table | None = None,  # noqa: ARG002
        *,
        replace: bool = False,  # noqa: ARG002
    ) -> Sequence[Packed]:
        """Do what `Store.pack` says. Rows are written as fast in any order that is nearly that of their keys, so none
        is sorted.
        """
        return tuple(images.images(self.as_stored(frame)))

    def write(
        self,
        table: Table,
        records: Sequence[Packed],
        size: int,
        *,
        replace: bool,
        absent: Collection[str] = (),
        first: Sequence[Change] = (),
    ) -> Steps[int]:
        """Do what `Store.write` says."""
        if only_updates(table, absent):
            return (yield from self.change(updating(table, absent), (), records, size, first))
        values = f"SELECT {numbered(table.column_names)} FROM {BATCH}"
        # Without a condition SQLite would take ON CONFLICT for part of the SELECT.
        sql = insertion(table.name, table.column_names, f"{values} WHERE TRUE" if replace else values)
        return (yield from self.change(sql + (replacing(table, absent) if replace else ""), (), records, size, first))

    def assigning(self, table: Table, records: pl.DataFrame) -> Change:
        """Do what `Store.assigning` says."""
        return Change(self.name, updating(table.narrowed(records.columns), ()), (), self.pack(records))

    def write_each(
        self, table: Table, records: pl.DataFrame, held: pl.Series, absent: Collection[str] = ()
    ) -> Steps[tuple[int, dict[Any, Refusal]]]:
        """Do what `Store.write_each` says."""
        insert = insertion(table.name, table.column_names, f"VALUES ({', '.join('?' * records.width)})")
        if only_updates(table, absent):
            insert = updating_one(table, absent)
        keys, replaced = records[table.key].to_list(), set() if only_updates(table, absent) else set(held)
        statements = [
            (insert + replacing(table, absent) if key in replaced else insert, row)
            for key, row in zip(keys, self.as_stored(records).iter_rows(), strict=True)
        ]
        stored, refused = yield Each(self.name, statements)
        return stored, {keys[number]: problem for number, problem in refused.items()}

    def unasked(self, table: Table) -> Steps[list[str]]:
        """Do what `Store.unasked` says."""
        return (yield from constraints.unasked(self.name, table))

    def rows(self, table: Table) -> Steps[StoredRows]:
        """Do what `Store.rows` says."""
        from async_loader.stores.sqlite.rows import stored_rows

        return (yield from stored_rows(self.name, table, self.read_back))

    def undecoded(self, name: str) -> str:
        """See Store: sqlite3 refuses to fetch text that is not UTF-8."""
        column = quoted(name)
        return f"iif(typeof({column}) = 'text', CAST({column} AS BLOB), {column})"

    async def connect_async(self, *, lock_timeout: float, writable: bool, create: bool) -> Connection:
        """Do what `Store.connect_async` says."""
        return await Connection.open(self, lock_timeout=lock_timeout, writable=writable, create=create)

    def connect(self, *, lock_timeout: float, writable: bool, create: bool) -> Session:
        """Do what `Store.connect` says."""
        is_made = create and self.path is not None and is_new(self.path)
        try:
            lent = self._borrow(lock_timeout, writable=writable, create=create)
        except Exception as error:
            raise explained(self.name, self.path, driver_error(error)) from error
        session = Session(self.name, lent, self.path)
        try:
            session.set_up(lock_timeout=lock_timeout, writable=writable, is_new=is_made)
        except sqlite3.Error as error:
            session.close()
            raise explained(self.name, self.path, error) from error
        except BaseException:
            session.close()
            raise
        return session

    def _borrow(self, lock_timeout: float, *, writable: bool, create: bool) -> Lent:
        """Return a connection that the project has made, or one of our own."""
        if self.lend is not None:
            # Whatever connects there makes a file that is missing.
            if self.path is not None and not create and not is_there(self.path):
                raise missing()
            return self.lend()
        assert self.path is not None
        access = "rwc" if create else "rw" if writable else "ro"
        target = f"{self.path.absolute().as_uri()}?mode={access}"
        connection = sqlite3.connect(
            target, timeout=lock_timeout, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return Lent(connection, connection.close)

    def perform(self, session: Session, statement: Query | Change | Each) -> Any:
        """Do what `Store.perform` says. Done as a whole: that costs one crossing into the thread of the connection, and
        SQLite works through a batch without the interpreter's lock.
        """
        if not session.in_transaction and is_of_records(statement):
            # A trigger or a full disk may have ended it while another table of the database was being loaded.
            raise StoreError(self.name, f"its transaction has been rolled back ({session.place})")
        try:
            return perform(session, statement)
        except REFUSALS as error:
            if session.in_transaction:
                raise refused(self.name, constraints.refusal(str(error))) from error
            raise explained(self.name, self.path, error) from error
        except sqlite3.Error as error:
            raise explained(self.name, self.path, error) from error
