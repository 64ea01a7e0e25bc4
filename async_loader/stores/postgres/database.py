"""PostgreSQL as a store: its steps, and how to connect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Self

import polars as pl
import psycopg

from async_loader.columns import Column, Type
from async_loader.constraints import Unique
from async_loader.effects import Call, Change, Each, Packed, Query, Refusal, Steps
from async_loader.errors import ConfigurationError, RefusedError, StoreError
from async_loader.locations import Lend, Lent
from async_loader.records.keys import KeyRange
from async_loader.records.row_index import FoundRows
from async_loader.stores.answers import ForeignKey, StoredRows
from async_loader.stores.connections import InOwnThread
from async_loader.stores.names import quoted, table_sql
from async_loader.stores.new_keys import NewKeys
from async_loader.stores.postgres import constraints, finding, schema
from async_loader.stores.postgres.arrays import Arrays, arrays_of
from async_loader.stores.postgres.connections import AsyncConnection, Connection
from async_loader.stores.postgres.copies import FORMAT, Copy, copy_of, cut
from async_loader.stores.postgres.faults import UNREACHABLE, Explainer, driver_error
from async_loader.stores.postgres.referring import References
from async_loader.stores.postgres.rows import stored_rows
from async_loader.stores.postgres.sessions import BEGIN, Session, settings_of_loads
from async_loader.stores.postgres.shares import KeptShares
from async_loader.stores.postgres.statements import (
    BATCH,
    COPY,
    cast_of,
    counter,
    insertion,
    is_same,
    is_unchanged,
    looked_up,
    placed,
    replacing,
    stored_value,
    updating,
    updating_one,
)
from async_loader.stores.shares import Place
from async_loader.stores.store import Store, integers, only_updates
from async_loader.tables import Table

# Seconds to wait for a server that does not answer.
CONNECT_TIMEOUT = 10
# How the server calls our sessions, where the project has no name for them.
APPLICATION_NAME = "async_loader"
# Two runs that create the same tables at once take turns by this number.
_CREATING = 0x6C6F61646572


@dataclass(frozen=True, slots=True)
class Database(Store):
    """A database of a server.

    parameters, zone, lend: as in locations.PostgreSQL.
    settings: of the server, by name, that hold in each transaction besides ours.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    zone: str = "UTC"
    lend: Lend | None = field(default=None, repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)

    batch: ClassVar[str] = BATCH
    batch_order: ClassVar[str] = "c0"
    # No text of the server's can hold a NUL, so it reads none in JSON.
    each_reason: ClassVar[str] = r"json_array_elements(regexp_replace(reasons, '(\\\\)|\\u0000', '\1', 'g')::json)"
    keeping_rejects: ClassVar[str] = "FOR UPDATE OF rejects"
    price_of_asking: ClassVar[int] = 16
    price_of_finding: ClassVar[float] = 16
    ledger_order: ClassVar[str] = "number"

    @property
    def shares(self) -> KeptShares:
        """Do what `Store.shares` says."""
        return KeptShares(self.name)

    @property
    def referring(self) -> References:
        """Do what `Store.referring` says."""
        return References(self.name)

    def in_session(self, session: str, place: Place | None) -> Self:
        """Do what `Store.in_session` says."""
        settings = {} if place is None else place.settings
        return replace(self, settings={**self.settings, **settings, "application_name": session})

    @staticmethod
    def mark(number: int) -> str:
        """Return the mark of the bound value of this number, from 1."""
        return f"${number}"

    def create(self, tables: Sequence[Table], *, fresh: bool) -> Steps[None]:
        """Do what `Store.create` says."""
        yield Change(self.name, BEGIN)
        yield Query(self.name, f"SELECT pg_advisory_xact_lock({_CREATING})")
        statements = schema.creation(tables)
        if fresh:
            names = [*(table.name for table in tables), *schema.OWN_TABLES]
            statements += [f"DELETE FROM {table_sql(name)}" for name in names]
        statements += yield from schema.migrations(self.name)
        for statement in statements:
            yield Change(self.name, statement)

    def begin(self, tables: Iterable[Table]) -> Steps[None]:
        """Do what `Store.begin` says. Sessions that only read are not shut out."""
        names = ", ".join(table_sql(table.name) for table in tables)
        yield Change(self.name, BEGIN)
        # Loads take turns by the first one, and with guards of loads that are spread.
        yield Change(self.name, schema.TAKE_TURNS)
        if names:
            yield Change(self.name, f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        # What a constraint has to say is said of the statement that breaks it.
        yield Change(self.name, "SET CONSTRAINTS ALL IMMEDIATE")

    def begin_share(self) -> Steps[None]:
        """Do what `Store.begin_share` says."""
        yield Change(self.name, BEGIN)
        yield Change(self.name, "SET CONSTRAINTS ALL IMMEDIATE")

    def begin_reading(self) -> Steps[None]:
        """Do what `Store.begin_reading` says."""
        yield Change(self.name, f"{BEGIN} ISOLATION LEVEL REPEATABLE READ")
        # The state is that of the first statement.
        yield Query(self.name, "SELECT 1")

    def check(self, table: Table, *, filled: bool = False) -> Steps[None]:
        """Do what `Store.check` says."""
        yield from schema.check(self.name, table, filled=filled)

    def identity(self) -> Steps[tuple[object, object]]:
        """Do what `Store.identity` says. Schemas are databases of their own, each with a ledger."""
        [(use, *place)] = yield Query(self.name, schema.IDENTITY)
        return tuple(place), use

    def foreign_keys(self, table: Table) -> Steps[list[ForeignKey]]:
        """Do what `Store.foreign_keys` says."""
        return (yield from schema.foreign_keys(self.name, table))

    def key_range(self, table: Table) -> Steps[KeyRange | None]:
        """Do what `Store.key_range` says; of all but integers only whether there are any."""
        key, name = quoted(table.key), table_sql(table.name)
        if table.column(table.key).type is not Type.INTEGER:
            return (None, None) if (yield Query(self.name, f"SELECT 1 FROM {name} LIMIT 1")) else None
        sql = f"SELECT (SELECT min({key}) FROM {name}), (SELECT max({key}) FROM {name})"
        [(least, greatest)] = yield Query(self.name, sql)
        return None if least is None else (least, greatest)

    def held(
        self, table: Table, records: pl.DataFrame, absent: Collection[str] = ()
    ) -> Steps[tuple[pl.Series, pl.Series]]:
        """Do what `Store.held` says."""
        compared = [
            (place, column)
            for place, column in enumerate(table.columns)
            if column.name != table.key and column.name not in absent
        ]
        same = " AND ".join(is_unchanged(place, column) for place, column in compared) or "TRUE"
        key = table.column_names.index(table.key)
        sql = f"""SELECT string_agg(place::text, ',') FILTER (WHERE same),
                string_agg(place::text, ',') FILTER (WHERE NOT same)
            FROM (SELECT batch.c{records.width} AS place, {same} AS same
                FROM {looked_up(table, is_same(key, table.column(table.key), "="))}) AS found"""
        rows = yield Query(self.name, sql, batch=(yield Call(placed, (records, table.key))))
        return integers(same for same, _ in rows).sort(), integers(differing for _, differing in rows).sort()

    def owned(self, table: Table, unique: Unique, records: pl.DataFrame) -> Steps[pl.Series]:
        """Do what `Store.owned` says."""
        return (yield from finding.owned(self.name, table, unique, records))

    def conditions(self, table: Table) -> Steps[dict[str, str]]:
        """Do what `Store.conditions` says."""
        return (yield from constraints.conditions(self.name, table))

    def values_of(self, table: Table, columns: Sequence[Column], keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        """Do what `Store.values_of` says."""
        values = ", ".join(stored_value(column) for column in columns)
        sql = f"SELECT batch.c1, {values} FROM {looked_up(table, is_same(0, table.column(table.key), '='))}"
        rows: list[tuple[Any, ...]] = yield Query(
            self.name, sql, batch=(yield Call(placed, (keys.to_frame(), keys.name)))
        )
        return rows

    def computed(self, table: Table, column: Column, size: int) -> Steps[pl.Series]:
        """Do what `Store.computed` says."""
        return (yield from finding.computed(self.name, table, column, size, self.read_back))

    def present(self, table: Table, keys: pl.Series) -> Steps[pl.Series]:
        """Do what `Store.present` says."""
        found = looked_up(table, is_same(0, table.column(table.key), "="))
        sql = f"SELECT string_agg(batch.c1::text, ',') FROM {found}"
        rows = yield Query(self.name, sql, batch=(yield Call(placed, (keys.to_frame(), keys.name))))
        return keys.gather(integers(places for (places,) in rows).sort())

    def find(
        self, table: Table, columns: Sequence[Column], wanted: Column, frame: pl.DataFrame, *, is_indexed: bool
    ) -> Steps[FoundRows]:
        """Do what `Store.find` says."""
        return (yield from finding.find(self.name, table, columns, wanted, frame, is_indexed=is_indexed))

    def linked(self, table: Table, column: Column, wanted: Column, values: pl.Series) -> Steps[pl.DataFrame]:
        """Do what `Store.linked` says."""
        return (yield from finding.linked(self.name, table, column, wanted, values))

    def delete(self, table: Table, keys: pl.Series) -> Steps[int]:
        """Do what `Store.delete` says."""
        return (yield from finding.delete(self.name, table, keys))

    def is_indexed(self, table: Table, columns: Sequence[Column]) -> Steps[bool]:
        """Do what `Store.is_indexed` says."""
        return (yield from finding.is_indexed(self.name, table, columns))

    def new_keys(self, table: Table) -> Steps[NewKeys]:
        """Do what `Store.new_keys` says."""
        return (yield from finding.new_keys(self.name, table))

    def keys_between(self, table: Table, least: int, greatest: int) -> Steps[pl.Series]:
        """Do what `Store.keys_between` says."""
        key = quoted(table.key)
        sql = f"SELECT string_agg({key}::text, ',') FROM {table_sql(table.name)} WHERE {key} BETWEEN $1 AND $2"
        rows = yield Query(self.name, sql, (least, greatest))
        # Of a table's keys there may be megabytes, too many to be taken apart where effects are passed on.
        keys: pl.Series = yield Call(integers, ([text for (text,) in rows],))
        return keys

    def pack(self, frame: pl.DataFrame, table: Table | None = None, *, replace: bool = False) -> Sequence[Packed]:
        """Do what `Store.pack` says. With a primary key, the server's index is what takes longest: in the order of
        keys, far less.
        """
        if table is None:
            return arrays_of(frame)
        return arrays_of(frame.sort(table.key)) if replace else copy_of(frame.sort(table.key))

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
        """Do what `Store.write` says. Rows are copied into a table unless its policies forbid that, or they may replace
        others.
        """
        yield from self._refuse_cut(table, records)
        if only_updates(table, absent):
            return (yield from self._change_by_arrays(updating(table, absent), records, size, first))
        is_copy = not (replace or first) and all(isinstance(part, Copy) for part in records)
        if not is_copy or (yield from schema.has_policies(self.name, table)):
            return (yield from self._insert(table, records, size, replacing(table, absent) if replace else "", first))
        names = ", ".join(map(quoted, table.column_names))
        sql = f"{COPY}{table_sql(table.name)} ({names}) FROM STDIN {FORMAT}"
        return (yield from self.change(sql, (), records, size))

    def assigning(self, table: Table, records: pl.DataFrame) -> Change:
        """Do what `Store.assigning` says."""
        return Change(self.name, updating(table.narrowed(records.columns), ()), (), arrays_of(records))

    def _insert(
        self, table: Table, records: Sequence[Packed], size: int, conflicts: str, first: Sequence[Change]
    ) -> Steps[int]:
        values = ", ".join(f"c{place}{cast_of(column)}" for place, column in enumerate(table.columns))
        order = f"c{table.column_names.index(table.key)}"
        sql = f"{insertion(table)} SELECT {values} FROM {BATCH} ORDER BY {order}{conflicts}"
        return (yield from self._change_by_arrays(sql, records, size, first))

    def _change_by_arrays(
        self, sql: str, records: Sequence[Packed], size: int, first: Sequence[Change] = ()
    ) -> Steps[int]:
        arrays: list[Arrays] = []
        for part in records:
            arrays += (yield Call(arrays_of, (part.frame,))) if isinstance(part, Copy) else [part]
        return (yield from self.change(sql, (), arrays, size, first))

    def write_each(
        self, table: Table, records: pl.DataFrame, held: pl.Series, absent: Collection[str] = ()
    ) -> Steps[tuple[int, dict[Any, Refusal]]]:
        """Do what `Store.write_each` says."""
        values = ", ".join(f"${number}" for number in range(1, records.width + 1))
        insert, replaced = f"{insertion(table)} VALUES ({values})", set(held)
        bound = records.columns
        if only_updates(table, absent):
            insert, replaced = updating_one(table, absent), set()
            bound = [name for name in records.columns if name not in absent]
        narrow = cut(records, (yield from schema.widths(self.name, table)))
        whole = records.filter(narrow.is_null())
        keys = whole[table.key].to_list()
        statements = [
            (insert + replacing(table, absent) if key in replaced else insert, row)
            for key, row in zip(keys, whole.select(bound).iter_rows(), strict=True)
        ]
        stored, refused = yield Each(self.name, statements)
        problems = {keys[number]: problem for number, problem in refused.items()}
        too_long = zip(records[table.key], narrow, strict=True)
        return stored, problems | {key: Refusal(schema.too_long(width)) for key, width in too_long if width is not None}

    def unasked(self, table: Table) -> Steps[list[str]]:
        """Do what `Store.unasked` says."""
        return (yield from constraints.unasked(self.name, table))

    def _refuse_cut(self, table: Table, records: Sequence[Copy | Arrays]) -> Steps[None]:
        """Raise RefusedError where the server would cut spaces at the end of a text, and not say so."""
        longest = [max(column) for column in zip(*(part.spaced for part in records), strict=True)]
        if not any(longest):
            return
        for most, width in zip(longest, (yield from schema.widths(self.name, table)), strict=True):
            if width is not None and most > width:
                raise RefusedError(self.name, schema.too_long(width))

    def go_on_counting(self, table: Table) -> Steps[None]:
        """Do what `Store.go_on_counting` says. The counter of a role that may not move it stays."""
        if table.column(table.key).type is Type.INTEGER:
            yield Query(self.name, counter(table), (table_sql(table.name), table.key))

    def rows(self, table: Table) -> Steps[StoredRows]:
        """Do what `Store.rows` says."""
        return (yield from stored_rows(self.name, table))

    def connect(self, *, lock_timeout: float, writable: bool, create: bool) -> Connection:  # noqa: ARG002
        """Do what `Store.connect` says. The databases of a server are made by its administrator."""
        lent = self._borrow()
        session = Session(self.name, self._settings(lock_timeout, lent.settings), is_joined=lent.is_joined)
        return Connection(lent.connection, session, self._explainer.explained, lent.give_back)

    def _borrow(self) -> Lent:
        """Return a connection that the project has made, or one of our own."""
        try:
            lent = self._connect() if self.lend is None else self.lend()
        except Exception as error:
            raise self._explainer.explained(driver_error(error), UNREACHABLE) from error
        try:
            self._check_connection(lent.connection)
        except BaseException:
            lent.give_back()
            raise
        return lent

    def _connect(self) -> Lent:
        connection = psycopg.connect(**self._parameters(), autocommit=True)
        return Lent(connection, connection.close)

    async def connect_async(
        self, *, lock_timeout: float, writable: bool, create: bool
    ) -> AsyncConnection | InOwnThread:
        """Do what `Store.connect_async` says. A connection that a project has made blocks, so it has a thread of its
        own.
        """
        if self.lend is not None:
            connect = partial(self.connect, lock_timeout=lock_timeout, writable=writable, create=create)
            return await InOwnThread.open(connect)
        try:
            connection = await psycopg.AsyncConnection.connect(**self._parameters(), autocommit=True)
        except psycopg.Error as error:
            raise self._explainer.explained(error, UNREACHABLE) from error
        try:
            self._check_encoding(connection)
        except BaseException:
            await connection.close()
            raise
        return AsyncConnection(connection, Session(self.name, self._settings(lock_timeout)), self._explainer.explained)

    def _parameters(self) -> dict[str, Any]:
        own = {"connect_timeout": CONNECT_TIMEOUT, "application_name": APPLICATION_NAME}
        return own | dict(self.parameters) | {"client_encoding": "UTF8"}

    def _settings(self, lock_timeout: float, lent: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the settings that hold in each transaction, in the order in which they are made.

        lock_timeout: seconds; 0 is not to wait. lent: those that come with the connection.
        """
        given = dict(lent or {}) | dict(self.settings)
        role = {"role": given.pop("role")} if "role" in given else {}
        name = str(self.parameters.get("application_name") or APPLICATION_NAME)
        return given | settings_of_loads(lock_timeout, name, self.zone) | dict(self.settings) | role

    def _check_connection(self, connection: Any) -> None:
        if not isinstance(connection, psycopg.Connection):
            problem = f"its connections are of {type(connection).__module__}; the loader needs those of psycopg 3"
            raise ConfigurationError(f"database {self.name}: {problem}")
        self._check_encoding(connection)

    def _check_encoding(self, connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(self.name, f"its text is in {encoding} ({self._explainer.place}); create it again in UTF8")

    def perform(self, connection: Connection, statement: Query | Change | Each) -> Any:
        """Do what `Store.perform` says."""
        return connection.perform(statement)

    @property
    def _explainer(self) -> Explainer:
        return Explainer(self.name, self.parameters)
