"""Foreign keys that tables have in their databases are references as any other, also of tables declared without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from async_loader import Column, Reference, StoreError, Table, Type
from tests.sample import Place
from tests.stores import Databases

THINGS = Table("things", "things", (Column("id", Type.INTEGER), Column("parent", Type.INTEGER, nullable=True)))
PARENTS = Table("parents", "things", (Column("id", Type.INTEGER),))
# A key of two columns, which is no reference.
OF_TWO = ", UNIQUE (id, parent), FOREIGN KEY (parent, id) REFERENCES things (id, parent)"
WAITING = pytest.mark.parametrize("waiting", ["", "DEFERRABLE INITIALLY DEFERRED"], ids=["at once", "at the commit"])


def place_with(directory: Path, store: Databases, declaration: str, *tables: Table) -> Place:
    """Return a place where `things` has a column `parent` of that declaration."""
    place = Place(directory, (THINGS, *tables), store=store)
    place.query("things", "DROP TABLE things")
    if not tables:
        place.query("things", "CREATE TABLE parents (id bigint PRIMARY KEY, code bigint UNIQUE)")
        place.query("things", "INSERT INTO parents VALUES (1, 10), (2, 20)")
    place.query("things", f"CREATE TABLE things (id bigint PRIMARY KEY, parent bigint {declaration})")
    return place


def reasons_of(place: Place) -> list[tuple[int, list[str]]]:
    """Return line and reasons of all stored rejects."""
    return [(line, reasons) for line, _, _, reasons in place.stored_rejects("things")]


@WAITING
def test_a_record_that_names_a_row_which_is_not_there_is_rejected(
    tmp_path: Path, store: Databases, mode: str, waiting: str
) -> None:
    place = place_with(tmp_path, store, f"REFERENCES parents (id) {waiting}")
    report = place.load(mode, {"things": place.file("t.csv", "id,parent\n1,1\n2,3\n3,\n4,2\n")}, batch_size=2)
    assert report.tables["things"].reasons == {"parent.exists_in": 1}
    assert reasons_of(place) == [(3, ["parent.exists_in"])]
    assert place.rows("things") == [(1, 1), (3, None), (4, 2)]


def test_a_key_that_is_not_the_primary_one_is_referenced_as_well(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_with(tmp_path, store, "REFERENCES parents (code)")
    place.load(mode, {"things": place.file("t.csv", "id,parent\n1,1\n2,10\n")})
    assert reasons_of(place) == [(2, ["parent.exists_in"])]
    assert place.rows("things") == [(2, 10)]


def test_a_table_that_is_loaded_in_the_same_run_comes_first(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_with(tmp_path, store, "REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED", PARENTS)
    parents = place.file("p.csv", "id\n1\nx\n2\n")
    things = place.file("t.csv", "id,parent\n1,2\n2,3\n3,1\n")
    place.load(mode, {"things": things, "parents": parents}, batch_size=1)
    assert reasons_of(place)[-1] == (3, ["parent.exists_in"])
    assert place.rows("things") == [(1, 2), (3, 1)]


def test_a_dry_run_says_the_same(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_with(tmp_path, store, "REFERENCES parents (id)")
    report = place.load(mode, {"things": place.file("t.csv", "id,parent\n1,1\n2,3\n")}, dry_run=True)
    assert report.tables["things"].reasons == {"parent.exists_in": 1}
    assert place.rows("things") == []


def test_what_cannot_be_a_reference_is_refused_by_the_database(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_with(tmp_path, store, OF_TWO)
    place.load(mode, {"things": place.file("t.csv", "id,parent\n1,\n2,2\n3,9\n")}, batch_size=1)
    assert reasons_of(place) == [(4, ["refused"])]
    assert place.rows("things") == [(1, None), (2, 2)]


@pytest.mark.only("sqlite")
def test_one_that_waits_for_the_commit_fails_the_run_in_one_line(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_with(tmp_path, store, f"{OF_TWO} DEFERRABLE INITIALLY DEFERRED")
    with pytest.raises(StoreError, match="table things: row 2 references a row of things that is not there"):
        place.load(mode, {"things": place.file("t.csv", "id,parent\n1,\n2,9\n")})
    assert place.rows("things") == []


@pytest.mark.only("sqlite")
def test_then_no_other_database_is_committed_either(tmp_path: Path, store: Databases, mode: str) -> None:
    referencing = replace(THINGS, references=(Reference("id", "parents"),))
    elsewhere = replace(PARENTS, database="parents")
    place = place_with(tmp_path, store, f"{OF_TWO} DEFERRABLE INITIALLY DEFERRED", elsewhere)
    place.tables = (elsewhere, referencing)
    sources = {"parents": place.file("p.csv", "id\n1\n2\n"), "things": place.file("t.csv", "id,parent\n1,\n2,9\n")}
    with pytest.raises(StoreError, match="table things: row 2 references a row of things that is not there"):
        place.load(mode, sources)
    assert (place.rows("parents"), place.rows("things")) == ([], [])


@pytest.mark.only("sqlite")
def test_rows_that_broke_a_foreign_key_before_bar_no_load(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_with(tmp_path, store, f"{OF_TWO} DEFERRABLE INITIALLY DEFERRED")
    place.query("things", "INSERT INTO things VALUES (7, 70)")
    place.load(mode, {"things": place.file("t.csv", "id,parent\n1,2\n2,1\n")})
    assert place.rows("things") == [(1, 2), (2, 1), (7, 70)]


@pytest.mark.only("sqlite")
def test_one_to_a_table_of_another_database_is_one_line(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_with(tmp_path, store, "REFERENCES elsewhere (id)")
    with pytest.raises(StoreError, match="column parent is a foreign key to elsewhere, which is not in this database"):
        place.load(mode, {"things": place.file("t.csv", "id,parent\n1,\n")})
