"""Which run was the last is decided by the databases' own counters: clocks of hosts may be fast or slow."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from async_loader import Options, Run, StoredRejects, Verification, init
from async_loader.effects import Change, Effect
from tests import sample
from tests.integration.test_crashes import Crash, perform
from tests.sample import Place
from tests.stores import Databases

# Above stores it is the same code, so a plain run takes one store for each test, too.
pytestmark = pytest.mark.turns("mode", "store")

USERS = "id,name,email\n1,a,@\n2,,@\n3,c,@\n4,d,@\n5,e,@\n"
OTHERS = "id,name,email\n3,c,@\n6,f,@\n7,,@\n"
ORDERS = "id,user_id,product_id,quantity\n1,1,1,1\n2,2,1,0\n"
# What clocks that are some seconds fast and slow write.
FUTURE, PAST = "2999-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00"


def crash_after_commits(number: int, mode: str, one: Run) -> None:
    """Perform a run up to this commit, as if the process were killed then."""
    commits = itertools.count()
    made = 0

    def before(effect: Effect) -> None:
        nonlocal made
        if made == number:
            raise Crash
        if isinstance(effect, Change) and effect.sql == "COMMIT":
            made = next(commits) + 1

    with contextlib.suppress(Crash):
        perform(mode, one, before)


def crashed(place: Place, mode: str, commits: int, sources: Mapping[str, str], *, commit_every: int = 0) -> str:
    """Run a load that is killed after `commits` commits, and return its id."""
    one = Run(place.tables, sources, place.databases, Options(commit_every=commit_every), mode=mode)
    crash_after_commits(commits, mode, one)
    assert not one.is_kept
    return one.id


def set_clock(place: Place, run: str, time: str) -> None:
    """Make a run's times those of a host whose clock is wrong."""
    for database in place.databases:
        place.query(database, "UPDATE loader_runs SET started_at = ? WHERE run = ?", (time, run))
        place.query(
            database, "UPDATE loader_runs SET finished_at = ? WHERE run = ? AND finished_at IS NOT NULL", (time, run)
        )


def states(place: Place) -> dict[str, str]:
    """Return the state of every run, the oldest first."""
    return {run.run: run.state for run in Verification(place.tables, place.databases).perform().runs}


def listed(place: Place) -> list[str]:
    return [run.run for run in StoredRejects(place.tables, place.databases).overview()]


@pytest.mark.parametrize("time", [PAST, FUTURE])
def test_an_older_run_is_not_resumed_over_a_newer_one(place: Place, mode: str, time: str) -> None:
    sources = {"users": place.file("u.csv", USERS)}
    older = crashed(place, mode, 1, sources, commit_every=2)
    newer = place.load(mode, {"users": place.file("v.csv", OTHERS)}).run
    set_clock(place, older, time)
    assert states(place) == {older: "superseded", newer: "complete"}
    assert listed(place) == [older, newer]
    again = place.load(mode, sources, commit_every=2)
    assert again.run not in (older, newer)
    assert again.tables["users"].given == 5


@pytest.mark.parametrize("time", [PAST, FUTURE])
def test_the_last_run_is_resumed_whatever_its_clock_said(place: Place, mode: str, time: str) -> None:
    sources = {"users": place.file("u.csv", USERS)}
    before = place.load(mode, {"users": place.file("v.csv", OTHERS)}).run
    last = crashed(place, mode, 1, sources, commit_every=2)
    set_clock(place, last, time)
    assert states(place) == {before: "complete", last: "unfinished"}
    assert place.load(mode, sources, commit_every=2).run == last
    assert states(place) == {before: "complete", last: "complete"}


# Users and orders are in two databases, whose counters say nothing about each other.
ANOTHER = "id,user_id,product_id,quantity\n9,1,1,1\n"


@pytest.mark.parametrize("time", [PAST, FUTURE])
def test_a_run_is_resumed_where_another_had_written_a_table_before_it_began(place: Place, mode: str, time: str) -> None:
    sources = {"users": place.file("u.csv", USERS), "orders": place.file("o.csv", ORDERS)}
    before = place.load(mode, {"orders": place.file("w.csv", ANOTHER)}).run
    set_clock(place, before, time)
    first = crashed(place, mode, 1, sources)
    assert states(place) == {before: "complete", first: "unfinished"}
    assert place.load(mode, sources).run == first
    assert states(place) == {before: "complete", first: "complete"}


@pytest.mark.parametrize("time", [PAST, FUTURE])
def test_a_run_is_not_resumed_where_another_has_written_a_table_since_it_began(
    place: Place, mode: str, time: str
) -> None:
    sources = {"users": place.file("u.csv", USERS), "orders": place.file("o.csv", ORDERS)}
    place.load(mode, {"orders": place.file("v.csv", ANOTHER)})
    first = crashed(place, mode, 1, sources)
    since = place.load(mode, {"orders": place.file("w.csv", ANOTHER)}).run
    set_clock(place, since, time)
    assert states(place)[first] == "superseded"
    assert place.load(mode, sources).run not in (first, since)
    assert set(states(place).values()) == {"superseded", "complete"}


def test_runs_are_listed_as_the_databases_met_them(place: Place, mode: str) -> None:
    files = [place.file(f"{name}.csv", f"{USERS}7{number},n,n@\n") for number, name in enumerate("abc")]
    runs = [place.load(mode, {"users": file}).run for file in files]
    orders = place.load(mode, {"orders": place.file("o.csv", ORDERS)}).run
    both = place.load(
        mode, {"users": place.file("d.csv", OTHERS), "orders": place.file("p.csv", f"{ORDERS}3,1,1,0\n")}
    ).run
    for run, time in zip([*runs, orders, both], [FUTURE, "2998", PAST, "2997", PAST], strict=True):
        set_clock(place, run, time)
    assert [run for run in listed(place) if run != orders] == [*runs, both]
    assert listed(place)[-1] == both
    assert list(states(place)) == listed(place)


@pytest.mark.parametrize("time", ["yesterday", "2024-01-01T00:00:00"])
def test_a_run_whose_line_has_no_time_at_which_it_began_is_not_resumed(place: Place, mode: str, time: str) -> None:
    sources = {"users": place.file("u.csv", USERS)}
    unfinished = crashed(place, mode, 1, sources, commit_every=2)
    set_clock(place, unfinished, time)
    again = place.load(mode, sources, commit_every=2)
    assert again.run != unfinished
    assert again.tables["users"].given == 5


@pytest.mark.only("postgresql")
def test_lines_of_an_older_version_are_numbered_and_kept(place: Place, mode: str) -> None:
    sources = {"users": place.file("u.csv", USERS)}
    runs = [place.load(mode, sources).run for _ in range(3)]
    place.query("users", "ALTER TABLE loader_runs DROP COLUMN number")
    before = place.query("users", "SELECT * FROM loader_runs ORDER BY started_at")
    with pytest.raises(Exception, match="run init_db first"):
        place.load(mode, sources)
    init(place.tables, place.databases)
    assert [line[:-1] for line in place.query("users", "SELECT * FROM loader_runs ORDER BY number")] == before
    runs.append(place.load(mode, sources).run)
    init(place.tables, place.databases)
    assert place.query("users", "SELECT run FROM loader_runs ORDER BY number") == [(run,) for run in runs]


def test_lines_of_a_version_that_counted_no_deleted_rows_are_kept(place: Place, mode: str) -> None:
    sources = {"users": place.file("u.csv", USERS)}
    place.load(mode, sources)
    place.query("users", "ALTER TABLE loader_runs DROP COLUMN deleted")
    counts = "SELECT run, given, inserted, rejected, checkpoint, sources FROM loader_runs"
    before = place.query("users", counts)
    with pytest.raises(Exception, match="run init_db first"):
        place.load(mode, sources)
    init(place.tables, place.databases)
    init(place.tables, place.databases)
    assert place.query("users", counts) == before
    assert place.query("users", "SELECT deleted FROM loader_runs") == [(0,)]
    place.load(mode, sources)
    assert len(place.query("users", counts)) == 2


def test_a_run_whose_rejects_may_be_of_either_of_two_tables_is_not_resumed(
    tmp_path: Path, store: Databases, mode: str
) -> None:
    place = Place(tmp_path, (sample.USERS, replace(sample.USERS, name="people")), store)
    source = place.file("u.csv", USERS)
    sources = {"users": source, "people": source}
    run = crashed(place, mode, 1, sources, commit_every=2)
    messages: list[str] = []
    again = Run(
        place.tables,
        sources,
        place.databases,
        Options(commit_every=2),
        mode=mode,
        show=lambda shown: messages.append(getattr(shown, "text", "")),
    )
    report = again.perform()
    why = f"{source} went into two tables of one database, whose rejects cannot be attributed"
    assert f"not resuming run {run}: {why}; starting over" in messages
    assert [table.rejected for table in report.tables.values()] == [1, 1]


@pytest.mark.parametrize("run", ["../../../escaped", "/tmp/escaped", "", "a\nb", "0" * 31, "0" * 32 + "/.."])
def test_a_run_of_a_name_that_no_run_is_given_is_not_resumed(place: Place, mode: str, run: str) -> None:
    """The name of a run becomes that of a directory."""
    sources = {"users": place.file("u.csv", USERS)}
    crashed(place, mode, 1, sources, commit_every=2)
    place.query("users", "UPDATE loader_runs SET run = ?", (run,))
    messages: list[str] = []
    options = Options(commit_every=2, rejects_dir=place.directory / "a" / "b" / "c")
    one = Run(
        place.tables,
        sources,
        place.databases,
        options,
        mode=mode,
        show=lambda shown: messages.append(getattr(shown, "text", "")),
    )
    report = one.perform()
    assert any(message.startswith("not resuming run '") and "\n" not in message for message in messages)
    made = [path for path in place.directory.rglob("users.csv") if path.is_file()]
    assert made == [place.directory / "a" / "b" / "c" / report.run / "users.csv"]
