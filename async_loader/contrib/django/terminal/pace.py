"""How far a run is with each table, and how fast: what the run shows goes in, numbers and words come out.

Pure: no clock and no terminal.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from async_loader import Show

# A speed is that of this last span of time: a load is slower while others go on, and faster after them.
WINDOW_SECONDS = 30.0
# Seconds between two points that are kept: 30 of them make a window.
_STEP_SECONDS = 1.0


class Words(NamedTuple):
    """The words for the things that a run counts: one, several, and those at fault."""

    one: str
    several: str
    at_fault: str


RECORDS = Words("record", "records", "rejected")
ROWS = Words("row", "rows", "at fault")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one table is at a moment.

    shown: what the run showed last.
    percent: how much has been read; 100 only where all has been.
    rate: records per second.
    left: seconds until the end.
    Each of the last three is None where it cannot be known.
    """

    shown: Show
    percent: int | None
    rate: float | None
    left: float | None

    @property
    def is_read(self) -> bool:
        """Whether the whole source has been read."""
        return self.percent == 100  # noqa: PLR2004 - percent

    def counted(self, words: Words) -> str:
        """Return how many records have been read, with the word for them."""
        return f"{self.shown.given:,} {words.one if self.shown.given == 1 else words.several}"

    def at_fault(self, words: Words) -> str:
        """Return how many of the records were rejected, with the word for that."""
        return f"{self.shown.rejected:,} {words.at_fault}"

    def line(self, words: Words) -> str:
        """Return the whole standing as one line, for output without bars."""
        if self.shown.waits_for is not None:
            return f"{self.shown.table}: waits for {self.shown.waits_for}"
        parts = [
            self.counted(words),
            self.at_fault(words),
            "" if self.rate is None else f"{rounded(self.rate)} {words.several}/s",
            "" if self.percent is None else f"{self.percent} %",
            "" if self.left is None else f"about {duration(self.left)} left",
        ]
        return f"{self.shown.table}: {', '.join(filter(None, parts))}"


class Pace:
    """What a run has shown, by table. Several threads may use it at once. Times are in seconds, from any zero."""

    def __init__(self) -> None:
        self._tables: dict[str, _Course] = {}
        self._lock = threading.Lock()

    def take(self, shown: Show, now: float) -> None:
        """Keep what the run has shown at this time."""
        with self._lock:
            self._tables.setdefault(shown.table, _Course(shown)).take(shown, now)

    def standings(self, now: float) -> list[Standing]:
        """Return the standings of all tables that have begun, in the order in which they did."""
        with self._lock:
            return [course.standing(now) for course in self._tables.values()]

    def news(self, now: float) -> Iterator[Standing]:
        """Return the standings of the tables of which something was shown since the last call."""
        with self._lock:
            courses = [course for course in self._tables.values() if course.is_news]
            for course in courses:
                course.is_news = False
        return (course.standing(now) for course in courses)


class _Point(NamedTuple):
    at: float
    given: int
    read_to: int


@dataclass(slots=True)
class _Course:
    """One table: what was shown last, whether that is news, and the points that its speed is computed from."""

    shown: Show
    is_news: bool = True
    points: deque[_Point] = field(default_factory=deque)

    def take(self, shown: Show, now: float) -> None:
        self.shown, self.is_news = shown, True
        if shown.waits_for is not None:
            # Time that a table waits does not make it slow.
            self.points.clear()
            return
        if len(self.points) > 1 and now - self.points[-2].at < _STEP_SECONDS:
            self.points.pop()
        self.points.append(_Point(now, shown.given, shown.read_to))
        while len(self.points) > 2 and now - self.points[1].at >= WINDOW_SECONDS:  # noqa: PLR2004 - two make a speed
            self.points.popleft()

    def standing(self, now: float) -> Standing:
        percent = _percent(self.shown)
        if not self.points:
            return Standing(self.shown, percent, None, None)
        first, last = self.points[0], self.points[-1]
        is_read = self.shown.size is not None and self.shown.read_to >= self.shown.size
        seconds = (last.at if is_read else now) - first.at
        given, read = last.given - first.given, last.read_to - first.read_to
        rate = given / seconds if given > 0 and seconds > 0 else None
        if is_read or self.shown.size is None or read <= 0:
            return Standing(self.shown, percent, rate, None)
        return Standing(self.shown, percent, rate, (self.shown.size - self.shown.read_to) * seconds / read)


def _percent(shown: Show) -> int | None:
    if shown.size is None:
        return None
    return 100 if shown.read_to >= shown.size else max(0, 100 * shown.read_to // shown.size)


def rounded(rate: float) -> str:
    """Return a speed with three significant digits: it is not known more exactly."""
    return f"{float(f'{rate:.3g}'):,.0f}"


def duration(seconds: float) -> str:
    """Return a time span in the units by which a person decides whether to wait."""
    whole = math.ceil(seconds)
    if whole < 60:  # noqa: PLR2004 - a minute's seconds
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - an hour's minutes
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
