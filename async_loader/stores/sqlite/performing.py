"""How a statement is performed in an SQLite session: as a whole, its batch hung beside the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from async_loader.effects import Change, Each, Packed, Query, Refusal
from async_loader.errors import RefusedError
from async_loader.stores.sqlite.constraints import refusal
from async_loader.stores.sqlite.sessions import BEGIN, CHECKPOINT, COMMIT, ROLLBACK, Session
from async_loader.stores.store import PASSED_OVER

# Errors of a row, not of the database.
REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError)


def perform(session: Session, statement: Query | Change | Each) -> Any:
    """Return the statement's result, as its effect says."""
    session.check_file()
    match statement:
        case Query():
            return _queried(session, statement)
        case Change(sql=sql) if sql.startswith(BEGIN):
            return session.begin(sql)
        case Change(sql=sql) if sql == COMMIT:
            return session.commit()
        case Change(sql=sql) if sql == CHECKPOINT:
            return session.check_point()
        case Change(sql=sql) if sql == ROLLBACK:
            return session.roll_back()
        case Change():
            return _changed(session, statement)
        case Each():
            return _each(session, statement)


def is_of_records(statement: Query | Change | Each) -> bool:
    """Return whether a statement writes records, so that a transaction must be open."""
    return isinstance(statement, Each) or (isinstance(statement, Change) and statement.batch is not None)


def _queried(session: Session, query: Query) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for _ in _at_hand(session, query.batch):
        rows += session.execute(query.sql, query.parameters)
    return rows


def _changed(session: Session, change: Change) -> int:
    if change.batch is None:
        return session.execute(change.sql, change.parameters).rowcount
    session.make_room(change.sql, sum(map(len, change.batch)))
    with _all_or_nothing(session):
        for each in change.first:
            for _ in _at_hand(session, each.batch):
                session.execute(each.sql, each.parameters)
        parts = _at_hand(session, change.batch)
        changed = sum(session.execute(change.sql, change.parameters).rowcount for _ in parts)
        if change.rows not in {None, changed}:
            raise RefusedError(change.database, PASSED_OVER.said)
    session.hand_over()
    return changed


def _each(session: Session, each: Each) -> tuple[int, dict[int, Refusal]]:
    changed, refused = 0, dict[int, Refusal]()
    for number, (sql, row) in enumerate(each.statements):
        try:
            with _all_or_nothing(session):
                done = session.execute(sql, row).rowcount
        except REFUSALS as error:
            if not session.in_transaction:
                raise
            refused[number] = refusal(str(error))
            continue
        changed += done
        if not done:
            refused[number] = PASSED_OVER
    return changed, refused


def _at_hand(session: Session, batch: Iterable[Packed] | None) -> Iterator[None]:
    """Put the batch beside the database, part after part; without a batch there is nothing to hang, once."""
    if batch is None:
        yield
        return
    for image in batch:
        session.hang(image)
        yield


@contextmanager
def _all_or_nothing(session: Session) -> Iterator[None]:
    """Undo what was done where not all of it can be, and leave the transaction open; a constraint may have ended it."""
    session.execute("SAVEPOINT loader")
    try:
        yield
    except BaseException:
        if session.in_transaction:
            session.execute("ROLLBACK TO loader")
            session.execute("RELEASE loader")
        raise
    session.execute("RELEASE loader")
