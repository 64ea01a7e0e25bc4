"""Other programs write while a load goes on: what they insert is met as if it had been there before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_loader import (
    Cluster,
    Column,
    ConflictError,
    Options,
    Reference,
    ReferenceCheck,
    Report,
    Run,
    StoreError,
    Table,
    Type,
    each_value,
)
from async_loader.effects import Change, Effect, Query
from tests.integration.test_crashes import perform
from tests.sample import Place, reject_names
from tests.stores import Databases, Schemas

TOWNS = Table("towns", "towns", (Column("id", Type.INTEGER), Column("name", Type.TEXT)))
PEOPLE = Table(
    "people",
    "people",
    (Column("id", Type.TEXT), Column("email", Type.TEXT, unique=True), Column("town", Type.INTEGER)),
    references=(Reference("town", "towns", name="town"),),
)
HEADER = "id,email,town"


def person(number: int) -> str:
    return f"p{number:03d}"


def people(*numbers: int) -> str:
    return "\n".join([HEADER, *(f"{person(number)},{number}@,1" for number in numbers)]) + "\n"


def insert(place: Place, key: str, email: str, town: int = 1) -> None:
    place.query("people", "INSERT INTO people (id, email, town) VALUES (?, ?, ?)", (key, email, town))


def after_commit(number: int, database: str, act: Callable[[], None]) -> Callable[[Effect], None]:
    """Call a function once, after a database's commit of this number and before the next transaction begins."""
    commits = 0
    acted = False

    def watch(effect: Effect) -> None:
        nonlocal commits, acted
        if commits == number and not acted:
            acted = True
            act()
        commits += isinstance(effect, Change) and effect.sql == "COMMIT" and effect.database == database

    return watch


def load(place: Place, mode: str, sources: dict[str, str], act: Callable[[], None], **options: Any) -> Report:
    """Load two records per transaction; after the first one of people another program acts."""
    paths = {table: place.file(f"{table}.csv", content) for table, content in sources.items()}
    run = Run(place.tables, paths, place.databases, Options(commit_every=2, **options), mode=mode)
    perform(mode, run, after_commit(1, "people", act))
    return run.report("complete")


@pytest.fixture
def place(tmp_path: Path, store: Databases) -> Place:
    place = Place(tmp_path, (TOWNS, PEOPLE), store)
    place.query("towns", "INSERT INTO towns (id, name) VALUES (1, 'a')")
    return place


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
    assert report.tables["people"].rejects[0].reasons[0].message == "id 'p004' is in the database with other values"
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


# What workers of a run's own call, in threads of this process: first it acts, once, when the second share begins.
ACTS: list[tuple[int, Callable[[], None]]] = []
DATABASES: dict[str, Any] = {}


def located(name: str) -> Any:
    if name == "people" and ACTS:
        left, act = ACTS.pop()
        if left:
            ACTS.append((left - 1, act))
        else:
            act()
    return DATABASES[name]


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
        cluster=Cluster(workers=1, share_size=120, stores=f"{__name__}:located"),
    )
    report = run.perform()
    counts = report.tables["people"].counts
    changed = on_conflict == "update"
    assert (counts.inserted, counts.updated, counts.unchanged, counts.rejected) == (37, changed, 1, not changed)
    assert report.tables["people"].reasons == ({} if changed else {"id.exists": 1})
    assert ACTS == []


# What other programs delete while a load goes on.


def deleting(place: Place, table: str, *keys: Any) -> Callable[[], None]:
    def act() -> None:
        for key in keys:
            place.query(table, f"DELETE FROM {table} WHERE id = ?", (key,))

    return act


def before_first_write(database: str, act: Callable[[], None]) -> Callable[[Effect], None]:
    """Call a function before the first batch is written."""
    waiting = True

    def watch(effect: Effect) -> None:
        nonlocal waiting
        if waiting and isinstance(effect, Change) and effect.database == database and effect.batch is not None:
            waiting = False
            act()

    return watch


def towns(place: Place, *numbers: int) -> None:
    for number in numbers:
        place.query("towns", "INSERT INTO towns (id, name) VALUES (?, ?)", (number, str(number)))


def started(place: Place, mode: str, lines: list[str], header: str = HEADER, **options: Any) -> Run:
    path = place.directory / "people.csv"
    if not path.exists():
        place.file("people.csv", "\n".join([header, *lines]) + "\n")
    return Run(place.tables, {"people": str(path)}, place.databases, Options(batch_size=2, **options), mode=mode)


LINES = ["a,1@,1", "b,2@,2", "c,3@,3", "d,4@,2", "e,5@,1"]


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
        cluster = Cluster(workers=1, share_size=120, stores=f"{__name__}:located")
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
