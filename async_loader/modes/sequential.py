"""Sequential: one table after another, each effect performed at once in the calling thread.

The mode `threads` is made of this one: it changes only what happens side by side.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from async_loader.effects import (
    Announce,
    Await,
    Call,
    Change,
    Complete,
    Connect,
    Connection,
    Database,
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
    drive,
)

# What most runs do without is imported by those that do not.
if TYPE_CHECKING:
    from async_loader.modes.drawing import Blocking, Drawing


class _CtrlC:
    """Ctrl-C while something must be completed: however often it comes, it takes effect once, after the outermost
    block. Only the main thread feels it.
    """

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

    def end_waits(self) -> None:
        """Let Ctrl-C end whatever a thread waits for, as Python has it: once Polars is imported, the system goes on
        with reading a pipe and waiting for a lock.
        """
        signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003 - it takes no keywords

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
    """Takes steps to their end; `show` is called with how far they are."""

    def __init__(self, show: Callable[[Show | Tell], None]) -> None:
        self._show = show
        self._connections: dict[str, tuple[Database, Connection]] = {}
        # What this thread draws from, and what is drawn elsewhere.
        self._drawn: dict[Records, Blocking] = {}
        self._drawing: Drawing | None = None

    def run(self, steps: Steps[Result]) -> Result:
        """Take all steps; what is not committed at the end is rolled back."""
        CTRL_C.end_waits()
        try:
            return self.drive(steps)
        finally:
            self.close_all(list(self._connections))
            self.close_drawn()

    def drive(self, steps: Steps[Result]) -> Result:
        """Perform effect after effect; what one raises is raised where the steps asked for it."""
        return drive(steps, self.perform)

    def perform(self, effect: Effect) -> Any:  # noqa: PLR0912 - one for each effect
        """Perform one effect. Returns its result."""
        match effect:
            case Call(function, arguments):
                return function(*arguments)
            case Draw():
                return self.draw(effect)
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
        """Take the steps at once: nothing goes on by itself here."""
        return self.drive(steps)

    def finish(self, token: Any) -> Any:
        """Return what `start` gave: it is the result."""
        return token

    def draw(self, effect: Draw) -> list[Any]:
        """Take the next records; those that come at once here, so that their code is in the thread that called."""
        given = effect.records.given
        if not isinstance(given, Iterable):
            return self.draw_aside(effect)
        if effect.records not in self._drawn:
            from async_loader.modes.drawing import Blocking

            self._drawn[effect.records] = Blocking(given)
        return self._drawn[effect.records].draw(effect.count)

    def draw_aside(self, effect: Draw) -> list[Any]:
        """Take the next records, in another thread."""
        if self._drawing is None:
            from async_loader.modes.drawing import Drawing

            self._drawing = Drawing()
        return self._drawing.draw(effect)

    def close_drawn(self) -> None:
        """Close what records were drawn from."""
        for blocking in self._drawn.values():
            blocking.close()
        if self._drawing is not None:
            self._drawing.close()

    def together(self, several: Sequence[Steps[None]]) -> None:
        """Take the steps of one after another."""
        for steps in several:
            self.drive(steps)

    def complete(self, steps: Steps[None]) -> None:
        """Take the steps; what interrupts them takes effect after them."""
        with CTRL_C.put_off():
            self.drive(steps)

    def announce(self, table: str) -> None:
        """Do nothing: no other table is waiting."""

    def wait_for(self, table: str) -> None:
        """Do nothing: tables come in reference order, so what is waited for is done."""

    def pause(self, seconds: float) -> None:
        """Sleep, and let the interpreter handle signals meanwhile."""
        time.sleep(seconds)

    def execute(self, name: str, statement: Query | Change | Each) -> Any:
        """Return the rows of a query, or the number of rows that were changed."""
        database, connection = self._connections[name]
        return database.perform(connection, statement)

    def close_all(self, names: Sequence[str]) -> None:
        """Close connections one after another."""
        for name in names:
            self.close(name)

    def close(self, name: str) -> None:
        """Close a database's connection."""
        _, connection = self._connections[name]
        connection.close()

    def interrupt(self, name: str) -> None:
        """End the statement that is being run in a database."""
        _, connection = self._connections[name]
        connection.interrupt()

    def connect(self, effect: Connect) -> None:
        """Open a database's connection, in the place of one that was lost."""
        database = effect.database
        if database.name in self._connections:
            self.close(database.name)
        connection = database.connect(lock_timeout=effect.timeout, writable=effect.writable, create=effect.create)
        self._connections[database.name] = database, connection
