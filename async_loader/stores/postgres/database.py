"""PostgreSQL as a store: its steps, and how to connect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import polars as pl
import psycopg
from psycopg import AsyncRawCursor, RawCursor, conninfo

from async_loader.effects import Call, Change, Each, Packed, Query, Steps
from async_loader.errors import ConfigurationError, RefusedError, StoreError
from async_loader.records.keys import KeyRange
from async_loader.stores.postgres import schema
from async_loader.stores.postgres.connections import COPY, SET_UP, AsyncConnection, perform, settings
from async_loader.stores.postgres.copies import FORMAT, Copy, copy_of, cut
from async_loader.stores.postgres.faults import UNREACHABLE, Explainer, PassedOverError
from async_loader.stores.postgres.rows import stored_rows
from async_loader.stores.postgres.shares import KeptShares
from async_loader.stores.postgres.statements import (
    BATCH,
    CASTS,
    comparable,
    counter,
    insertion,
    is_same,
    is_unchanged,
    looked_up,
    placed,
    replacing,
    stored_value,
)
from async_loader.stores.store import Store, StoredRows, integers, quoted
from async_loader.tables import Column, Table, Type

# Seconds to wait for a server that does not answer.
CONNECT_TIMEOUT = 10
# Two runs that create the same tables at once take turns by this number.
_CREATING = 0x6C6F61646572


@dataclass(frozen=True, slots=True)
class Database(Store):
    """A database of a server.

    parameters: what libpq calls them, from https://www.postgresql.org/docs/current/libpq-connect.html.
    zone: the time zone in which the database takes times that name none.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    zone: str = "UTC"

    mark: ClassVar[str] = "$"
    batch: ClassVar[str] = BATCH
    batch_order: ClassVar[str] = "c0"
    # No text of the server's can hold a NUL, so it reads none in JSON.
    each_reason: ClassVar[str] = r"json_array_elements(regexp_replace(reasons, '(\\\\)|\\u0000', '\1', 'g')::json)"
    keeping_rejects: ClassVar[str] = "FOR UPDATE OF rejects"
    price_of_asking: ClassVar[int] = 16
    ledger_order: ClassVar[str] = "number"

    @property
    def shares(self) -> KeptShares:
        """See Store."""
        return KeptShares(self.name)

    def in_session(self, session: str) -> Self:
        """See Store."""
        return replace(self, parameters={**self.parameters, "application_name": session})

    def create(self, tables: Sequence[Table], *, fresh: bool) -> Steps[None]:
        """See Store."""
        yield Change(self.name, "BEGIN")
        yield Query(self.name, f"SELECT pg_advisory_xact_lock({_CREATING})")
        statements = schema.creation(tables)
        if fresh:
            names = [*(table.name for table in tables), *schema.OWN_TABLES]
            statements += [f"DELETE FROM {quoted(name)}" for name in names]
        statements += yield from schema.migrations(self.name)
        for statement in statements:
            yield Change(self.name, statement)

    def begin(self, tables: Iterable[Table]) -> Steps[None]:
        """See Store. Sessions that only read are not shut out."""
        names = ", ".join(quoted(table.name) for table in tables)
        yield Change(self.name, "BEGIN")
        # Loaders take turns by the first one.
        yield Change(self.name, "LOCK TABLE loader_runs IN SHARE ROW EXCLUSIVE MODE")
        if names:
            yield Change(self.name, f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        # What a constraint has to say is said of the statement that breaks it.
        yield Change(self.name, "SET CONSTRAINTS ALL IMMEDIATE")

    def begin_share(self) -> Steps[None]:
        """See Store."""
        yield Change(self.name, "BEGIN")
        yield Change(self.name, "SET CONSTRAINTS ALL IMMEDIATE")

    def begin_reading(self) -> Steps[None]:
        """See Store."""
        yield Change(self.name, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        # The state is that of the first statement.
        yield Query(self.name, "SELECT 1")

    def check(self, table: Table, *, filled: bool = False) -> Steps[None]:
        """See Store."""
        yield from schema.check(self.name, table, filled=filled)

    def key_range(self, table: Table) -> Steps[KeyRange | None]:
        """See Store. Texts are in an order of the server's own: all that is known of them is whether there are any."""
        key, name = quoted(table.key), quoted(table.name)
        if table.column(table.key).type is not Type.INTEGER:
            return ("", None) if (yield Query(self.name, f"SELECT 1 FROM {name} LIMIT 1")) else None
        sql = f"SELECT (SELECT min({key}) FROM {name}), (SELECT max({key}) FROM {name})"
        [(least, greatest)] = yield Query(self.name, sql)
        return None if least is None else (least, greatest)

    def held(
        self, table: Table, records: pl.DataFrame, absent: Collection[str] = ()
    ) -> Steps[tuple[pl.Series, pl.Series]]:
        """See Store."""
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
        rows = yield Query(self.name, sql, batch=placed(records, table.key))
        return integers(same for same, _ in rows).sort(), integers(differing for _, differing in rows).sort()

    def owned(self, table: Table, column: Column, records: pl.DataFrame) -> Steps[pl.Series]:
        """See Store."""
        other = f"NOT ({is_same(0, table.column(table.key))})"
        found = looked_up(table, f"{is_same(1, column, '=')} AND {other}")
        sql = f"SELECT string_agg(batch.c2::text, ',') FROM {found}"
        frame = records.with_columns(comparable(column.name)) if column.type is Type.JSON else records
        rows = yield Query(self.name, sql, batch=placed(frame, column.name))
        return integers(places for (places,) in rows).sort()

    def values_of(self, table: Table, columns: Sequence[Column], keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        """See Store."""
        values = ", ".join(stored_value(column) for column in columns)
        sql = f"SELECT batch.c1, {values} FROM {looked_up(table, is_same(0, table.column(table.key), '='))}"
        rows: list[tuple[Any, ...]] = yield Query(self.name, sql, batch=placed(keys.to_frame(), keys.name))
        return rows

    def present(self, table: Table, keys: pl.Series) -> Steps[pl.Series]:
        """See Store."""
        found = looked_up(table, is_same(0, table.column(table.key), "="))
        sql = f"SELECT string_agg(batch.c1::text, ',') FROM {found}"
        rows = yield Query(self.name, sql, batch=placed(keys.to_frame(), keys.name))
        return keys.gather(integers(places for (places,) in rows).sort())

    def keys_between(self, table: Table, least: int, greatest: int) -> Steps[pl.Series]:
        """See Store."""
        key = quoted(table.key)
        sql = f"SELECT string_agg({key}::text, ',') FROM {quoted(table.name)} WHERE {key} BETWEEN $1 AND $2"
        rows = yield Query(self.name, sql, (least, greatest))
        # Of a table's keys there may be megabytes, too many to be taken apart where effects are passed on.
        keys: pl.Series = yield Call(integers, ([text for (text,) in rows],))
        return keys

    def pack(self, frame: pl.DataFrame, key: str | None = None) -> Sequence[Packed]:
        """See Store. With a primary key, the server's index is what takes longest: in the order of keys, far less."""
        return copy_of(frame if key is None else frame.sort(key))

    def write(
        self, table: Table, records: Sequence[Packed], size: int, *, replace: bool, absent: Collection[str] = ()
    ) -> Steps[int]:
        """See Store."""
        yield from self._refuse_cut(table, records)
        names = ", ".join(map(quoted, table.column_names))
        if not replace:
            sql = f"{COPY}{quoted(table.name)} ({names}) FROM STDIN {FORMAT}"
        else:
            values = ", ".join(f"c{place}{CASTS.get(column.type, '')}" for place, column in enumerate(table.columns))
            order = f"c{table.column_names.index(table.key)}"
            sql = f"{insertion(table)} SELECT {values} FROM {BATCH} ORDER BY {order}{replacing(table, absent)}"
        return (yield from self.change(sql, (), records, size))

    def write_each(
        self, table: Table, records: pl.DataFrame, held: pl.Series, absent: Collection[str] = ()
    ) -> Steps[tuple[int, dict[Any, str]]]:
        """See Store."""
        values = ", ".join(f"${number}" for number in range(1, records.width + 1))
        insert, replaced = f"{insertion(table)} VALUES ({values})", set(held)
        narrow = cut(records, (yield from schema.widths(self.name, table)))
        whole = records.filter(narrow.is_null())
        keys = whole[table.key].to_list()
        statements = [
            (insert + replacing(table, absent) if key in replaced else insert, row)
            for key, row in zip(keys, whole.iter_rows(), strict=True)
        ]
        stored, refused = yield Each(self.name, statements)
        problems = {keys[number]: problem for number, problem in refused.items()}
        too_long = zip(records[table.key], narrow, strict=True)
        return stored, problems | {key: schema.too_long(width) for key, width in too_long if width is not None}

    def _refuse_cut(self, table: Table, records: Sequence[Copy]) -> Steps[None]:
        """RefusedError where the server would cut spaces at the end of a text, and not say so."""
        longest = [max(column) for column in zip(*(part.spaced for part in records), strict=True)]
        if not any(longest):
            return
        for most, width in zip(longest, (yield from schema.widths(self.name, table)), strict=True):
            if width is not None and most > width:
                raise RefusedError(self.name, schema.too_long(width))

    def go_on_counting(self, table: Table) -> Steps[None]:
        """See Store. The counter of a role that may not move it stays."""
        if table.column(table.key).type is Type.INTEGER:
            yield Query(self.name, counter(table), (quoted(table.name), table.key))

    def rows(self, table: Table) -> Steps[StoredRows]:
        """See Store."""
        return (yield from stored_rows(self.name, table))

    def connect(self, *, lock_timeout: float, writable: bool, create: bool) -> psycopg.Connection[Any]:  # noqa: ARG002
        """See Store. The databases of a server are made by its administrator."""
        try:
            connection = psycopg.connect(
                **self._parameters(), autocommit=True, cursor_factory=RawCursor, prepare_threshold=None
            )
        except psycopg.Error as error:
            raise self._explainer.explained(error, UNREACHABLE) from error
        try:
            connection.execute(SET_UP, settings(lock_timeout, self.zone))
            self._check_encoding(connection.info.parameter_status("server_encoding"))
        except psycopg.Error as error:
            connection.close()
            raise self._explainer.explained(error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    async def connect_async(self, *, lock_timeout: float, writable: bool, create: bool) -> AsyncConnection:  # noqa: ARG002
        """See Store."""
        try:
            connection = await psycopg.AsyncConnection.connect(
                **self._parameters(), autocommit=True, cursor_factory=AsyncRawCursor, prepare_threshold=None
            )
        except psycopg.Error as error:
            raise self._explainer.explained(error, UNREACHABLE) from error
        try:
            await connection.execute(SET_UP, settings(lock_timeout, self.zone))
            self._check_encoding(connection.info.parameter_status("server_encoding"))
        except psycopg.Error as error:
            await connection.close()
            raise self._explainer.explained(error) from error
        except BaseException:
            await connection.close()
            raise
        return AsyncConnection(connection, self._explainer.explained)

    def _parameters(self) -> dict[str, Any]:
        return {"connect_timeout": CONNECT_TIMEOUT, "application_name": "async_loader", **self.parameters}

    def _check_encoding(self, encoding: str | None) -> None:
        if encoding != "UTF8":
            raise StoreError(self.name, f"its text is in {encoding} ({self._explainer.place}); make it anew in UTF8")

    def perform(self, connection: psycopg.Connection[Any], statement: Query | Change | Each) -> Any:
        """See Store."""
        try:
            return perform(connection, statement)
        except (psycopg.Error, PassedOverError) as error:
            raise self._explainer.explained(error) from error

    @property
    def _explainer(self) -> Explainer:
        return Explainer(self.name, self.parameters)


def from_url(name: str, url: str) -> Database:
    """Return the database at a URL, or of any text that libpq takes for a connection. ConfigurationError where it
    cannot be read; the text, which may have a password, is not repeated.
    """
    form = "postgresql://USER:PASSWORD@HOST:PORT/NAME"
    if _has_stray_at(url):
        raise ConfigurationError(f"database {name}: its URL has an @ too many; it is {form}, with %40 for an @ within")
    try:
        return Database(name, conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError as error:
        problem = f"its URL cannot be read; it is {form}"
        raise ConfigurationError(f"database {name}: {problem}") from error.with_traceback(None)


def _has_stray_at(url: str) -> bool:
    """Return whether libpq would take a part of a password for a host, port or database, which are shown."""
    authority, _, path = url.partition("://")[2].partition("/")
    return "@" in path.partition("?")[0] or authority.count("@") > 1
