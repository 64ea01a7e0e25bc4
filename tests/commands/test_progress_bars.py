"""Progress as bars on a real terminal. The clock is the test's, so nothing sleeps."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from async_loader import Show, Tell
from async_loader.contrib.django.terminal.progress import progress, steps
from tests.commands.conftest import Project
from tests.commands.terminals import COLORS, CONTROL, HASTY, Beats, Clock, Terminal, hasty, users
from tests.sample import MODES

# More than is read at a time.
USERS = "id,name,email\n" + "".join(f"{key},n,@\n" for key in range(1, 300_001))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove from the environment all that a terminal around the tests has set."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Terminal]:
    """Put stderr on a terminal of a size."""

    def put(columns: int, lines: int = 24) -> Terminal:
        terminal = Terminal(columns, lines)
        monkeypatch.setattr(sys, "stderr", terminal.stream)
        # rich would rather believe the terminal that the tests themselves run in.
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))
        return terminal

    return put


def frame(columns: int, *events: Show | Tell, terminal: Terminal, color: bool = True) -> list[str]:
    """Return the lines of one drawing, two seconds after the first event, which comes at the start."""
    clock, beats = Clock(), Beats()
    with progress(wanted=True, color=color, clock=clock, beats=beats) as show:
        first, *others = events
        show(first)
        clock.now += 2
        for event in others:
            show(event)
        beats.draw()
        sys.stderr.write("drawn\n")
    drawn = CONTROL.sub("", terminal.to_the_end()).split("drawn")[0].replace("\r\n", "\n").split("\r")[0]
    assert all(cell_len(line) <= columns for line in drawn.split("\n"))
    return [line.rstrip() for line in drawn.split("\n")]


NAMES = Show("\x1b[31m[bold]u", 1, 0, 1, 2), Show("o", 0, 0, 0, None, waits_for="\x1b[31m[bold]u")


def test_names_cannot_steer_a_terminal(on_terminal: Callable[..., Terminal]) -> None:
    drawn = frame(80, *NAMES, terminal=on_terminal(80))
    assert drawn[0].startswith("\\x1b[31m[bold]u ")
    assert drawn[1] == "o               waits for \\x1b[31m[bold]u"


EVENTS = (
    users(0, 0),
    users(1_200_000, 430, rejected=3_400),
    Show("orders", 0, 0, 0, 500, waits_for="users"),
    Show("products", 40_000, 0, 0, None),
)


def test_a_bar_shows_all_that_there_is_room_for(on_terminal: Callable[..., Terminal]) -> None:
    first, second, third = frame(100, *EVENTS, terminal=on_terminal(100))
    assert re.fullmatch(r"users    ━+[╸╺]━+  43 %  1,200,000 records  3,400 rejected  600,000/s  3 s left", first)
    assert second == "orders   waits for users"
    assert re.fullmatch(r"products ━+ +40,000 records      0 rejected", third)


@pytest.mark.parametrize("columns", [*range(1, 12), 30, 50, 79, 80, 81])
def test_any_width_does(on_terminal: Callable[..., Terminal], columns: int) -> None:
    drawn = frame(columns, *EVENTS, terminal=on_terminal(columns))
    assert len(drawn) == 3
    assert ("43 %" in drawn[0]) == (columns >= 30)
    assert ("3 s left" in drawn[0]) == (columns >= 50)


def test_where_lines_are_few_what_is_done_goes_first(on_terminal: Callable[..., Terminal]) -> None:
    tables = [Show(f"t{number}", 1, 0, number % 2, 1) for number in range(20)]
    drawn = frame(80, *tables, terminal=on_terminal(80, lines=11))
    assert [line.split()[0] for line in drawn] == [f"t{number}" for number in range(0, 20, 2)]


def test_nothing_is_drawn_in_the_first_second(on_terminal: Callable[..., Terminal]) -> None:
    terminal, clock, beats = on_terminal(80), Clock(), Beats()
    with progress(wanted=True, clock=clock, beats=beats) as show:
        beats.draw()
        clock.now += 0.9
        show(users(1, 1))
        beats.draw()
        show(Tell("a line"))
    assert terminal.to_the_end() == "a line\r\n"


def test_nothing_is_drawn_before_there_is_anything_to_show(on_terminal: Callable[..., Terminal]) -> None:
    terminal, clock, beats = on_terminal(80), Clock(), Beats()
    with progress(wanted=True, clock=clock, beats=beats):
        clock.now += 5
        beats.draw()
    assert terminal.to_the_end() == ""


def test_bars_are_wiped_away_and_lines_printed_meanwhile_stay(on_terminal: Callable[..., Terminal]) -> None:
    terminal, clock, beats = on_terminal(80), Clock(), Beats()
    with progress(wanted=True, clock=clock, beats=beats) as show:
        show(users(1, 1))
        clock.now += 2
        beats.draw()
        show(Tell("a\x1bline"))
        beats.draw()
    assert sys.stderr is terminal.stream
    seen = terminal.to_the_end()
    assert "\x1b[2Ka\\x1bline\r\n" in seen
    assert seen.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


def test_steps_are_drawn_with_their_names_and_how_many_are_done(on_terminal: Callable[..., Terminal]) -> None:
    terminal = on_terminal(80)
    with steps(3, wanted=True) as show:
        for name in ("[bold]one", "two"):
            show(name)
    drawn = CONTROL.sub("", terminal.to_the_end())
    assert "[bold]one" in drawn or "two" in drawn
    assert "1/3" in drawn


def test_steps_are_not_drawn_where_they_are_not_wanted(on_terminal: Callable[..., Terminal]) -> None:
    terminal = on_terminal(80)
    with steps(3, wanted=False) as show:
        show("one")
    assert terminal.to_the_end() == ""


@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_not_wanted_or_cannot_be_drawn_is_not(
    on_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal, clock, beats = on_terminal(80), Clock(), Beats()
    with progress(wanted=wanted, clock=clock, beats=beats) as show:
        clock.now += 10
        show(users(1, 1))
        beats.draw()
    assert terminal.to_the_end() == ("users: 1 record, 0 rejected, 0 %\r\n" if wanted else "")


@pytest.mark.parametrize(("variable", "color"), [("1", True), ("", False)])
def test_colors_can_be_declined(
    on_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch, variable: str, *, color: bool
) -> None:
    terminal = on_terminal(80)
    frame(80, *EVENTS, terminal=terminal)
    assert COLORS.search(terminal.seen)
    monkeypatch.setenv("NO_COLOR", variable)
    terminal = on_terminal(80)
    assert "━" in "".join(frame(80, *EVENTS, terminal=terminal, color=color))
    assert not COLORS.search(terminal.seen)


class Gone(io.StringIO):
    """A terminal that was closed while the program uses it."""

    def isatty(self) -> bool:
        return True

    def write(self, _: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Gone()
    monkeypatch.setattr(sys, "stderr", gone)
    clock, beats = Clock(), Beats()
    with progress(wanted=True, clock=clock, beats=beats) as show:
        show(users(1, 1))
        clock.now += 2
        beats.draw()
        beats.draw()
    assert sys.stderr is gone


@pytest.mark.parametrize("mode", MODES)
def test_a_load_from_a_pipe_is_drawn_while_the_pipe_is_silent(project: Project, mode: str) -> None:
    terminal = Terminal(100)
    with hasty(project, terminal, "insert_data", f"--mode={mode}", "users=-") as process:
        assert process.stdin is not None
        process.stdin.write(USERS)
        process.stdin.flush()
        assert "users ━" in CONTROL.sub("", terminal.until(" rejected"))
        out, _ = process.communicate()
    assert process.returncode == 0
    assert "300,000" in out
    assert "\x1b" not in out
    assert terminal.to_the_end().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


def test_an_interrupt_leaves_one_line_and_the_cursor(project: Project) -> None:
    terminal = Terminal(100)
    with hasty(project, terminal, "insert_data", "users=-") as process:
        assert process.stdin is not None
        process.stdin.write(USERS)
        process.stdin.flush()
        terminal.until(" rejected")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    end = "\x1b[?25h\r\x1b[1A\x1b[2Kerror: interrupted: nothing was kept; run the same command again\r\n"
    assert terminal.to_the_end().endswith(end)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["insert_data"], "users: 10 records, 1 rejected, "),
        (["insert_data", "--no-progress"], None),
        (["insert_data", "-v", "0"], None),
        (["check_references"], "orders: 7 rows, 0 at fault, 100 %\n"),
        (["check_references", "--no-progress"], None),
        (["check_references", "-v0"], None),
    ],
)
def test_lines_can_be_declined(project: Project, command: list[str], line: str | None) -> None:
    project.manage("insert_data")
    done = project.manage(*command, after=HASTY)
    assert done.returncode == 0
    if line is None:
        assert done.stderr == ""
    else:
        assert line in done.stderr
