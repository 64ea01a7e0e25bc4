"""How a statement is performed over an SQLite connection: as a whole, its batch hung beside the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from async_loader.effects import Change, Each, Packed, Query
from async_loader.errors import RefusedError
from async_loader.stores.sqlite.statements import IMAGE
from async_loader.stores.sqlite.wal import LoggedConnection
from async_loader.stores.store import PASSED_OVER

# Errors of a row, not of the database.
REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError)


def perform(connection: LoggedConnection, statement: Query | Change | Each) -> Any:
    """Return the statement's result, as its effect says."""
    match statement:
        case Query():
            return _queried(connection, statement)
        case Change():
            return _changed(connection, statement)
        case Each():
            return _each(connection, statement)


def is_of_records(statement: Query | Change | Each) -> bool:
    """Return whether a statement writes records, so that a transaction must be open."""
    return isinstance(statement, Each) or (isinstance(statement, Change) and statement.batch is not None)


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
        except REFUSALS as error:
            if not connection.in_transaction:
                raise
            refused[number] = str(error)
            continue
        changed += done
        if not done:
            refused[number] = PASSED_OVER
    return changed, refused


def _at_hand(connection: sqlite3.Connection, batch: Iterable[Packed] | None) -> Iterator[None]:
    """Hang the batch beside the database, part after part; without a batch there is nothing to hang, once."""
    if batch is None:
        yield
        return
    for image in batch:
        connection.deserialize(image, name=IMAGE)
        yield


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
