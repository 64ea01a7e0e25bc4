"""Other programs write while a load goes on: what they insert is met as if it had been there before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from async_loader import (
    Cluster,
    Column,
    ConflictError,
    Options,
    Report,
    Run,
    Table,
    Type,
)
from async_loader.effects import Effect
from tests.integration.meanwhile import (
    ACTS,
    DATABASES,
    HEADER,
    LOCATED,
    PEOPLE,
    TOWNS,
    after_commit,
    insert,
    people,
    person,
    place_with_a_town,
)
from tests.integration.test_crashes import perform
from tests.sample import Place, reject_names
from tests.stores import Databases, Schemas

# Both stores, whatever the tier.
pytestmark = pytest.mark.turns("mode")


@pytest.fixture
def place(tmp_path: Path, store: Databases) -> Place:
    return place_with_a_town(tmp_path, store)


def load(place: Place, mode: str, sources: dict[str, str], act: Callable[[], None], **options: Any) -> Report:
    """Load two records per transaction; after the first one of people another program acts."""
    paths = {table: place.file(f"{table}.csv", content) for table, content in sources.items()}
    run = Run(place.tables, paths, place.databases, Options(commit_every=2, **options), mode=mode)
    perform(mode, run, after_commit(1, "people", act))
    return run.report("complete")


@pytest.mark.parametrize("held", [[], [1, 99]], ids=["empty", "with rows"])
@pytest.mark.parametrize("order", [(2, 4, 6, 8, 10, 12), (8, 2, 12, 6, 4, 10)], ids=["in order", "in no order"])
def test_identical_rows_that_come_between_two_commits_are_unchanged(
    place: Place, mode: str, held: list[int], order: tuple[int, ...]
) -> None:
    for number in held:
        insert(place, person(number), f"{number}@")

    def act() -> None:
        for number in order[3:5]:
            insert(place, person(number), f"{number}@")

    counts = load(place, mode, {"people": people(*order)}, act).tables["people"].counts
    assert (counts.inserted, counts.unchanged, counts.rejected) == (4, 2, 0)
    assert len(place.rows("people")) == len(held) + 6


@pytest.mark.parametrize("on_conflict", ["reject", "update"])
def test_rows_with_other_values_that_come_between_two_commits_are_conflicts(
    place: Place, mode: str, on_conflict: str
) -> None:
    report = load(
        place, mode, {"people": people(1, 2, 3, 4, 5)}, lambda: insert(place, "p004", "other@"), on_conflict=on_conflict
    )
    counts = report.tables["people"].counts
    if on_conflict == "update":
        assert (counts.inserted, counts.updated, counts.rejected) == (4, 1, 0)
        assert ("p004", "4@", 1) in place.rows("people")
        return
    assert (counts.inserted, counts.updated, counts.rejected) == (4, 0, 1)
    assert reject_names(report, "people") == [(5, 5, ["id.exists"])]
    assert report.tables["people"].rejects[0].reasons[0].message == (
        "id 'p004' is in the database with other values: email 'other@', not '4@' (--on-conflict update replaces them)"
    )
    assert report.tables["people"].reasons == {"id.exists": 1}
    assert [reasons for *_, reasons in place.stored_rejects("people")] == [["id.exists"]]


def test_a_conflict_that_comes_between_two_commits_may_stop_the_run(place: Place, mode: str) -> None:
    with pytest.raises(
        ConflictError, match=r"table people holds id 'p004' with other values than .*people\.csv, line 5;"
    ):
        load(place, mode, {"people": people(1, 2, 3, 4)}, lambda: insert(place, "p004", "o@"), on_conflict="stop")
    assert [row[0] for row in place.rows("people")] == ["p001", "p002", "p004"]


def test_a_unique_value_that_is_taken_between_two_commits_is_another_rows(place: Place, mode: str) -> None:
    report = load(place, mode, {"people": people(1, 2, 3, 4, 5)}, lambda: insert(place, "other", "4@"))
    assert reject_names(report, "people") == [(5, 5, ["email.unique"])]
    assert report.tables["people"].rejects[0].reasons[0].message == "email '4@' is another row's already"
    assert report.tables["people"].counts.inserted == 4


def test_rows_of_another_table_that_come_between_two_commits_can_be_referenced(place: Place, mode: str) -> None:
    lines = [HEADER, "a,1@,7", "b,2@,8", "c,3@,7", "d,4@,9", "e,5@,1"]

    def act() -> None:
        place.query("towns", "INSERT INTO towns (id, name) VALUES (7, 'b'), (9, 'c')")

    report = load(place, mode, {"people": "\n".join(lines) + "\n"}, act)
    # When the first two were judged there was no town 7.
    assert reject_names(report, "people") == [(2, 2, ["town.exists_in"]), (3, 3, ["town.exists_in"])]
    assert [row[0] for row in place.rows("people")] == ["c", "d", "e"]


def test_rows_that_come_between_two_commits_can_be_looked_up(place: Place, mode: str) -> None:
    lines = ["id,email,town__name", "a,1@,a", "b,2@,b", "c,3@,b"]

    def act() -> None:
        place.query("towns", "INSERT INTO towns (id, name) VALUES (7, 'b')")

    report = load(place, mode, {"people": "\n".join(lines) + "\n"}, act)
    # When the second was judged there was no such town.
    assert reject_names(report, "people") == [(3, 3, ["town.exists_in"])]
    assert [row[0] for row in place.rows("people")] == ["a", "c"]


def test_rows_that_come_between_two_commits_can_be_matched(place: Place, mode: str) -> None:
    def act() -> None:
        insert(place, "p003", "3@")
        insert(place, "other", "4@")

    report = load(place, mode, {"people": people(1, 2, 3, 4, 5)}, act, match={"people": ("email",)})
    counts = report.tables["people"].counts
    assert (counts.inserted, counts.unchanged, counts.rejected) == (3, 1, 1)
    assert reject_names(report, "people") == [(5, 5, ["id.exists"])]


def test_what_was_met_is_met_again_where_the_run_is_resumed(place: Place, mode: str) -> None:
    class Killed(BaseException):
        pass

    paths = {"people": place.file("people.csv", people(1, 2, 3, 4, 5, 6, 7))}

    def started() -> Run:
        return Run(place.tables, paths, place.databases, Options(commit_every=2), mode=mode)

    def act() -> None:
        insert(place, "p003", "3@")
        insert(place, "p004", "o@")

    def kill() -> None:
        raise Killed

    others, end = after_commit(1, "people", act), after_commit(2, "people", kill)

    def watch(effect: Effect) -> None:
        others(effect)
        end(effect)

    with pytest.raises(Killed):
        perform(mode, started(), watch)
    report = started().perform()
    counts = report.tables["people"].counts
    assert report.resumed
    assert (counts.inserted, counts.unchanged, counts.rejected) == (5, 1, 1)
    assert reject_names(report, "people") == [(5, 5, ["id.exists"])]


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("on_conflict", ["reject", "update"])
def test_workers_meet_what_was_inserted_since_the_run_began(tmp_path: Path, store: Schemas, on_conflict: str) -> None:
    place = Place(tmp_path, (TOWNS, PEOPLE), store)
    place.query("towns", "INSERT INTO towns (id, name) VALUES (1, 'a')")
    # Without unique columns a source is several shares.
    things = Table("people", "people", (PEOPLE.columns[0], Column("email", Type.TEXT), PEOPLE.columns[2]))

    def act() -> None:
        insert(place, "p030", "30@")
        insert(place, "p031", "o@")

    DATABASES.update(place.databases)
    ACTS[:] = [(1, act)]
    run = Run(
        (TOWNS, things),
        {"people": place.file("people.csv", people(*range(1, 40)))},
        place.databases,
        Options(on_conflict=on_conflict),
        mode="dask",
        cluster=Cluster(workers=1, share_size=120, stores=LOCATED),
    )
    report = run.perform()
    counts = report.tables["people"].counts
    changed = on_conflict == "update"
    assert (counts.inserted, counts.updated, counts.unchanged, counts.rejected) == (37, changed, 1, not changed)
    assert report.tables["people"].reasons == ({} if changed else {"id.exists": 1})
    assert ACTS == []
