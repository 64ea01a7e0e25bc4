"""Progress as lines on stderr, where it is no terminal. The clock is the test's, so nothing sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from async_loader import Options, Run, Show, Tell
from async_loader.contrib.django.terminal.pace import ROWS, duration
from async_loader.contrib.django.terminal.progress import heartbeat, progress
from tests.commands.terminals import Clock, users
from tests.processes import PATIENCE
from tests.sample import MODES, Place


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Return the lines that went to stderr since the last call."""

    def read() -> list[str]:
        return capsys.readouterr().err.splitlines()

    return read


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


def test_a_heart_beats_until_it_is_stopped() -> None:
    drawn = threading.Event()
    with heartbeat(drawn.set):
        assert drawn.wait(timeout=PATIENCE)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_names_cannot_steer_what_reads_the_lines(lines: Callable[[], list[str]]) -> None:
    clock = Clock()
    with progress(wanted=True, clock=clock) as show:
        clock.now += 10
        show(Show("\x1b[31m[bold]u", 1, 0, 1, 2))
        clock.now += 10
        show(Show("o", 0, 0, 0, None, waits_for="\x1b[31m[bold]u"))
    assert lines() == ["\\x1b[31m[bold]u: 1 record, 0 rejected, 50 %", "o: waits for \\x1b[31m[bold]u"]


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
