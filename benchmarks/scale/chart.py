"""Forecasts as a chart: hours over records, a line for each number of hosts, a panel for each number of servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError
from benchmarks.scale.forecast import Forecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _FAINT, _GROUND = "#24292f", "#6e7781", "#ffffff"
_LINES = ("#9ecbff", "#1f6feb", "#0a3069", "#8250df", "#bf3989", "#953800")
_HOUR = 3600
# The axis of hours ends at this many times the longest, and at the shortest divided by as much.
_MARGIN = 2
_INCHES_HIGH, _INCHES_A_PANEL = 4.6, 3.6
_PIXELS_PER_INCH = 160
# Times that people count in, by their hours.
_TICKS = {
    1 / 3600: "1 s",
    1 / 60: "1 min",
    1 / 6: "10 min",
    1: "1 h",
    24: "1 day",
    168: "1 week",
    720: "30 days",
    8760: "1 year",
}


def draw(forecasts: Sequence[Forecast], path: Path) -> None:
    """Write the chart in the format of the path's suffix. Raises BenchmarkError if it cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = sorted({each.cluster.servers for each in forecasts})
    # Text stays text in an SVG; the same forecasts make the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scale", "font.family": "sans-serif"}):
        size = (_INCHES_A_PANEL * max(2, len(panels)), _INCHES_HIGH)
        figure = Figure(figsize=size, facecolor=_GROUND, layout="constrained")
        title = "How long a load takes, by records and hosts"
        figure.suptitle(title, x=0.013, horizontalalignment="left", color=_INK, fontweight="bold")
        several = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, servers in zip(several, panels, strict=True):
            _fill(axes, [each for each in forecasts if each.cluster.servers == servers], servers)
        hours = [each.seconds / _HOUR for each in forecasts]
        several[0].set_ylim(min(hours) / _MARGIN, max(hours) * _MARGIN)
        several[0].legend(loc="upper left", frameon=False, labelcolor=_INK, fontsize=9)
        note = "predicted from measured costs; a hollow mark: does not fit (memory, or the size of a table)"
        figure.supxlabel(note, x=0.013, horizontalalignment="left", color=_FAINT, fontsize=9)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        try:
            figure.savefig(path, dpi=_PIXELS_PER_INCH, format=path.suffix.lower()[1:], metadata=metadata)
        except OSError as error:
            raise BenchmarkError(f"chart {path}: cannot be written: {error.strerror or error}") from error


def _fill(axes: Axes, shown: Sequence[Forecast], servers: int) -> None:
    for number, hosts in enumerate(sorted({each.cluster.hosts for each in shown})):
        line = sorted((each for each in shown if each.cluster.hosts == hosts), key=lambda each: each.sources.records)
        colour = _LINES[number % len(_LINES)]
        records, hours = [each.sources.records for each in line], [each.seconds / _HOUR for each in line]
        axes.plot(records, hours, color=colour, label=f"{hosts:,} host{'s' * (hosts > 1)}")
        for each, at, taken in zip(line, records, hours, strict=True):
            axes.plot([at], [taken], "o", color=colour, markerfacecolor=_GROUND if each.limits else colour)
    most = max(shown, key=lambda each: (each.cluster.hosts, each.sources.records))
    busiest = f"the busiest at the far end:\n{most.bottleneck}"
    axes.text(0.97, 0.03, busiest, transform=axes.transAxes, ha="right", color=_FAINT, fontsize=9)
    title = (
        f"{servers} server{'s' * (servers != 1)}, orders in {most.order_tables} table{'s' * (most.order_tables > 1)}"
    )
    axes.set_title(title, color=_INK, fontsize=10)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("records", color=_INK)
    axes.set_yticks(list(_TICKS), list(_TICKS.values()))
    axes.minorticks_off()
    axes.grid(visible=True, color="#eaeef2")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=_INK)
