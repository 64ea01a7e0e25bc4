"""The chart of a run's throughput: samples in, for each table the outline of a small SVG out. Pure.

Tables share both axes, so that they can be compared. An outline lies in a box of 100 x 100 that is stretched to its
place; labels are no part of it, so that they stay as large as the text around.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from async_loader import TableReport

# The moment at which a table began, and two batches: with less there is no course of time to show.
_FEWEST_SAMPLES = 3
# The narrowest step that can be told from its neighbours, as a part of the time axis.
_NARROWEST = 1 / 150
_MOST_TICKS = 5
_SIDE = 100


@dataclass(frozen=True, slots=True)
class Curve:
    """One table's records per second as an outline, and in numbers: between which seconds of the run, on average, at
    most.
    """

    name: str
    outline: str
    records: int
    began: float
    ended: float
    average: float
    most: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """The curves, and the ticks of both axes, each evenly spaced from 0 to the end of its axis."""

    curves: tuple[Curve, ...]
    seconds: tuple[float, ...]
    rates: tuple[float, ...]

    @property
    def grid(self) -> str:
        """A line at each tick."""
        across = "".join(f"M0 {place:.2f}H{_SIDE}" for place in _places(self.rates))
        return across + "".join(f"M{place:.2f} 0V{_SIDE}" for place in _places(self.seconds))

    @property
    def rates_downwards(self) -> tuple[float, ...]:
        """As they stand beside the chart."""
        return self.rates[::-1]


def _places(ticks: Sequence[float]) -> list[float]:
    return [_SIDE * number / (len(ticks) - 1) for number in range(len(ticks))]


@dataclass(frozen=True, slots=True)
class _Step:
    """Records between two moments."""

    began: float
    ended: float
    records: int

    @property
    def rate(self) -> float:
        return self.records / (self.ended - self.began)


def throughput(tables: Mapping[str, TableReport]) -> Throughput | None:
    """Of the tables that were read in more than one batch; None where there is none."""
    several = {name: table.samples for name, table in tables.items() if len(table.samples) >= _FEWEST_SAMPLES}
    last = max((second for samples in several.values() for second, _ in samples), default=0.0)
    steps = {name: found for name, samples in several.items() if (found := _steps(samples, last * _NARROWEST))}
    if not steps:
        return None
    seconds = _ticks(last)
    rates = _ticks(max(1.0, *(step.rate for found in steps.values() for step in found)))
    curves = (_curve(name, found, seconds[-1], rates[-1]) for name, found in steps.items())
    return Throughput(tuple(curves), seconds, rates)


def _steps(samples: Sequence[tuple[float, int]], apart: float) -> list[_Step]:
    """Between samples that lie further apart than that, in seconds; so a clock that was put back makes none."""
    chosen = [samples[0]]
    for sample in samples[1:]:
        if sample[0] - chosen[-1][0] > apart:
            chosen.append(sample)
    # What was counted after the last of them, in less time than can be shown, is shown with it.
    chosen[-1] = (chosen[-1][0], samples[-1][1])
    return [_Step(began, ended, more - given) for (began, given), (ended, more) in pairwise(chosen)]


def _curve(name: str, steps: Sequence[_Step], seconds: float, rate: float) -> Curve:
    """Drawn on axes that end at so many seconds and records per second."""
    began, ended = steps[0].began, steps[-1].ended
    records = sum(step.records for step in steps)
    tops = "".join(f"V{_SIDE - _SIDE * step.rate / rate:.2f}H{_SIDE * step.ended / seconds:.2f}" for step in steps)
    return Curve(
        name=name,
        outline=f"M{_SIDE * began / seconds:.2f} {_SIDE}{tops}V{_SIDE}Z",
        records=records,
        began=began,
        ended=ended,
        average=records / (ended - began),
        most=max(step.rate for step in steps),
    )


def _ticks(end: float) -> tuple[float, ...]:
    """Round numbers from 0 to the first that is no less than the end, which is not 0."""
    least = end / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least)
    return tuple(step * count for count in range(math.ceil(end / step) + 1))
