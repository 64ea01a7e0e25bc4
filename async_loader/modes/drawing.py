"""Drawing records from what a program gives: each source of them in one thread, or on one event loop, from its first
record until it is closed. So what its code opens in a thread, it can use and close there.

The program's code may block for as long as it likes. A run that is over does not wait for it longer than is said here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from concurrent.futures import CancelledError, Future, InvalidStateError, wait
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from typing import Any, Protocol

from async_loader.effects import Draw, Records

# Seconds to wait, once a run is over, for code that holds a thread, and for code that waits on an event loop to clean
# up. What takes longer goes on by itself, and ends with the process at the latest.
PATIENCE_SECONDS = 1.0
CLEANING_SECONDS = 10.0
# Seconds for a thread to start, however busy the machine is.
_STARTING_SECONDS = 60.0
# Records that come one after another without a wait, until others on the event loop have their turn.
_IN_A_ROW = 100


class Blocking:
    """Iterates in the thread that calls."""

    def __init__(self, given: Iterable[Any]) -> None:
        self._given = given
        self._iterator: Iterator[Any] | None = None

    def draw(self, count: int) -> list[Any]:
        """Return the next records."""
        # A query is made here, not where the source is opened.
        self._iterator = self._iterator or iter(self._given)
        return list(islice(self._iterator, count))

    def close(self) -> None:
        """End a generator. The run has failed where it has not come to its end: that error is the one to report."""
        if isinstance(self._iterator, Generator):
            with suppress(Exception):
                self._iterator.close()


class Waiting:
    """Iterates on the event loop that runs."""

    def __init__(self, given: AsyncIterable[Any]) -> None:
        self._given = given
        self._iterator: AsyncIterator[Any] | None = None
        # A generator cannot be closed while it runs, be it only to clean up after it was cancelled.
        self._running = asyncio.Lock()

    async def draw(self, count: int) -> list[Any]:
        """Return the next records."""
        async with self._running:
            self._iterator = self._iterator or aiter(self._given)
            drawn: list[Any] = []
            while len(drawn) < count:
                try:
                    drawn.append(await anext(self._iterator))
                except StopAsyncIteration:
                    break
                if not len(drawn) % _IN_A_ROW:
                    await asyncio.sleep(0)
            return drawn

    async def close(self) -> None:
        """End a generator, as `Blocking` does."""
        with suppress(Exception):
            await asyncio.wait_for(self._end(), CLEANING_SECONDS)

    async def _end(self) -> None:
        async with self._running:
            if isinstance(self._iterator, AsyncGenerator):
                await self._iterator.aclose()


class Thread:
    """A thread that does one thing after another, and does not keep the process from ending."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="loader records", daemon=True).start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function in the thread. What is cancelled meanwhile is done, and its result is dropped."""
        future: Future[Any] = Future()
        self._work.put((future, function, arguments))
        return future

    def end(self) -> None:
        """End when all is done that was submitted."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, function, arguments = work
            with suppress(InvalidStateError):
                try:
                    result = function(*arguments)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)


class Loop:
    """An event loop in a thread of its own, for a mode that has none."""

    def __init__(self) -> None:
        self._thread = Thread()
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._served = self._thread.submit(asyncio.run, self._serve(started))
        self._loop = started.result(_STARTING_SECONDS)

    async def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        self._is_over = asyncio.Event()
        started.set_result(asyncio.get_running_loop())
        await self._is_over.wait()

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def end(self) -> None:
        """End the loop, with what it has left to do."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.end()
        wait([self._served], CLEANING_SECONDS)


class Drawn(Protocol):
    """One source of records that is being drawn from."""

    def draw(self, count: int) -> Future[list[Any]]:
        """Begin to take the next records."""

    def close(self) -> Future[None]:
        """Begin to close it; to be called once, at the end."""


class InThread:
    """A source of records that has a thread of its own."""

    def __init__(self, given: Iterable[Any]) -> None:
        self._thread, self._blocking = Thread(), Blocking(given)

    def draw(self, count: int) -> Future[list[Any]]:
        """Begin to take the next records."""
        return self._thread.submit(self._blocking.draw, count)

    def close(self) -> Future[None]:
        """Begin to close it, and end the thread afterwards."""
        closing = self._thread.submit(self._blocking.close)
        self._thread.end()
        return closing


class OnLoop:
    """A source of records on an event loop."""

    def __init__(self, given: AsyncIterable[Any], loop: Loop) -> None:
        self._loop, self._waiting = loop, Waiting(given)

    def draw(self, count: int) -> Future[list[Any]]:
        """Begin to take the next records."""
        return self._loop.submit(self._waiting.draw(count))

    def close(self) -> Future[None]:
        """Begin to close it."""
        return self._loop.submit(self._waiting.close())


class Drawing:
    """All sources of records that a run without an event loop draws from."""

    def __init__(self) -> None:
        self._drawn: dict[Records, Drawn] = {}
        self._pending: set[Future[Any]] = set()
        self._loop: Loop | None = None
        self._beginning = threading.Lock()
        self._is_given_up = False

    def draw(self, effect: Draw) -> list[Any]:
        """Return the next records. What their own code raises is raised here as it is."""
        with self._beginning:
            if self._is_given_up:
                raise CancelledError
            if effect.records not in self._drawn:
                self._drawn[effect.records] = self._begin(effect.records.given)
            future = self._drawn[effect.records].draw(effect.count)
            self._pending.add(future)
        try:
            return future.result()
        finally:
            future.cancel()
            self._pending.discard(future)

    def give_up(self) -> None:
        """Draw no more; threads that wait for records wait no longer."""
        with self._beginning:
            self._is_given_up = True
            for future in [*self._pending]:
                future.cancel()

    def close(self) -> None:
        """Close all of them."""
        self.give_up()
        with self._beginning:
            closing = [drawn.close() for drawn in self._drawn.values()]
        if self._loop is not None:
            wait(closing, CLEANING_SECONDS)
            self._loop.end()
        wait(closing, PATIENCE_SECONDS)

    def _begin(self, given: Any) -> Drawn:
        if hasattr(given, "__iter__"):
            return InThread(given)
        self._loop = self._loop or Loop()
        return OnLoop(given, self._loop)


def drawn_in_loop(given: Any) -> Waiting | InThread:
    """Begin to draw from a source of records, for a mode that runs on an event loop."""
    return Waiting(given) if hasattr(given, "__aiter__") else InThread(given)


async def close_in_loop(drawn: Waiting | InThread) -> None:
    """Close a source of records, for a mode that runs on an event loop."""
    if isinstance(drawn, Waiting):
        await drawn.close()
    else:
        await asyncio.wait([asyncio.wrap_future(drawn.close())], timeout=PATIENCE_SECONDS)
