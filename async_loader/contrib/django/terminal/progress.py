"""Progress on stderr: bars on a terminal where rich is installed, else a line every ten seconds."""

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
from async_loader.contrib.django.terminal.output import complain
from async_loader.contrib.django.terminal.pace import RECORDS, Pace, Words

if TYPE_CHECKING:
    from async_loader.contrib.django.terminal.bars import Bars

# What is over sooner draws nothing, and so need not import rich.
DELAY_SECONDS = 1.0
# Between two drawings: each takes a millisecond or two.
FRAME_SECONDS = 0.25
# Between two lines, where there is no terminal.
LINE_SECONDS = 10.0

Watcher: TypeAlias = Callable[[Show | Tell], None]


@contextmanager
def heartbeat(draw: Callable[[], None]) -> Iterator[None]:
    """Draw again and again, in a thread: a source that gives nothing for a while is to be seen as well."""
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
) -> Iterator[Watcher]:
    """A function that takes what a run shows and tells. What it tells goes to stderr in any case.

    What it shows is drawn there on a terminal, once a second has passed; elsewhere it is a line for each table that
    goes on, every ten seconds. `beats` calls, while it is open, the function that it is given, to draw.
    """
    if not wanted:
        yield _tell
    elif _can_draw():
        with _drawn(_Screen(words, clock, color=color), beats) as show:
            yield show
    else:
        yield _lines(words, clock)


def _can_draw() -> bool:
    """Return whether stderr is a terminal that draws, and the extra `progress` is installed."""
    return (
        sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown") and find_spec("rich") is not None
    )


def _tell(event: Show | Tell) -> None:
    if isinstance(event, Tell):
        complain(event.text)


def _lines(words: Words, clock: Callable[[], float]) -> Watcher:
    """Lines come only when something is shown: a run that stands still has nothing to say."""
    pace = Pace()
    last = clock()
    lock = threading.Lock()

    def show(event: Show | Tell) -> None:
        nonlocal last
        if isinstance(event, Tell):
            _tell(event)
            return
        now = clock()
        pace.take(event, now)
        with lock:
            if now - last < LINE_SECONDS:
                return
            last = now
            for standing in pace.news(now):
                complain(standing.line(words))

    return show


@contextmanager
def _drawn(screen: _Screen, beats: Callable[[Callable[[], None]], AbstractContextManager[None]]) -> Iterator[Watcher]:
    try:
        with beats(screen.draw):
            yield screen.show
    finally:
        screen.close()


class _Screen:
    """A terminal with bars, which may be gone at any time: that changes nothing about the run."""

    def __init__(self, words: Words, clock: Callable[[], float], *, color: bool) -> None:
        self._words = words
        self._clock = clock
        self._color = color
        self._pace = Pace()
        self._began = clock()
        self._bars: Bars | None = None
        self._is_gone = False

    def show(self, event: Show | Tell) -> None:
        if isinstance(event, Tell):
            _tell(event)
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
    """A function that is told what is done next, `total` times; it draws on stderr as `progress` does."""
    if not (wanted and _can_draw()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total)
        # The first step is begun when none is done.
        done = itertools.count()

        def show(description: str) -> None:
            bars.update(task, description=description, completed=next(done))

        yield show
