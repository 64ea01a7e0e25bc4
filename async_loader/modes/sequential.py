"""Sequential: one table after another, each effect done at once in the calling thread.

The threads mode stands on this one: it changes only what happens side by side.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from async_loader.effects import (
    Announce,
    Await,
    Call,
    Change,
    Complete,
    Connect,
    Connection,
    Database,
    Each,
    Effect,
    Finish,
    Now,
    Pause,
    Query,
    Result,
    Show,
    Start,
    Steps,
    Tell,
    Together,
    drive,
)


class _CtrlC:
    """However often it comes, Ctrl-C is felt once and behind the outermost block. Only the main thread feels it."""

    def __init__(self) -> None:
        self._blocks = 0
        self._came = False
        self._before: Any = None

    @contextmanager
    def put_off(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        if not self._blocks:
            self._before = signal.signal(signal.SIGINT, self._note)
        self._blocks += 1
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                self._let_through()

    def _note(self, *_: object) -> None:
        self._came = True

    def _let_through(self) -> None:
        signal.signal(signal.SIGINT, self._before)
        if self._came:
            self._came = False
            signal.raise_signal(signal.SIGINT)


# A process has one Ctrl-C, however many runs go on in it.
CTRL_C = _CtrlC()


class Sequential:
    """Takes steps to their end; `show` is told how far they are."""

    def __init__(self, show: Callable[[Show | Tell], None]) -> None:
        self._show = show
        self._connections: dict[str, tuple[Database, Connection]] = {}

    def run(self, steps: Steps[Result]) -> Result:
        """All of it. Whatever is not committed at the end is rolled back."""
        try:
            return self.drive(steps)
        finally:
            self.close_all(list(self._connections))

    def drive(self, steps: Steps[Result]) -> Result:
        """Perform effect after effect; what one raises is raised where the steps asked for it."""
        return drive(steps, self.perform)

    def perform(self, effect: Effect) -> Any:
        """One effect's result."""
        match effect:
            case Call(function, arguments):
                return function(*arguments)
            case Connect():
                return self.connect(effect)
            case Query(database) | Change(database) | Each(database):
                return self.execute(database, effect)
            case Start(steps):
                return self.start(steps)
            case Finish(token):
                return self.finish(token)
            case Together(several):
                return self.together(several)
            case Complete(steps):
                return self.complete(steps)
            case Announce(table):
                return self.announce(table)
            case Await(table):
                return self.wait_for(table)
            case Show() | Tell():
                return self._show(effect)
            case Pause(seconds):
                return self.pause(seconds)
            case Now():
                return datetime.now(UTC)

    def start(self, steps: Steps[Any]) -> Any:
        """Nothing goes on by itself here: begun is done."""
        return self.drive(steps)

    def finish(self, token: Any) -> Any:
        """What `start` gave is the result."""
        return token

    def together(self, several: Sequence[Steps[None]]) -> None:
        """One after another."""
        for steps in several:
            self.drive(steps)

    def complete(self, steps: Steps[None]) -> None:
        """Whatever interrupts is felt behind them."""
        with CTRL_C.put_off():
            self.drive(steps)

    def announce(self, table: str) -> None:
        """Nobody waits."""

    def wait_for(self, table: str) -> None:
        """Tables come in reference order, so what is waited for is done."""

    def pause(self, seconds: float) -> None:
        """Sleep, and let the interpreter handle signals meanwhile."""
        time.sleep(seconds)

    def execute(self, name: str, statement: Query | Change | Each) -> Any:
        """Rows of a query, or how many rows a change made."""
        database, connection = self._connections[name]
        return database.perform(connection, statement)

    def close_all(self, names: Sequence[str]) -> None:
        """One after another."""
        for name in names:
            self.close(name)

    def close(self, name: str) -> None:
        """Close a database's connection."""
        _, connection = self._connections[name]
        connection.close()

    def connect(self, effect: Connect) -> None:
        """Open a database's connection, in the place of one that was lost."""
        database = effect.database
        if database.name in self._connections:
            self.close(database.name)
        connection = database.connect(lock_timeout=effect.timeout, writable=effect.writable, create=effect.create)
        self._connections[database.name] = database, connection
