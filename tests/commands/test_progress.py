"""Progress on stderr: bars on a real terminal, lines elsewhere. The clock is the test's, so nothing sleeps."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from rich.cells import cell_len

from async_loader import Options, Run, Show, Tell
from async_loader.contrib.django.terminal.pace import ROWS, duration
from async_loader.contrib.django.terminal.progress import heartbeat, progress
from tests.commands.conftest import Project
from tests.processes import PATIENCE
from tests.sample import MODES, Place

# Steers a terminal.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLORS = re.compile(r"\x1b\[[0-9;]*[34]8?[0-9;]*m")
# Commands that need not wait before they show how far they are.
HASTY = """\
from async_loader.contrib.django.terminal import progress
progress.DELAY_SECONDS = progress.LINE_SECONDS = 0
progress.FRAME_SECONDS = 0.01
"""
# More than is read at a time.
USERS = "id,name,email\n" + "".join(f"{key},n,@\n" for key in range(1, 300_001))


class Terminal:
    """A real terminal of a size. A thread reads what is written to `stream`, as a person in front of it would."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.stream = os.fdopen(slave, "w")
        self.seen = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # A terminal gives this error when no process has it open any more.
        with contextlib.suppress(OSError):
            while read := os.read(self._master, 1 << 16):
                with self._news:
                    self.seen += read.decode(errors="replace")
                    self._news.notify_all()
        os.close(self._master)

    def until(self, wanted: str) -> str:
        """Wait for a text, and return all that was written."""
        with self._news:
            assert self._news.wait_for(lambda: wanted in self.seen, timeout=PATIENCE)
        return self.seen

    def to_the_end(self) -> str:
        """Return all that was written, when no process can write any more."""
        self.stream.close()
        self._reader.join(timeout=PATIENCE)
        return self.seen


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Beats:
    """Draws when the test wants it."""

    draw: Callable[[], None] = field(default=lambda: None)

    @contextmanager
    def __call__(self, draw: Callable[[], None]) -> Iterator[None]:
        self.draw = draw
        yield


def users(given: int, read_to: int, size: int | None = 1000, rejected: int = 0) -> Show:
    return Show("users", given, rejected, read_to, size)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Return the lines that went to stderr since the last call."""

    def read() -> list[str]:
        return capsys.readouterr().err.splitlines()

    return read


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


def test_without_a_terminal_there_is_a_line_every_ten_seconds(lines: Callable[[], list[str]]) -> None:
    clock = Clock()
    with progress(wanted=True, clock=clock) as show:
        show(users(0, 0))
        clock.now += 9.9
        show(users(4_000_000, 400, rejected=3_400))
        assert lines() == []
        clock.now += 0.1
        show(users(4_100_000, 430, rejected=3_400))
        assert lines() == ["users: 4,100,000 records, 3,400 rejected, 410,000 records/s, 43 %, about 14 s left"]
        clock.now += 9
        show(users(5_000_000, 600, rejected=3_401))
        assert lines() == []
        clock.now += 1
        show(Show("orders", 1, 0, 0, None, waits_for="users"))
        assert lines() == [
            "users: 5,000,000 records, 3,401 rejected, 250,000 records/s, 60 %, about 14 s left",
            "orders: waits for users",
        ]
        clock.now += 10
        show(Show("orders", 1, 0, 0, None))
        assert lines() == ["orders: 1 record, 0 rejected"]
    assert lines() == []


def test_speed_and_time_left_are_those_of_the_last_half_minute(lines: Callable[[], list[str]]) -> None:
    clock = Clock()
    with progress(wanted=True, clock=clock) as show:
        for second in range(101):
            show(users(1_000 * second, second, 10_000))
            clock.now += 1
        lines()
        for second in range(1, 41):
            show(users(100_000 + 10 * second, 100 + 2 * second, 10_000))
            clock.now += 1
        clock.now += 9
        show(users(100_500, 200, 10_000))
    assert lines()[-1] == "users: 100,500 records, 0 rejected, 10 records/s, 2 %, about 1 h 21 min left"


def test_what_waited_is_not_called_slow(lines: Callable[[], list[str]]) -> None:
    clock = Clock()
    with progress(wanted=True, clock=clock) as show:
        show(users(0, 0))
        show(Show("users", 0, 0, 0, 1000, waits_for="others"))
        clock.now += 9
        show(users(0, 0))
        clock.now += 1
        show(users(5_000, 500))
    assert lines() == ["users: 5,000 records, 0 rejected, 5,000 records/s, 50 %, about 1 s left"]


def test_the_speed_of_what_is_read_stays_and_no_time_is_left(lines: Callable[[], list[str]]) -> None:
    clock = Clock()
    with progress(wanted=True, clock=clock) as show:
        show(users(0, 0))
        clock.now += 2
        show(users(1_000, 1000))
        clock.now += 20
        show(Tell("a line"))
        show(Show("orders", 0, 0, 0, 0))
    assert lines() == [
        "a line",
        "users: 1,000 records, 0 rejected, 500 records/s, 100 %",
        "orders: 0 records, 0 rejected, 100 %",
    ]


def test_all_is_never_read_before_it_is(lines: Callable[[], list[str]]) -> None:
    clock = Clock()
    with progress(wanted=True, clock=clock, words=ROWS) as show:
        clock.now += 10
        show(users(9, 999_999, 1_000_000, rejected=1))
    assert lines() == ["users: 9 rows, 1 at fault, 99 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59, "59 s"),
        (59.5, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (1e7, "2,777 h 46 min"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_names_cannot_steer_a_terminal(lines: Callable[[], list[str]], on_terminal: Callable[..., Terminal]) -> None:
    shown = Show("\x1b[31m[bold]u", 1, 0, 1, 2), Show("o", 0, 0, 0, None, waits_for="\x1b[31m[bold]u")
    clock = Clock()
    with progress(wanted=True, clock=clock) as show:
        clock.now += 10
        show(shown[0])
        clock.now += 10
        show(shown[1])
    assert lines() == ["\\x1b[31m[bold]u: 1 record, 0 rejected, 50 %", "o: waits for \\x1b[31m[bold]u"]
    drawn = frame(80, *shown, terminal=on_terminal(80))
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


def test_a_heart_beats_until_it_is_stopped() -> None:
    drawn = threading.Event()
    with heartbeat(drawn.set):
        assert drawn.wait(timeout=PATIENCE)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def shows(place: Place, mode: str, *sources: str, batch_size: int = 100_000) -> list[Show]:
    """Return what a load of users and orders shows."""
    shown: list[Show] = []

    def show(event: Show | Tell) -> None:
        if isinstance(event, Show):
            shown.append(event)

    given = {"users": list(sources), "orders": place.file("o.csv", "id,user_id,product_id,quantity\n")}
    Run(place.tables, given, place.databases, Options(batch_size=batch_size), mode=mode, show=show).perform()
    return shown


@pytest.mark.parametrize("mode", MODES)
def test_several_sources_of_a_table_are_one_whole(tmp_path: Path, mode: str) -> None:
    place = Place(tmp_path)
    first = "id,name,email\n" + "".join(f"{key},n,@\n" for key in range(250))
    second = "".join(f'{{"id": {key}, "name": "n", "email": "@"}}\n' for key in range(250, 350))
    sources = place.file("a.csv", first), place.file("b.jsonl", second)
    shown = [show for show in shows(place, mode, *sources, batch_size=100) if show.table == "users"]
    whole = len(first) + len(second)
    assert [show.given for show in shown] == [0, 100, 200, 250, 350, 350]
    assert {show.size for show in shown} == {whole}
    assert [show.read_to for show in shown] == [0, *[len(first)] * 3, whole, whole]


def test_bytes_of_parquet_are_counted_by_rows(tmp_path: Path) -> None:
    place = Place(tmp_path)
    path = place.directory / "u.parquet"
    keys = range(250_000)
    pl.DataFrame({"id": keys, "name": ["n"] * 250_000, "email": ["@"] * 250_000}).write_parquet(path)
    size = path.stat().st_size
    shown = [show for show in shows(place, "sequential", str(path)) if show.table == "users"]
    assert [show.read_to for show in shown] == [0, size * 2 // 5, size * 4 // 5, size, size]


@pytest.mark.parametrize("mode", MODES)
def test_who_waits_says_for_whom(tmp_path: Path, mode: str) -> None:
    place = Place(tmp_path)
    place.file("o.csv", "id,user_id,product_id,quantity\n1,1,1,1\n")
    source = place.file("u.csv", "id,name,email\n1,n,@\n")
    waits: list[str | None] = []

    def show(event: Show | Tell) -> None:
        if isinstance(event, Show) and event.table == "orders":
            waits.append(event.waits_for)

    sources = {"users": source, "orders": str(place.directory / "o.csv")}
    Run(place.tables, sources, place.databases, mode=mode, show=show).perform()
    assert waits == [None, "users", None, None, None]


@contextmanager
def hasty(project: Project, terminal: Terminal, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command that reads stdin, on a terminal, and shows at once how far it is."""
    with project.start(*arguments, after=HASTY, stdin=subprocess.PIPE, stderr=terminal.stream) as process:
        try:
            yield process
        finally:
            process.kill()


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
