"""An SQLite connection for an event loop: aiosqlite's, which has a thread of its own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self

import aiosqlite

if TYPE_CHECKING:
    from async_loader.effects import Change, Each, Query
    from async_loader.stores.sqlite.database import Database

# aiosqlite asks how many rows to fetch at once where a cursor is iterated. No cursor is iterated here.
_ROWS_AT_ONCE = 1


class Connection(aiosqlite.Connection):
    """A connection of aiosqlite, which also performs a statement as a whole in its thread. It holds a Session."""

    _database: Database

    @classmethod
    async def open(cls, database: Database, *, lock_timeout: float, writable: bool, create: bool) -> Self:
        """Connect, in the thread. Where that fails, the thread has ended before the event loop may end."""
        connect = functools.partial(database.connect, lock_timeout=lock_timeout, writable=writable, create=create)
        connection = cls(connect, _ROWS_AT_ONCE)  # type: ignore[arg-type]
        connection._database = database
        try:
            await connection
        except BaseException:
            connection._thread.join()
            raise
        return connection

    async def perform(self, statement: Query | Change | Each) -> Any:
        """Do what `AsyncConnection.perform` says."""
        return await self._execute(self._database.perform, self._conn, statement)  # type: ignore[no-untyped-call]
