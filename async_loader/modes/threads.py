"""Threads: a thread for each table, and one more for what each table has started; sqlite3 is called directly.

A connection is shared under a lock, a statement at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from async_loader.effects import Change, Connect, Draw, Each, Effect, Query, Result, Show, Steps, Tell
from async_loader.modes.sequential import Sequential

# Threads are made as they are needed: two for each table.
MOST_THREADS = 1_000
# How long to wait, once a run is given up, for threads that may be stuck reading from a pipe, and for a statement.
PATIENCE_SECONDS = 1.0
# How long to wait for a statement that was interrupted, and for what must be completed, such as a commit.
COMPLETION_SECONDS = 60.0


class Threads(Sequential):
    """Sequential, but for what happens side by side."""

    def __init__(self, show: Callable[[Show | Tell], None]) -> None:
        super().__init__(show)
        self._pool = ThreadPoolExecutor(MOST_THREADS, "loader")
        self._locks: dict[str, threading.Lock] = {}
        self._known: set[str] = set()
        self._news = threading.Condition()
        self._given_up = False
        self._failure: BaseException | None = None
        self._running: set[Future[Any]] = set()
        # For each thread, whether it is at what must be completed, and how many threads are.
        self._completing = threading.local()
        self._completions = 0

    def run(self, steps: Steps[Result]) -> Result:
        """Take all steps as Sequential does, and release the threads."""
        try:
            return super().run(steps)
        finally:
            self._pool.shutdown(wait=False)

    def perform(self, effect: Effect) -> Any:
        """Perform one effect. A run that is given up only finishes the effect in hand, and what must be completed."""
        if self._given_up and not getattr(self._completing, "now", False):
            raise GivenUpError
        return super().perform(effect)

    def complete(self, steps: Steps[None]) -> None:
        """Take the steps as Sequential does, even where the run is given up meanwhile."""
        self._completing.now = True
        self._count_completions(1)
        try:
            super().complete(steps)
        finally:
            self._completing.now = False
            self._count_completions(-1)

    def _count_completions(self, more: int) -> None:
        with self._news:
            self._completions += more
            self._news.notify_all()

    def start(self, steps: Steps[Any]) -> Future[Any]:
        """Take the steps in a thread of the pool."""
        future = self._pool.submit(self.drive, steps)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def finish(self, token: Future[Any]) -> Any:
        """Wait for the thread that `start` began."""
        return token.result()

    def together(self, several: Sequence[Steps[None]]) -> None:
        """Take all of them, in a thread each. The first failure, or an interrupt of this thread, stops all others."""
        futures = [self.start(steps) for steps in several]
        for future in futures:
            future.add_done_callback(self._give_up_on_failure)
        try:
            wait(futures)
        except BaseException:
            self._give_up()
            raise
        finally:
            wait(set(self._running), PATIENCE_SECONDS)
        if self._failure is not None:
            raise self._failure

    def draw(self, effect: Draw) -> list[Any]:
        """Take the next records, in a thread of their own: that of a table is another one in each run."""
        return self.draw_aside(effect)

    def draw_aside(self, effect: Draw) -> list[Any]:
        """Take the next records as Sequential does, one beginning at a time."""
        with self._news:
            if self._given_up:
                raise GivenUpError
            if self._drawing is None:
                from async_loader.modes.drawing import Drawing

                self._drawing = Drawing()
        return self._drawing.draw(effect)

    def announce(self, table: str) -> None:
        """Wake the threads that wait for a table."""
        with self._news:
            self._known.add(table)
            self._news.notify_all()

    def wait_for(self, table: str) -> None:
        """Sleep until a table is announced."""
        with self._news:
            self._news.wait_for(lambda: table in self._known or self._given_up)
        if self._given_up:
            raise GivenUpError

    def pause(self, seconds: float) -> None:
        """Sleep; a run that is given up wakes the thread."""
        with self._news:
            self._news.wait_for(lambda: self._given_up, seconds)
        if self._given_up:
            raise GivenUpError

    def execute(self, name: str, statement: Query | Change | Each) -> Any:
        """Execute a statement as Sequential does, one of a database at a time."""
        with self._locks[name]:
            return super().execute(name, statement)

    def connect(self, effect: Connect) -> None:
        """Open a database's connection, with a lock for it."""
        self._locks.setdefault(effect.database.name, threading.Lock())
        super().connect(effect)

    def close_all(self, names: Sequence[str]) -> None:
        """Close connections side by side, after what must be completed."""
        with self._news:
            self._news.wait_for(lambda: not self._completions, COMPLETION_SECONDS)
        list(self._pool.map(self._finish_with, names))

    def close(self, name: str) -> None:
        """Close a database's connection, but never while a statement is being run: that would crash the process."""
        with self._locks[name]:
            super().close(name)

    def _finish_with(self, name: str) -> None:
        """Close a database's connection. The statement of a run that is given up is ended first; where it cannot be,
        because its server is out of reach, the connection is left to the end of the process.
        """
        lock = self._locks[name]
        if not lock.acquire(timeout=PATIENCE_SECONDS):
            self.interrupt(name)
            if not lock.acquire(timeout=COMPLETION_SECONDS):
                return
        try:
            super().close(name)
        finally:
            lock.release()

    def _give_up_on_failure(self, future: Future[Any]) -> None:
        if future.exception() is not None:
            self._give_up(future.exception())

    def _give_up(self, failure: BaseException | None = None) -> None:
        """Stop all threads. The first failure is the one to report: what fails after it may do so because of it."""
        with self._news:
            self._failure = self._failure or failure
            self._given_up = True
            self._news.notify_all()
        if self._drawing is not None:
            self._drawing.give_up()


class GivenUpError(Exception):
    """Another table's load has failed, or the user has interrupted the run."""
