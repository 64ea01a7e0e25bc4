"""PostgreSQL connections, and how a statement is performed over one: a generator of what psycopg is to do, written once
for connections that block and those of event loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncRawCursor, RawCursor, pq
from psycopg.adapt import AdaptersMap
from psycopg.rows import tuple_row

from async_loader.effects import Change, Each, Query, Refusal, drive, drive_async
from async_loader.stores.postgres.arrays import Arrays
from async_loader.stores.postgres.faults import PassedOverError, is_refusal, said
from async_loader.stores.postgres.sessions import (
    BEGIN,
    COMMIT,
    ROLLBACK,
    Answer,
    CopyIn,
    Execute,
    Operations,
    Session,
)
from async_loader.stores.postgres.statements import COPY, with_batch
from async_loader.stores.store import PASSED_OVER

_SAVEPOINT = "SAVEPOINT loader"
_UNDO = "ROLLBACK TO SAVEPOINT loader"
_RELEASE = "RELEASE SAVEPOINT loader"


def operations(session: Session, statement: Query | Change | Each) -> Operations:
    """Return what a statement takes; its result is the effect's."""
    if isinstance(statement, Change):
        if statement.sql.startswith(BEGIN):
            return session.begin(statement.sql)
        if statement.sql == COMMIT:
            return session.commit()
        if statement.sql == ROLLBACK:
            return session.roll_back()
    steps = _performed(statement)
    return steps if session.is_open else session.alone(steps)


def _performed(statement: Query | Change | Each) -> Operations:
    match statement:
        case Query():
            return _queried(statement)
        case Change():
            return _changed(statement)
        case Each():
            return _each(statement)


def _queried(query: Query) -> Operations:
    if query.batch is None:
        return (yield Execute(query.sql, query.parameters)).rows
    rows: list[tuple[Any, ...]] = []
    for part in query.batch:
        rows += (yield _execute(query, part)).rows
    return rows


def _changed(change: Change) -> Operations:
    if change.batch is None:
        return (yield Execute(change.sql, change.parameters)).changed
    return (yield from _all_or_nothing(_changed_by(change)))


def _changed_by(change: Change) -> Operations:
    changed = 0
    for each in change.first:
        yield from _changed_by(each)
    for part in change.batch or ():
        if change.sql.startswith(COPY):
            changed += yield CopyIn(change.sql, part.csv)
        else:
            changed += (yield _execute(change, part)).changed
    if change.rows not in {None, changed}:
        raise PassedOverError
    return changed


def _execute(statement: Query | Change, part: Arrays) -> Execute:
    return Execute(with_batch(statement.sql, part, len(statement.parameters)), (*statement.parameters, *part.literals))


def _each(each: Each) -> Operations:
    changed, refused = 0, dict[int, Refusal]()
    for number, (sql, row) in enumerate(each.statements):
        try:
            changed += yield from _all_or_nothing(_one(sql, row))
        except PassedOverError:
            refused[number] = PASSED_OVER
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            refused[number] = Refusal(said(error), error.diag.constraint_name or "")
    return changed, refused


def _one(sql: str, row: Any) -> Operations:
    if (yield Execute(sql, row)).changed != 1:
        raise PassedOverError
    return 1


def _all_or_nothing(steps: Operations) -> Operations:
    """Undo what was done where not all of it can be, and go on with the transaction."""
    yield Execute(_SAVEPOINT)
    try:
        result = yield from steps
    except (PassedOverError, psycopg.Error) as error:
        if isinstance(error, PassedOverError) or is_refusal(error):
            yield Execute(f"{_UNDO}; {_RELEASE}")
        raise
    yield Execute(_RELEASE)
    return result


class _Cursor(RawCursor[tuple[Any, ...]]):
    """A cursor that reads and writes values as psycopg does by default, whatever a project has made of a connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection, row_factory=tuple_row)
        self._adapters = AdaptersMap(psycopg.adapters)


class _AsyncCursor(AsyncRawCursor[tuple[Any, ...]]):
    """The same, for event loops."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        super().__init__(connection, row_factory=tuple_row)
        self._adapters = AdaptersMap(psycopg.adapters)


class Connection:
    """A connection that blocks.

    explained: makes the loader's errors of what psycopg raises. give_back: ends the use of psycopg's connection.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        session: Session,
        explained: Callable[[BaseException], BaseException],
        give_back: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._session = session
        self._explained = explained
        self._give_back = give_back

    def perform(self, statement: Query | Change | Each) -> Any:
        """Return the statement's result."""
        try:
            return drive(operations(self._session, statement), self._done)
        except (psycopg.Error, PassedOverError) as error:
            raise self._explained(error) from error

    def interrupt(self) -> None:
        """Make the server give up the statement that it is at; from any thread."""
        with suppress(psycopg.Error):
            self._connection.cancel_safe()

    def close(self) -> None:
        """Roll back what is not committed, and end the use of the connection."""
        try:
            if self._connection.pgconn.transaction_status in {
                pq.TransactionStatus.INTRANS,
                pq.TransactionStatus.INERROR,
            }:
                with suppress(psycopg.Error):
                    drive(self._session.roll_back(), self._done)
        finally:
            self._give_back()

    def _done(self, operation: Execute | CopyIn) -> Any:
        with _Cursor(self._connection) as cursor:
            if isinstance(operation, CopyIn):
                return _copied(cursor, operation)
            cursor.execute(operation.sql, operation.values or None, prepare=False)
            rows = cursor.fetchall() if cursor.description else []
            return Answer(rows, cursor.rowcount, cursor.statusmessage)


def _copied(cursor: _Cursor, operation: CopyIn) -> int:
    lost: psycopg.Error | None = None
    try:
        with cursor.copy(operation.sql) as copy:
            try:
                copy.write(operation.csv)
            except psycopg.Error as error:
                # Of an error that leaves this block psycopg would write a line of its own into the log.
                lost = error
    except psycopg.Error as error:
        raise (lost or error) from None
    if lost is not None:
        raise lost
    return cursor.rowcount


class AsyncConnection:
    """A connection for an event loop, of the loader's own making."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        session: Session,
        explained: Callable[[BaseException], BaseException],
    ) -> None:
        self._connection = connection
        self._session = session
        self._explained = explained
        # A statement is several operations, between which no other may come.
        self._lock = asyncio.Lock()

    async def perform(self, statement: Query | Change | Each) -> Any:
        """Do what `AsyncConnection.perform` says."""
        async with self._lock:
            try:
                return await drive_async(operations(self._session, statement), self._done)
            except (psycopg.Error, PassedOverError) as error:
                raise self._explained(error) from error

    async def close(self) -> None:
        """Do what `AsyncConnection.close` says."""
        await self._connection.close()

    async def _done(self, operation: Execute | CopyIn) -> Any:
        async with _AsyncCursor(self._connection) as cursor:
            if isinstance(operation, CopyIn):
                return await _copied_async(cursor, operation)
            await cursor.execute(operation.sql, operation.values or None, prepare=False)
            rows = await cursor.fetchall() if cursor.description else []
            return Answer(rows, cursor.rowcount, cursor.statusmessage)


async def _copied_async(cursor: _AsyncCursor, operation: CopyIn) -> int:
    lost: psycopg.Error | None = None
    try:
        async with cursor.copy(operation.sql) as copy:
            try:
                await copy.write(operation.csv)
            except psycopg.Error as error:
                # Of an error that leaves this block psycopg would write a line of its own into the log.
                lost = error
    except psycopg.Error as error:
        raise (lost or error) from None
    if lost is not None:
        raise lost
    return cursor.rowcount
