"""Transactions of a PostgreSQL session, and the settings that hold in them: generators of SQL, and no psycopg.

Settings are made in each transaction and end with it: a pooler may give the session to another client at every commit.
A statement outside a transaction has one of its own, for the sake of the settings. In a transaction that the owner of
the connection has begun, ours lies between savepoints, and the settings are made as they were before it ends.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from async_loader.errors import StoreError

BEGIN, COMMIT, ROLLBACK = "BEGIN", "COMMIT", "ROLLBACK"

# Each statement sees what is committed by then, whatever the role or the project has made the default.
_NEWEST = f"{BEGIN} ISOLATION LEVEL READ COMMITTED"

_SAVEPOINT = "SAVEPOINT loader_run"
_UNDO = "ROLLBACK TO SAVEPOINT loader_run"
_RELEASE = "RELEASE SAVEPOINT loader_run"


@dataclass(frozen=True, slots=True)
class Execute:
    """Run SQL with bound values; without values it may be several statements. Result: an Answer."""

    sql: str
    values: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class CopyIn:
    """Give CSV to a COPY. Result: how many rows the server took."""

    sql: str
    csv: memoryview


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of SQL: its rows, how many rows it changed, and what the server calls it."""

    rows: list[tuple[Any, ...]]
    changed: int
    status: str | None


# The result is sent in; what psycopg raises is thrown in.
Operations: TypeAlias = Generator[Execute | CopyIn, Any, Any]


@dataclass(slots=True)
class Session:
    """One connection's transaction. A failed one is open until it is rolled back.

    settings: of the server, by name, in the order in which they are made.
    is_joined: whether the owner of the connection has a transaction open, which this one is a part of.
    """

    database: str
    settings: Mapping[str, str]
    is_joined: bool = False
    is_open: bool = False
    _before: Mapping[str, str] = field(default_factory=dict)

    def begin(self, sql: str) -> Operations:
        """Begin a transaction by this SQL, with the settings."""
        if self.is_joined:
            # A savepoint ends these as well, if it is rolled back to.
            answer = yield Execute(f"{_SAVEPOINT}; {_current(self.settings)}")
            self._before = dict(answer.rows)
            self.is_open = True
            yield Execute(setting(self.settings))
        else:
            self.is_open = True
            yield Execute(f"{_NEWEST if sql == BEGIN else sql}; {setting(self.settings)}")
        return 0

    def commit(self) -> Operations:
        """Make the transaction permanent. StoreError where it has failed."""
        if not self.is_open:
            raise StoreError(
                self.database, "its transaction has ended by itself, and nothing of it was kept; see the server's log"
            )
        if self.is_joined:
            # As Django leaves constraints after a check of them.
            yield Execute(f"SET CONSTRAINTS ALL DEFERRED; {setting(self._before)}; {_RELEASE}")
        elif (yield Execute(COMMIT)).status != COMMIT:
            self.is_open = False
            raise StoreError(self.database, "its transaction had failed, and was rolled back; see the server's log")
        self.is_open = False
        return 0

    def roll_back(self) -> Operations:
        """Undo the transaction, if one is open."""
        if self.is_open:
            self.is_open = False
            yield Execute(f"{_UNDO}; {_RELEASE}" if self.is_joined else ROLLBACK)
        return 0

    def alone(self, steps: Operations) -> Operations:
        """Take steps in a transaction of their own."""
        yield from self.begin(BEGIN)
        try:
            result = yield from steps
        except Exception:
            # Where the connection is lost, that is what there is to say.
            with suppress(Exception):
                yield from self.roll_back()
            raise
        yield from self.commit()
        return result


def settings_of_loads(lock_timeout: float, application_name: str, zone: str) -> dict[str, str]:
    """Return the settings that every load makes; `lock_timeout` is in seconds, 0 is not to wait."""
    return {
        "application_name": application_name,
        "TimeZone": zone,
        "DateStyle": "ISO",
        # As statements and values are written here.
        "standard_conforming_strings": "on",
        "array_nulls": "on",
        "lock_timeout": f"{max(1, round(lock_timeout * 1000))}ms",
        # By an index, where there is one, however small the planner believes a table to be that was just filled.
        "enable_seqscan": "off",
        # Statements are many and short, whatever the planner believes of such a table.
        "jit": "off",
        # A long COPY is no accident here.
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "transaction_timeout": "0",
        # What is committed must outlive the server, since other databases will reference it.
        "synchronous_commit": "on",
    }


def setting(settings: Mapping[str, str]) -> str:
    """Return the statement that makes settings until the transaction ends. What a version of the server does not know
    is left out. A session whose commits wait for more than its own disk goes on doing so.
    """
    if not settings:
        return "SELECT"
    return f"""SELECT set_config(name, value, TRUE) FROM (VALUES {_pairs(settings)}) AS wanted (name, value)
        WHERE CASE name WHEN 'synchronous_commit' THEN current_setting(name) = 'off'
        WHEN 'transaction_timeout' THEN current_setting(name, TRUE) IS NOT NULL ELSE TRUE END"""


def _current(settings: Mapping[str, str]) -> str:
    """Return the statement that reads what those settings are now."""
    return f"""SELECT name, current_setting(name, TRUE) FROM (VALUES {_pairs(settings)}) AS wanted (name, value)
        WHERE current_setting(name, TRUE) IS NOT NULL"""


def _pairs(settings: Mapping[str, str]) -> str:
    return ", ".join(f"({_literal(name)}, {_literal(value)})" for name, value in settings.items())


def _literal(text: str) -> str:
    """Return a text, safe in SQL whatever the server makes of backslashes."""
    quoted = text.replace("'", "''").replace("\\", "\\\\")
    return f" E'{quoted}'" if "\\" in text else f"'{quoted}'"
