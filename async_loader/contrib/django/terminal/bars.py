"""A line with a bar for each table, drawn with rich on stderr. Imported only to draw: rich takes some 60 ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from async_loader.contrib.django.terminal.pace import Pace, Standing, Words, duration, rounded
from async_loader.contrib.django.terminal.wording import printable

# In cells, the columns of a terminal.
_LONGEST_BAR = 40
_SHORTEST_BAR = 8
_GAP = 2
# The texts after a bar, by position; and the order in which they are left out of a line that has no room for all.
_PERCENT, _COUNTED, _AT_FAULT, _RATE, _LEFT = range(5)
_LEFT_OUT_FIRST = (_RATE, _AT_FAULT, _COUNTED, _LEFT, _PERCENT)


class Bars:
    """The lines of a run, drawn by `draw` and removed by `close`. Both raise OSError if the terminal is gone."""

    def __init__(self, pace: Pace, words: Words, clock: Callable[[], float], *, color: bool) -> None:
        self._pace = pace
        self._words = words
        self._clock = clock
        # None leaves the choice to rich, which respects NO_COLOR.
        self._console = Console(stderr=True, no_color=None if color else True)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            get_renderable=self._lines,
        )

    def draw(self) -> None:
        """Draw the lines anew, as the run is now."""
        self._live.start()
        self._live.refresh()

    def close(self) -> None:
        """Remove the lines from the terminal."""
        self._live.stop()

    def _lines(self) -> Group:
        now = self._clock()
        standings = _that_fit(self._pace.standings(now), self._console.height - 1)
        names = [printable(standing.shown.table) for standing in standings]
        name_width = max(map(cell_len, names), default=0)
        cells = [_cells(standing, self._words) for standing in standings]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        kept, bar_width = _layout(widths, self._console.width - name_width - 1)
        lines = []
        for standing, name, values in zip(standings, names, cells, strict=True):
            line = Text(f"{set_cell_size(name, name_width)} ", no_wrap=True, overflow="ellipsis")
            if standing.shown.waits_for is not None:
                line.append(f"waits for {printable(standing.shown.waits_for)}")
            else:
                line.append_text(self._bar(standing, bar_width, now))
                line.append("".join(value.rjust(width) for value, width in zip(values, kept, strict=True) if width))
            line.truncate(self._console.width, overflow="ellipsis")
            lines.append(line)
        return Group(*lines)

    def _bar(self, standing: Standing, width: int, now: float) -> Text:
        """Return the bar of a table; it moves to and fro where the length of the source is not known."""
        if width <= 0:
            return Text()
        # A source may be empty, and is read then.
        total = None if standing.shown.size is None else max(1, standing.shown.size)
        completed = total if total is not None and standing.is_read else standing.shown.read_to
        parts = self._console.render(ProgressBar(total, completed, width, animation_time=now))
        text = Text.assemble(*((part.text, part.style or "") for part in parts if not part.control))
        text.pad_right(width - text.cell_len)
        return text


def _that_fit(standings: Sequence[Standing], lines: int) -> list[Standing]:
    """Return the standings that fit on the terminal, preferring tables that are not done."""
    shown = sorted(standings, key=lambda standing: standing.is_read)[: max(1, lines)]
    return [standing for standing in standings if standing in shown]


def _cells(standing: Standing, words: Words) -> list[str]:
    """Return the texts after the bar, empty where they are not known."""
    if standing.shown.waits_for is not None:
        return [""] * len(_LEFT_OUT_FIRST)
    return [
        "" if standing.percent is None else f"{standing.percent} %",
        standing.counted(words),
        standing.at_fault(words),
        "" if standing.rate is None else f"{rounded(standing.rate)}/s",
        "" if standing.left is None else f"{duration(standing.left)} left",
    ]


def _layout(widths: Sequence[int], room: int) -> tuple[list[int], int]:
    """Return the width of each text with the gap before it, 0 for one that has no room, and the width of the bar."""
    kept = [width and width + _GAP for width in widths]
    for position in _LEFT_OUT_FIRST:
        if sum(kept) + _SHORTEST_BAR <= room or not kept:
            break
        kept[position] = 0
    return kept, min(_LONGEST_BAR, room - sum(kept))
