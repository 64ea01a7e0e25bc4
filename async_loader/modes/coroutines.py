"""Coroutines: a task for each table, over connections of event loops: aiosqlite's, which have a thread each, or
psycopg's.

The event loop only passes effects on: whatever reads, checks or copies a batch runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from async_loader.effects import (
    Announce,
    AsyncConnection,
    Await,
    Call,
    Change,
    Complete,
    Connect,
    Draw,
    Each,
    Effect,
    Finish,
    Now,
    Pause,
    Query,
    Records,
    Result,
    Show,
    Start,
    Steps,
    Tell,
    Together,
    drive_async,
)
from async_loader.modes.sequential import CTRL_C
from async_loader.modes.threads import MOST_THREADS, PATIENCE_SECONDS

# What most runs do without is imported by those that do not.
if TYPE_CHECKING:
    from async_loader.modes.drawing import InThread, Waiting


class Coroutines:
    """Takes steps to their end; `show` is called with how far they are, in the event loop."""

    def __init__(self, show: Callable[[Show | Tell], None]) -> None:
        self._show = show
        self._connections: dict[str, AsyncConnection] = {}
        self._pool = ThreadPoolExecutor(MOST_THREADS, "loader")
        self._known: dict[str, asyncio.Event] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._drawn: dict[Records, Waiting | InThread] = {}

    async def run(self, steps: Steps[Result]) -> Result:
        """Take all steps; what is not committed at the end is rolled back."""
        try:
            return await self._drive(steps)
        finally:
            await _to_the_end(self._close())
            self._pool.shutdown(wait=False)

    async def _close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))
        if self._drawn:
            from async_loader.modes.drawing import close_in_loop

            await asyncio.gather(*map(close_in_loop, self._drawn.values()))

    async def _drive(self, steps: Steps[Result]) -> Result:
        """Perform effect after effect; what one raises is raised where the steps asked for it."""
        return await drive_async(steps, self._perform)

    async def _perform(self, effect: Effect) -> Any:  # noqa: PLR0912 - one for each effect
        """Perform one effect. Returns its result."""
        match effect:
            case Call(function, arguments):
                return await self._call(function, arguments)
            case Draw():
                return await self._draw(effect)
            case Connect():
                return await self._connect(effect)
            case Query(database) | Change(database) | Each(database):
                return await self._execute(database, effect)
            case Start(steps):
                assert self._tasks is not None
                return self._tasks.create_task(self._drive(steps))
            case Finish(token):
                return await token
            case Together(several):
                return await self._together(several)
            case Complete(steps):
                return await self._complete(steps)
            case Announce(table):
                return self._event(table).set()
            case Await(table):
                return await self._event(table).wait()
            case Show() | Tell():
                return self._show(effect)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Now():
                return datetime.now(UTC)

    async def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call a function in a thread of the pool. A cancelled call is waited for, as its thread may be using what is
        closed next; its result is then dropped.
        """
        future = asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future], timeout=PATIENCE_SECONDS)
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    async def _draw(self, effect: Draw) -> list[Any]:
        """Take the next records: on this loop, if they come asynchronously, else in a thread of their own."""
        if effect.records not in self._drawn:
            from async_loader.modes.drawing import drawn_in_loop

            self._drawn[effect.records] = drawn_in_loop(effect.records.given)
        drawing = self._drawn[effect.records].draw(effect.count)
        return await (asyncio.wrap_future(drawing) if isinstance(drawing, Future) else drawing)

    async def _together(self, several: Sequence[Steps[None]]) -> None:
        """Take all of them, in a task each. The task group ends the others when one fails, whose error is reported."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for steps in several:
                    self._tasks.create_task(self._drive(steps))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _complete(self, steps: Steps[None]) -> None:
        """Take the steps; Ctrl-C and cancellation are put off until their end."""
        with CTRL_C.put_off():
            await _to_the_end(self._drive(steps))

    def _event(self, table: str) -> asyncio.Event:
        return self._known.setdefault(table, asyncio.Event())

    async def _execute(self, name: str, statement: Query | Change | Each) -> Any:
        """Return the rows of a query, or the number of rows that were changed."""
        return await self._connections[name].perform(statement)

    async def _connect(self, effect: Connect) -> None:
        database = effect.database
        # In the place of one that was lost, or that earlier steps have used.
        if database.name in self._connections:
            await self._connections.pop(database.name).close()
        self._connections[database.name] = await database.connect_async(
            lock_timeout=effect.timeout, writable=effect.writable, create=effect.create
        )


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work to end; where this is cancelled meanwhile, that takes effect afterwards."""
    task = asyncio.create_task(work)
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
