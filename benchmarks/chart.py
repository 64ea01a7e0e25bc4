"""The results as a chart: a bar of seconds for each contender. The only module that imports matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError
from benchmarks.results import Comparison, Outcome, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".png")
# Dark on white, on a ground of its own: as readable on a dark page as on a light one.
_INK, _FAINT, _GROUND = "#24292f", "#6e7781", "#ffffff"
_CHECKING, _UNCHECKING = "#1f6feb", "#afb8c1"
_INCHES_WIDE, _INCHES_PER_BAR, _INCHES_AROUND = 9.0, 0.42, 1.3
_INCHES_OF_MARGIN = 0.12
_PIXELS_PER_INCH = 160
# The part of the room between the middles of two bars that a bar takes.
_THICK = 0.68
# Bars are cut at this many times the length of the bar of the mode `async`.
_CUT_AT = 6
# The axis is this much longer than the longest bar.
_ROOM_FOR_LABELS = 1.3


@dataclass(frozen=True, slots=True)
class Bar:
    """A contender's seconds, for as many records as `async` had."""

    result: Result
    comparison: Comparison
    seconds: float

    @property
    def label(self) -> str:
        """The text beside the bar."""
        star = "*" if self.comparison.per_record else ""
        return f"{_rounded(self.seconds)} s{star}  ({_rounded(self.comparison.ratio)}x)"


def is_possible() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def bars(outcome: Outcome) -> Sequence[Bar]:
    """Return a bar for each contender that can be compared, the fastest first."""
    comparable = [
        Bar(result, comparison, result.median.seconds / result.records * outcome.records)
        for result in outcome.results
        if (comparison := outcome.comparison(result))
    ]
    return sorted(comparable, key=lambda bar: bar.seconds)


def draw(outcome: Outcome, path: Path) -> None:
    """Write the chart in the format of the path's suffix. Raises BenchmarkError if it cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = bars(outcome)
    # Text stays text in an SVG, to be found and read aloud.
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        height = _INCHES_AROUND + _INCHES_PER_BAR * len(shown)
        layout = ConstrainedLayoutEngine(w_pad=_INCHES_OF_MARGIN, h_pad=_INCHES_OF_MARGIN)
        figure = Figure(figsize=(_INCHES_WIDE, height), facecolor=_GROUND, layout=layout)
        title = f"Seconds to load {outcome.title}"
        figure.suptitle(title, x=0.013, horizontalalignment="left", color=_INK, fontweight="bold")
        _fill(figure.add_subplot(), shown)
        figure.supxlabel(_note(shown, outcome), x=0.013, horizontalalignment="left", color=_FAINT, fontsize=9)
        try:
            figure.savefig(path, dpi=_PIXELS_PER_INCH, format=path.suffix.lower()[1:])
        except OSError as error:
            raise BenchmarkError(f"chart {path}: cannot be written: {error.strerror or error}") from error


def _fill(axes: Axes, shown: Sequence[Bar]) -> None:
    end = _end(shown)
    for checks, colour, name in (
        (True, _CHECKING, "checks rules and references"),
        (False, _UNCHECKING, "checks nothing"),
    ):
        ranks = [rank for rank, bar in enumerate(shown) if bar.result.contender.checks is checks]
        if ranks:
            axes.barh(ranks, [min(shown[rank].seconds, end) for rank in ranks], _THICK, color=colour, label=name)
    for rank, bar in enumerate(shown):
        beside = (min(bar.seconds, end), rank)
        axes.annotate(bar.label, beside, (5, 0), textcoords="offset points", va="center", color=_INK)
        if bar.seconds > end:
            axes.plot([end * 0.93, end * 0.95], [rank + 0.5, rank - 0.5], color=_GROUND, linewidth=4)
    axes.set_yticks(range(len(shown)), [bar.result.contender.label for bar in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, end * _ROOM_FOR_LABELS)
    _clear(axes)
    if len({bar.result.contender.checks for bar in shown}) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.3, frameon=False, labelcolor=_INK)


def _end(shown: Sequence[Bar]) -> float:
    """Return the seconds at which bars are cut, so that the slowest do not make all others too short to compare."""
    base = next(bar.seconds / bar.comparison.ratio for bar in shown)
    return min(max(bar.seconds for bar in shown), _CUT_AT * base)


def _clear(axes: Axes) -> None:
    """Remove from the axes what the labels say already."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.set_xticks([])


def _note(shown: Sequence[Bar], outcome: Outcome) -> str:
    cores, cpu = outcome.machine["cores"], outcome.machine["cpu"]
    runs = "one run" if outcome.repeat == 1 else f"medians of {outcome.repeat} runs"
    note = f"{runs} on {cores} cores ({cpu}); in brackets: as a multiple of insert_data --mode async"
    if any(bar.seconds > _end(shown) for bar in shown):
        note += "\nbars with a gap are longer than shown"
    if any(bar.comparison.per_record for bar in shown):
        note += "\n* scaled from runs with fewer records"
    return note


def _rounded(number: float) -> str:
    """Return the number with two or three digits: more of them would not mean anything."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}" if number >= 10 else f"{number:.2f}"  # noqa: PLR2004
