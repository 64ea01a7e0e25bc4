"""Connections that Django makes, lent to the loader: with functions, search path, role and time zone as the ORM's.

A load has a connection of its own, made by the backend of the alias, in the thread that uses it. Two kinds of database
are an exception, and lend the connection that the calling thread has: one in memory, which no other connection can see,
and one in which that thread has a transaction open, as a test has. What the load does then ends with that transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from async_loader import ConfigurationError, Lent

# Seconds that a server may take to answer, unless the project sets another limit.
CONNECT_TIMEOUT = 10

# Settings of a session, as the project has made them since it began. Those that the server itself does not know are in
# none of its lists: they are looked for in policies of row-level security. The role comes last: it may not make others.
_SETTINGS = r"""
SELECT name, current_setting(name) FROM pg_settings WHERE source = 'session'
AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
UNION SELECT name, current_setting(name, TRUE) FROM pg_policies, LATERAL (SELECT found[1] AS name
    FROM regexp_matches(concat(qual, with_check), 'current_setting\(''(\w+\.\w+)''', 'g') AS found) AS named
WHERE current_setting(name, TRUE) <> ''
UNION ALL SELECT 'role', current_setting('role')"""


@dataclass(frozen=True, slots=True)
class Lender:
    """Lends connections to the database of one alias. `wrapper` is Django's connection of the calling thread."""

    wrapper: BaseDatabaseWrapper
    context: Context = field(default_factory=copy_context)

    def __call__(self) -> Lent:
        """Lend a connection to the current thread; code of the project runs in the context of the calling one."""
        return self.context.copy().run(self._lend)

    def _lend(self) -> Lent:
        if _is_forbidden(self.wrapper):
            # Says which test forbids it, and how to allow it.
            self.wrapper.connect()
        return _shared(self.wrapper) if is_shared(self.wrapper) else _made(self.wrapper)


def is_shared(wrapper: BaseDatabaseWrapper) -> bool:
    """Return whether a load has to use the connection itself."""
    return is_in_memory(wrapper) or has_transaction(wrapper)


def has_transaction(wrapper: BaseDatabaseWrapper) -> bool:
    """Return whether the project has a transaction open, or would have to commit what is done."""
    return wrapper.connection is not None and (wrapper.in_atomic_block or not wrapper.get_autocommit())


def is_in_memory(wrapper: BaseDatabaseWrapper) -> bool:
    """Return whether the database is SQLite's, in memory."""
    return wrapper.vendor == "sqlite" and bool(wrapper.is_in_memory_db())  # type: ignore[attr-defined]


def _is_forbidden(wrapper: BaseDatabaseWrapper) -> bool:
    """Return whether the running test has not named the alias: then Django replaces methods of this one object."""
    return "connect" in vars(wrapper)


def _shared(wrapper: BaseDatabaseWrapper) -> Lent:
    wrapper.inc_thread_sharing()
    try:
        wrapper.ensure_connection()
        if is_joined := has_transaction(wrapper):
            _ensure_transaction(wrapper)
    except BaseException:
        wrapper.dec_thread_sharing()
        raise
    return Lent(wrapper.connection, wrapper.dec_thread_sharing, is_shared=True, is_joined=is_joined)


def _ensure_transaction(wrapper: BaseDatabaseWrapper) -> None:
    """Begin the transaction that SQLite begins with the first change only, where the project commits by itself."""
    raw: Any = wrapper.connection
    if wrapper.vendor == "sqlite" and not raw.in_transaction:
        raw.execute("BEGIN")


def _made(wrapper: BaseDatabaseWrapper) -> Lent:
    own = wrapper.copy()
    options = own.settings_dict["OPTIONS"]
    if own.vendor == "sqlite":
        # Values are to come as they are stored.
        options["detect_types"] = 0
    elif own.vendor == "postgresql":
        options.setdefault("connect_timeout", CONNECT_TIMEOUT)
        # Those of a pool are few, and the calling thread may have the last one.
        options.pop("pool", None)
    own.inc_thread_sharing()
    try:
        # A receiver of the project may raise once the connection is there.
        own.ensure_connection()
        if not own.get_autocommit():
            own.set_autocommit(True)
        settings = _session_settings(wrapper)
    except UnicodeEncodeError as error:
        own.close()
        raise ConfigurationError("its settings hold bytes that are not UTF-8") from error
    except BaseException:
        own.close()
        raise
    return Lent(own.connection, own.close, settings=settings)


def _session_settings(wrapper: BaseDatabaseWrapper) -> Mapping[str, str]:
    """Return what the project has set in the session that the calling thread has, as a tenant's search path.

    A connection of Django's own kind that is not open has no more than any new one.
    """
    is_djangos = type(wrapper).__module__.startswith("django.")
    if wrapper.vendor != "postgresql" or (is_djangos and wrapper.connection is None):
        return {}
    with _borrowed(wrapper):
        try:
            return _asked(wrapper)
        except (DatabaseError, InterfaceError):
            # It was lost some time ago, which Django finds out when it is used.
            wrapper.close()
            return _asked(wrapper)


def _asked(wrapper: BaseDatabaseWrapper) -> Mapping[str, str]:
    with wrapper.cursor() as cursor:
        cursor.execute(_SETTINGS)
        return dict(cursor.fetchall())


@contextmanager
def _borrowed(wrapper: BaseDatabaseWrapper) -> Iterator[None]:
    """Use a connection of another thread, which waits meanwhile; it is closed again if it was."""
    is_open = wrapper.connection is not None
    wrapper.inc_thread_sharing()
    try:
        yield
        if not is_open:
            wrapper.close()
    finally:
        wrapper.dec_thread_sharing()
