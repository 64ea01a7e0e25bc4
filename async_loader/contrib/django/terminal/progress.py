"""Progress on stderr: bars on a terminal where rich is installed, elsewhere a line every ten seconds."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from async_loader import Show, Tell
from async_loader.contrib.django.terminal.output import write_line
from async_loader.contrib.django.terminal.pace import RECORDS, Pace, Words

if TYPE_CHECKING:
    from async_loader.contrib.django.terminal.bars import Bars

# A run that ends sooner draws nothing, and so need not import rich.
DELAY_SECONDS = 1.0
# Time between two drawings, each of which takes a millisecond or two.
FRAME_SECONDS = 0.25
# Time between two lines, where there is no terminal.
LINE_SECONDS = 10.0

Watcher: TypeAlias = Callable[[Show | Tell], None]


@contextmanager
def heartbeat(draw: Callable[[], None]) -> Iterator[None]:
    """Draw again and again in a thread, so that a source which gives nothing for a while shows too."""
    stopped = threading.Event()

    def beat() -> None:
        while not stopped.wait(FRAME_SECONDS):
            draw()

    thread = threading.Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def progress(
    *,
    wanted: bool,
    color: bool = True,
    words: Words = RECORDS,
    clock: Callable[[], float] = time.monotonic,
    beats: Callable[[Callable[[], None]], AbstractContextManager[None]] = heartbeat,
    write: Callable[[str], None] = write_line,
    may_draw: bool = True,
) -> Iterator[Watcher]:
    """Give a function that takes a run's progress and messages. Messages go to stderr even without progress.

    Progress is drawn on a terminal, once a second has passed; elsewhere it is a line for each table that goes on, every
    ten seconds, given to `write`. `beats` is a context in which the function that it is given is called again and
    again, to draw.
    """
    if not wanted:
        yield _messages(write)
    elif may_draw and _can_draw():
        with _drawn(_Screen(words, clock, write, color=color), beats) as show:
            yield show
    else:
        yield _lines(words, clock, write)


def _can_draw() -> bool:
    """Return whether stderr is a terminal that draws, and the extra `progress` is installed."""
    return (
        sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown") and find_spec("rich") is not None
    )


def _messages(write: Callable[[str], None]) -> Watcher:
    """Return a function that writes messages and no progress."""

    def show(event: Show | Tell) -> None:
        if isinstance(event, Tell):
            write(event.text)

    return show


def _lines(words: Words, clock: Callable[[], float], write: Callable[[str], None]) -> Watcher:
    """Return a function that writes a line for each table with news; a run that stands still writes none."""
    pace = Pace()
    last = clock()
    lock = threading.Lock()

    def show(event: Show | Tell) -> None:
        nonlocal last
        if isinstance(event, Tell):
            write(event.text)
            return
        now = clock()
        pace.take(event, now)
        with lock:
            if now - last < LINE_SECONDS:
                return
            last = now
            for standing in pace.news(now):
                write(standing.line(words))

    return show


@contextmanager
def _drawn(screen: _Screen, beats: Callable[[Callable[[], None]], AbstractContextManager[None]]) -> Iterator[Watcher]:
    try:
        with beats(screen.draw):
            yield screen.show
    finally:
        screen.close()


class _Screen:
    """A terminal with bars. It may be gone at any time, which changes nothing about the run."""

    def __init__(self, words: Words, clock: Callable[[], float], write: Callable[[str], None], *, color: bool) -> None:
        self._words = words
        self._clock = clock
        self._write = write
        self._color = color
        self._pace = Pace()
        self._began = clock()
        self._bars: Bars | None = None
        self._is_gone = False

    def show(self, event: Show | Tell) -> None:
        if isinstance(event, Tell):
            self._write(event.text)
        else:
            self._pace.take(event, self._clock())

    def draw(self) -> None:
        now = self._clock()
        if self._is_gone or now - self._began < DELAY_SECONDS or not self._pace.standings(now):
            return
        try:
            self._opened().draw()
        except OSError:
            self._is_gone = True

    def close(self) -> None:
        if self._bars is not None:
            with contextlib.suppress(OSError):
                self._bars.close()

    def _opened(self) -> Bars:
        if self._bars is None:
            from async_loader.contrib.django.terminal.bars import Bars

            self._bars = Bars(self._pace, self._words, self._clock, color=self._color)
        return self._bars


@contextmanager
def steps(total: int, *, wanted: bool) -> Iterator[Callable[[str], None]]:
    """Give a function to be called with the name of each of `total` steps before it; it draws on stderr."""
    if not (wanted and _can_draw()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total)
        # When the first step begins, none is done.
        done = itertools.count()

        def show(description: str) -> None:
            bars.update(task, description=description, completed=next(done))

        yield show
