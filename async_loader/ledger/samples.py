"""How fast a table was read: when how many of its records had been counted. Pure: the caller knows the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

# Samples that are kept of a table, at most: more than a chart can show, and some tens of kilobytes.
MOST_SAMPLES = 400

# Seconds since the run began, and records counted by then.
Sample = tuple[float, int]


@dataclass(slots=True)
class Samples:
    """Of one table, thinned evenly, so that a run of any length takes the same memory.

    origin: when the run began; without it, the first sample's moment.
    """

    origin: datetime | None = None
    _every: int = 1
    _taken: int = 0
    _kept: list[Sample] = field(default_factory=list)
    _last: Sample | None = None

    def take(self, moment: datetime, given: int) -> None:
        """Take a sample: that many records have been counted at this moment, or, at first, had been counted before."""
        self.origin = self.origin or moment
        # A clock may be put back.
        self._last = (max(0.0, round((moment - self.origin).total_seconds(), 6)), given)
        if self._taken % self._every == 0:
            self._kept.append(self._last)
        self._taken += 1
        if len(self._kept) == MOST_SAMPLES:
            self._kept = self._kept[::2]
            self._every *= 2

    def as_tuple(self) -> tuple[Sample, ...]:
        """Return the samples in the order of time, the first and the last among them."""
        if self._last is None or self._last == self._kept[-1]:
            return tuple(self._kept)
        return (*self._kept, self._last)
