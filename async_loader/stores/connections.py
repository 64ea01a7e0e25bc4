"""A connection that blocks, in a thread of its own, for event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, Self

from async_loader.effects import Change, Each, Query


class Interruptible(Protocol):
    """A connection that blocks, whose statement another thread can end."""

    def perform(self, statement: Query | Change | Each) -> Any:
        """Return the statement's result."""

    def interrupt(self) -> None:
        """End the statement that is being performed, if there is one."""

    def close(self) -> None:
        """Roll back what is not committed, and end the use of the connection."""


class InOwnThread:
    """A connection that is opened, used and closed in one thread: its statements are done one after another."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "loader-connection")
        self._connection: Interruptible | None = None

    @classmethod
    async def open(cls, connect: Callable[[], Interruptible]) -> Self:
        """Connect. Where that fails, the thread has ended."""
        own = cls()
        try:
            own._connection = await own._call(connect)
        except BaseException:
            own._thread.shutdown(wait=False)
            raise
        return own

    async def perform(self, statement: Query | Change | Each) -> Any:
        """Do what `AsyncConnection.perform` says."""
        assert self._connection is not None
        try:
            return await self._call(self._connection.perform, statement)
        except asyncio.CancelledError:
            # The thread goes on with a statement that nothing waits for, and the connection is closed after it.
            self._connection.interrupt()
            raise

    async def close(self) -> None:
        """Do what `AsyncConnection.close` says."""
        assert self._connection is not None
        try:
            await self._call(self._connection.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
