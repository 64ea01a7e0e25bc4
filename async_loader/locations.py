"""Where a database is, and how to connect to it, as values: made and passed on without the libraries that connect.

A framework that makes connections of its own lends them: a location then has a function that opens one, in the thread
that is to use it. Nothing is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lent:
    """A connection that a framework has made, and that a store uses until it gives it back.

    connection: the driver's own, as its module gives it: of sqlite3 or psycopg.
    give_back: to be called once, in any thread, when the store is done with it.
    is_shared: whether its owner goes on using it, so that the store must leave it as it was.
    is_joined: whether its owner has a transaction open, which the store joins: what it does is undone or made permanent
        with that transaction.
    settings: of a server, by name, that are to hold in each transaction, as the search path of a tenant.
    """

    connection: Any
    give_back: Callable[[], None]
    is_shared: bool = False
    is_joined: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


Lend: TypeAlias = Callable[[], Lent]


@dataclass(frozen=True, slots=True)
class SQLite:
    """An SQLite database.

    path: its file; None for one in memory.
    zone: the time zone in which it keeps times that have one.
    lend: opens a connection; None where the store opens connections of its own.
    """

    path: Path | None
    zone: str = "UTC"
    lend: Lend | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database of a PostgreSQL server.

    parameters: what libpq calls them, from https://www.postgresql.org/docs/current/libpq-connect.html. They may have a
        password, so they are shown nowhere.
    zone: the time zone in which the database takes times that name none.
    lend: opens a connection; None where the store opens connections of its own.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    zone: str = "UTC"
    lend: Lend | None = field(default=None, repr=False)
