"""The chart of a run's throughput: samples in, for each table the outline of a small SVG out. Pure.

Tables share both axes, so that they can be compared. An outline lies in a box of 100 x 100 that the page stretches;
labels are no part of it, so that they keep the size of the text around.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from async_loader import TableReport

# The time at which a table began, and two batches. With fewer samples there is no curve to show.
_FEWEST_SAMPLES = 3
# The narrowest step that can be seen between its neighbours, as a part of the time axis.
_NARROWEST = 1 / 150
_MOST_TICKS = 5
_SIDE = 100


@dataclass(frozen=True, slots=True)
class Curve:
    """One table's records per second: the outline of the curve, the seconds of the run that it spans, and the average
    and greatest rate.
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
    """The curves, and the ticks of both axes, evenly spaced from 0 to the end of the axis."""

    curves: tuple[Curve, ...]
    seconds: tuple[float, ...]
    rates: tuple[float, ...]

    @property
    def grid(self) -> str:
        """The path of the lines at all ticks."""
        across = "".join(f"M0 {position:.2f}H{_SIDE}" for position in _positions(self.rates))
        return across + "".join(f"M{position:.2f} 0V{_SIDE}" for position in _positions(self.seconds))

    @property
    def rates_downwards(self) -> tuple[float, ...]:
        """The ticks of the rates from top to bottom, as they stand beside the chart."""
        return self.rates[::-1]


def _positions(ticks: Sequence[float]) -> list[float]:
    return [_SIDE * number / (len(ticks) - 1) for number in range(len(ticks))]


@dataclass(frozen=True, slots=True)
class _Step:
    """The records between two samples."""

    began: float
    ended: float
    records: int

    @property
    def rate(self) -> float:
        return self.records / (self.ended - self.began)


def throughput(tables: Mapping[str, TableReport]) -> Throughput | None:
    """Return the chart of the tables that were read in several batches; None where there is no such table."""
    several = {name: table.samples for name, table in tables.items() if len(table.samples) >= _FEWEST_SAMPLES}
    last = max((second for samples in several.values() for second, _ in samples), default=0.0)
    steps = {name: _steps(samples, last * _NARROWEST) for name, samples in several.items()}
    steps = {name: some for name, some in steps.items() if some}
    if not steps:
        return None
    seconds = _ticks(last)
    rates = _ticks(max(1.0, *(step.rate for some in steps.values() for step in some)))
    curves = (_curve(name, some, seconds[-1], rates[-1]) for name, some in steps.items())
    return Throughput(tuple(curves), seconds, rates)


def _steps(samples: Sequence[tuple[float, int]], apart: float) -> list[_Step]:
    """Return the steps between samples that lie more than `apart` seconds apart. A clock put back makes none."""
    chosen = [samples[0]]
    for sample in samples[1:]:
        if sample[0] - chosen[-1][0] > apart:
            chosen.append(sample)
    # Records counted after the last chosen sample, in a time too short to show, are added to it.
    chosen[-1] = (chosen[-1][0], samples[-1][1])
    return [_Step(began, ended, more - given) for (began, given), (ended, more) in pairwise(chosen)]


def _curve(name: str, steps: Sequence[_Step], seconds: float, rate: float) -> Curve:
    """Return the curve, drawn on axes that end at `seconds` and at `rate` records per second."""
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
    """Return round numbers from 0 up to the first that is at least `end`, which is not 0."""
    least = end / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least)
    return tuple(step * count for count in range(math.ceil(end / step) + 1))
