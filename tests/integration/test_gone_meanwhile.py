"""Other programs delete rows or whole files while a load goes on: nothing is kept that names what is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from async_loader import (
    Cluster,
    Column,
    Options,
    ReferenceCheck,
    Report,
    Run,
    StoreError,
    Type,
    each_value,
)
from async_loader.effects import Effect, Query
from tests.integration.meanwhile import (
    ACTS,
    DATABASES,
    HEADER,
    LINES,
    LOCATED,
    PEOPLE,
    TOWNS,
    after_commit,
    before_first_write,
    deleting,
    insert,
    person,
    place_with_a_town,
    started,
    towns,
)
from tests.integration.test_crashes import perform
from tests.sample import Place, reject_names
from tests.stores import Databases, Schemas


@pytest.fixture
def place(tmp_path: Path, store: Databases) -> Place:
    return place_with_a_town(tmp_path, store)


def test_a_load_keeps_nothing_that_names_what_was_deleted_meanwhile(place: Place, mode: str) -> None:
    towns(place, 2, 3, 4)
    run = started(place, mode, LINES)
    problem = "database towns: table towns: 2 rows of people would name in town what was deleted since the load began"
    with pytest.raises(StoreError, match=rf"^{problem}: 2 \(in people 'b', 'd'\); run the same command again,"):
        perform(mode, run, before_first_write("people", deleting(place, "towns", 2, 4)))
    assert (run.kept, place.rows("people"), place.stored_rejects("people")) == ("", [], [])
    report = started(place, mode, LINES).perform()
    assert reject_names(report, "people") == [(3, 3, ["town.exists_in"]), (5, 5, ["town.exists_in"])]
    assert [row[0] for row in place.rows("people")] == ["a", "c", "e"]


def test_rows_that_were_looked_up_are_looked_at_again(place: Place, mode: str) -> None:
    towns(place, 2, 3)
    run = started(place, mode, LINES, header="id,email,town__name")
    with pytest.raises(StoreError, match=r"deleted since the load began: 2 \(in people 'b', 'd'\)"):
        perform(mode, run, before_first_write("people", deleting(place, "towns", 2)))
    assert (run.kept, place.rows("people")) == ("", [])


def test_deletions_of_what_no_record_names_are_no_fault(place: Place, mode: str) -> None:
    """Rows that were orphans before the load are none of its own."""
    towns(place, 2, 3, 4, 5)
    insert(place, "z", "z@", 5)

    def act() -> None:
        deleting(place, "towns", 4, 5)()
        towns(place, 6)

    run = started(place, mode, LINES)
    perform(mode, run, before_first_write("people", act))
    assert (run.is_kept, len(place.rows("people"))) == (True, 6)


def test_checkpoints_stop_where_what_they_name_was_deleted(place: Place, mode: str) -> None:
    towns(place, 2, 3)
    run = started(place, mode, LINES, commit_every=2)
    # SQLite says at every commit whether its file has changed; PostgreSQL is asked at the end.
    at_once = place.kind("towns") == "sqlite"
    problem = r"what was deleted .*: 2 \(in people 'b', 'd'\); check_references lists those of them that are kept;"
    with pytest.raises(StoreError, match=problem):
        perform(mode, run, after_commit(1, "people", deleting(place, "towns", 2)))
    assert run.kept == f"table people up to record {2 if at_once else 4}"
    checked = ReferenceCheck(place.tables, place.databases).perform()
    assert checked.tables["people"].rejected == (1 if at_once else 2)
    place.query("people", "DELETE FROM people WHERE town = 2")
    report = started(place, mode, LINES, commit_every=2).perform()
    assert report.resumed
    assert [row[0] for row in place.rows("people")] == ["a", "c", "e"]


@pytest.mark.only("sqlite")
def test_what_is_deleted_between_two_commits_of_a_run_is_seen(place: Place, mode: str) -> None:
    paths = {
        "towns": place.file("towns.csv", "id,name\n2,b\n3,c\n"),
        "people": place.file("people.csv", "\n".join([HEADER, *LINES]) + "\n"),
    }

    def run() -> Run:
        return Run(place.tables, paths, place.databases, Options(), mode=mode)

    first = run()
    with pytest.raises(StoreError, match=r"deleted since the load began: 3 \(in people 'c'\)"):
        perform(mode, first, after_commit(1, "towns", deleting(place, "towns", 3)))
    assert (first.kept, place.rows("people")) == ("towns", [])
    report = run().perform()
    assert (report.resumed, reject_names(report, "people")) == (True, [(4, 4, ["town.exists_in"])])


@pytest.mark.only("sqlite")
def test_a_load_that_nothing_disturbs_asks_for_no_key_twice(place: Place, mode: str) -> None:
    towns(place, 2, 3)
    asked: list[str] = []

    def note(effect: Effect) -> None:
        if isinstance(effect, Query) and '"towns"' in effect.sql:
            asked.append(effect.sql)

    run = started(place, mode, LINES)
    perform(mode, run, note)
    assert run.is_kept
    assert len([sql for sql in asked if "BETWEEN" in sql or "EXISTS" in sql]) == 1


def act_at_last(email: str) -> bool:
    """Hold for every value, and act when the last record is judged, whose references are resolved by then."""
    if email == "39@" and ACTS:
        ACTS.pop()[1]()
    return True


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("header", [HEADER, "id,email,town__name"])
def test_workers_keep_no_share_that_names_what_was_deleted_meanwhile(
    tmp_path: Path, store: Schemas, header: str
) -> None:
    place = Place(tmp_path, (TOWNS, PEOPLE), store)
    towns(place, 1, 2)
    things = replace(
        PEOPLE,
        columns=(PEOPLE.columns[0], Column("email", Type.TEXT), PEOPLE.columns[2]),
        rules=(each_value("email", "acts", "acts", act_at_last),),
    )
    lines = [f"{person(number)},{number}@,{1 + number // 38}" for number in range(40)]
    path = place.file("people.csv", "\n".join([header, *lines]) + "\n")
    DATABASES.update(place.databases)

    def load() -> Report:
        cluster = Cluster(workers=1, share_size=120, stores=LOCATED)
        return Run((TOWNS, things), {"people": path}, place.databases, mode="dask", cluster=cluster).perform()

    ACTS[:] = [(9, deleting(place, "towns", 2))]
    with pytest.raises(StoreError, match=r"rows? of people would name in town what was deleted since .*: 2 \(in "):
        load()
    assert place.query("people", "SELECT * FROM people WHERE town = 2") == []
    report = load()
    assert report.resumed
    assert report.tables["people"].reasons == {"town.exists_in": 2}
    assert len(place.rows("people")) == 38


# What becomes of files while a load goes on.

SOURCES = {"towns": "id,name\n2,b\n3,c\n", "people": "\n".join([HEADER, *LINES[1:3]]) + "\n"}


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("commit_every", [0, 100])
@pytest.mark.parametrize("fate", ["deleted", "moved", "replaced"])
def test_nothing_is_committed_once_a_database_that_is_committed_is_gone(
    place: Place, mode: str, fate: str, commit_every: int
) -> None:
    paths = {table: place.file(f"{table}.csv", content) for table, content in SOURCES.items()}
    file = place.files["towns"]

    def act() -> None:
        if fate == "moved":
            file.rename(file.with_suffix(".old"))
        else:
            file.unlink()
        if fate == "replaced":
            file.write_bytes(b"")

    run = Run(place.tables, paths, place.databases, Options(commit_every=commit_every), mode=mode)
    with pytest.raises(
        StoreError, match=r"^database towns: its file was moved, replaced or deleted while it was in use"
    ):
        perform(mode, run, after_commit(1, "towns", act))
    assert place.rows("people") == []
    assert not run.is_kept


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("commit_every", [0, 100])
def test_a_database_that_is_gone_after_the_last_commit_is_reported(place: Place, mode: str, commit_every: int) -> None:
    paths = {table: place.file(f"{table}.csv", content) for table, content in SOURCES.items()}
    file = place.files["towns"]
    run = Run(place.tables, paths, place.databases, Options(commit_every=commit_every), mode=mode)
    with pytest.raises(
        StoreError, match=r"^database towns: its file was moved, replaced or deleted while it was in use"
    ):
        perform(mode, run, after_commit(1, "people", file.unlink))
    assert len(place.rows("people")) == 2
