"""PostgreSQL connections, and how a statement is performed over one: a generator of what psycopg is to do, written once
for connections that block and those of event loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import psycopg
from psycopg import errors

from async_loader.effects import Change, Each, Query, drive, drive_async
from async_loader.stores.postgres.copies import FORMAT, Copy
from async_loader.stores.postgres.faults import REFUSALS, PassedOverError, said
from async_loader.stores.postgres.statements import BATCH
from async_loader.stores.store import PASSED_OVER

# How a statement begins that takes the batch itself, from its client.
COPY = "COPY "

_SAVEPOINT = "SAVEPOINT loader"
_UNDO = "ROLLBACK TO SAVEPOINT loader"
_RELEASE = "RELEASE SAVEPOINT loader"


@dataclass(frozen=True, slots=True)
class Execute:
    """Run SQL with bound values. Result: an Answer."""

    sql: str
    values: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of SQL: its rows, how many rows it changed, and what the server calls it."""

    rows: list[tuple[Any, ...]]
    changed: int
    status: str | None


@dataclass(frozen=True, slots=True)
class CopyIn:
    """Give CSV to a COPY. Result: how many rows the server took."""

    sql: str
    csv: memoryview


# What is sent in is the result; what psycopg raises is thrown in.
Operations: TypeAlias = Generator[Execute | CopyIn, Any, Any]


def operations(statement: Query | Change | Each) -> Operations:
    """What a statement takes, and its result, as its effect says."""
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
        yield from _hand_over(part)
        rows += (yield Execute(query.sql, query.parameters)).rows
    return rows


def _changed(change: Change) -> Operations:
    if change.batch is None:
        answer = yield Execute(change.sql, change.parameters)
        if change.sql == "COMMIT" and answer.status != "COMMIT":
            raise errors.InFailedSqlTransaction("the transaction had failed, and was rolled back")
        return answer.changed
    return (yield from _all_or_nothing(_changed_by(change)))


def _changed_by(change: Change) -> Operations:
    changed = 0
    for part in change.batch or ():
        if change.sql.startswith(COPY):
            changed += yield CopyIn(change.sql, part.csv)
        else:
            yield from _hand_over(part)
            changed += (yield Execute(change.sql, change.parameters)).changed
    if change.rows not in {None, changed}:
        raise PassedOverError
    return changed


def _hand_over(part: Copy) -> Operations:
    """A table of the session's own, filled with a part of a batch: a look-up need not be in a transaction."""
    columns = ", ".join(f"c{place} {kind}" for place, kind in enumerate(part.types))
    yield Execute(f"DROP TABLE IF EXISTS pg_temp.{BATCH}")
    yield Execute(f"CREATE TEMPORARY TABLE {BATCH} ({columns})")
    yield CopyIn(f"{COPY}pg_temp.{BATCH} FROM STDIN {FORMAT}", part.csv)


def _each(each: Each) -> Operations:
    changed, refused = 0, {}
    for number, (sql, row) in enumerate(each.statements):
        try:
            changed += yield from _all_or_nothing(_one(sql, row))
        except PassedOverError:
            refused[number] = PASSED_OVER
        except REFUSALS as error:
            refused[number] = said(error)
    return changed, refused


def _one(sql: str, row: Sequence[Any]) -> Operations:
    if (yield Execute(sql, row)).changed != 1:
        raise PassedOverError
    return 1


def _all_or_nothing(steps: Operations) -> Operations:
    """Undo what was done where not all of it can be, and go on with the transaction."""
    yield Execute(_SAVEPOINT)
    try:
        result = yield from steps
    except (PassedOverError, *REFUSALS):
        yield Execute(_UNDO)
        yield Execute(_RELEASE)
        raise
    yield Execute(_RELEASE)
    return result


def perform(connection: psycopg.Connection[Any], statement: Query | Change | Each) -> Any:
    """The statement's result."""
    return drive(operations(statement), partial(_done, connection))


def _done(connection: psycopg.Connection[Any], operation: Execute | CopyIn) -> Any:
    if isinstance(operation, Execute):
        cursor = connection.execute(operation.sql, operation.values)
        return Answer(cursor.fetchall() if cursor.description else [], cursor.rowcount, cursor.statusmessage)
    with connection.cursor() as cursor:
        with cursor.copy(operation.sql) as copy:
            copy.write(operation.csv)
        return cursor.rowcount


class AsyncConnection:
    """psycopg's, for an event loop; `explained` makes what it raises into what the loader says."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], explained: Callable[[BaseException], BaseException]
    ) -> None:
        self._connection = connection
        self._explained = explained
        # A statement is several operations, between which no other may come.
        self._lock = asyncio.Lock()

    async def perform(self, statement: Query | Change | Each) -> Any:
        """See store.AsyncConnection."""
        async with self._lock:
            try:
                return await drive_async(operations(statement), self._done)
            except (psycopg.Error, PassedOverError) as error:
                raise self._explained(error) from error

    async def _done(self, operation: Execute | CopyIn) -> Any:
        if isinstance(operation, Execute):
            cursor = await self._connection.execute(operation.sql, operation.values)
            return Answer(await cursor.fetchall() if cursor.description else [], cursor.rowcount, cursor.statusmessage)
        async with self._connection.cursor() as cursor:
            async with cursor.copy(operation.sql) as copy:
                await copy.write(operation.csv)
            return cursor.rowcount

    async def close(self) -> None:
        """See store.AsyncConnection."""
        await self._connection.close()


# Sets a session up; what a version of the server does not know is left out. What is committed must outlive the server,
# since other databases will reference it; who waits for still more than that goes on doing so.
SET_UP = """\
SELECT set_config(name, value, FALSE) FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
WHERE CASE name WHEN 'synchronous_commit' THEN current_setting(name) = 'off'
ELSE current_setting(name, TRUE) IS NOT NULL END"""


def settings(lock_timeout: float, zone: str) -> tuple[list[str], list[str]]:
    """The values of SET_UP. lock_timeout: seconds to wait for a lock; 0 is not to wait."""
    wanted = {
        "client_encoding": "UTF8",
        "TimeZone": zone,
        "DateStyle": "ISO",
        "lock_timeout": f"{max(1, round(lock_timeout * 1000))}ms",
        # By an index, where there is one, however small the planner believes a table to be that was filled just now.
        "enable_seqscan": "off",
        # Statements are many and short, whatever the planner believes of a table that was filled just now.
        "jit": "off",
        # A long COPY is no accident here.
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "idle_session_timeout": "0",
        "transaction_timeout": "0",
        "synchronous_commit": "on",
    }
    return list(wanted), list(wanted.values())
