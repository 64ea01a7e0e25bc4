"""A table that references itself: children may come before their parents, in every mode and store."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader import (
    Column,
    ConfigurationError,
    Reference,
    RejectFilter,
    Retry,
    StoreError,
    Table,
    Type,
    not_empty,
)
from tests.sample import Place, comparable, reject_names
from tests.stores import Databases, examples
from tests.tiers import amounts

ID = Column("id", Type.INTEGER)
STAFF = Table(
    "staff",
    "users",
    (
        ID,
        Column("name", Type.TEXT),
        Column("manager_id", Type.INTEGER, nullable=True, default=None),
        Column("deputy_id", Type.INTEGER, nullable=True, default=None),
    ),
    rules=(not_empty("name"),),
    references=(Reference("manager_id", "staff", name="manager"), Reference("deputy_id", "staff", name="deputy")),
)
# Records that know no keys: a name finds its row, and managers are looked up by name.
NAMED = replace(
    STAFF,
    columns=(replace(ID, generated=True), Column("name", Type.TEXT, unique=True), *STAFF.columns[2:]),
    match=("name",),
)
FOREIGN = "INTEGER REFERENCES staff (id) DEFERRABLE INITIALLY DEFERRED"
HELD = f"CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT, manager_id {FOREIGN}, deputy_id {FOREIGN})"

Row = tuple[int, str, int | None, int | None]
LOST = "manager_id 2 {}: its record, line 3, {}"
GONE = "manager_id 9 does not exist in staff"


def text_of(rows: Sequence[Sequence[Any]], header: str = "id,name,manager_id,deputy_id") -> str:
    lines = (",".join("" if value is None else str(value) for value in row) for row in rows)
    return "\n".join([header, *lines, ""])


def place_of(directory: Path, store: Databases, declaration: str = HELD, table: Table = STAFF) -> Place:
    """Return a database whose table has foreign keys, as its user has declared them."""
    place = Place(directory, (table,), store)
    place.query("users", "DROP TABLE staff")
    place.query("users", declaration)
    return place


def messages(place: Place) -> list[tuple[int, str]]:
    rows = place.query("users", "SELECT line, reasons FROM loader_rejects ORDER BY line")
    import json

    return [(line, reason["message"]) for line, reasons in rows for reason in json.loads(reasons)]


def test_children_come_before_their_parents(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_of(tmp_path, store)
    rows = [(1, "a", 2, None), (2, "b", 3, 4), (3, "c", None, 1), (4, "d", None, None)]
    report = place.load(mode, {"staff": place.file("staff.csv", text_of(rows))}, batch_size=1)
    assert report.tables["staff"].inserted == 4
    assert place.rows("staff") == rows
    again = place.load(mode, {"staff": str(tmp_path / "staff.csv")})
    assert again.tables["staff"].unchanged == 4


@pytest.mark.parametrize("batch_size", [1, 100])
def test_what_descends_from_a_reject_is_rejected_with_its_parent_named(
    tmp_path: Path, store: Databases, *, mode: str, batch_size: int
) -> None:
    place = place_of(tmp_path, store)
    rows: list[Any] = [(1, "a", 2, None), (2, "b", 9, None), (3, "", None, None), (4, "d", 3, 1), (5, "e", 6, None)]
    report = place.load(
        mode, {"staff": place.file("staff.csv", text_of([*rows, (6, "f", 6, 5)]))}, batch_size=batch_size
    )
    assert place.rows("staff") == [(5, "e", 6, None), (6, "f", 6, 5)]
    assert messages(place) == [
        (2, "manager_id 2 does not exist in staff: its record, line 3, was rejected"),
        (3, GONE),
        (4, "name must not be empty"),
        (5, "manager_id 3 does not exist in staff: its record, line 4, was rejected"),
        (5, "deputy_id 1 does not exist in staff: its record, line 2, was rejected"),
    ]
    assert report.tables["staff"].reasons == {"manager_id.exists_in": 3, "name.not_empty": 1, "deputy_id.exists_in": 1}


def test_a_circle_is_stored_also_where_its_constraint_cannot_wait(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_of(tmp_path, store, HELD.replace(" DEFERRABLE INITIALLY DEFERRED", ""))
    rows = [(1, "a", 2, None), (2, "b", 3, None), (3, "c", 1, None), (4, "d", 4, 3), (5, "e", None, None)]
    report = place.load(mode, {"staff": place.file("staff.csv", text_of(rows))}, batch_size=2)
    assert (report.tables["staff"].inserted, place.rows("staff")) == (5, rows)


def refusing(place: Place) -> None:
    """Make the database itself refuse records that are called no."""
    if place.kind("users") == "sqlite":
        place.query(
            "users",
            "CREATE TRIGGER guard AFTER INSERT ON staff WHEN NEW.name = 'no' BEGIN SELECT RAISE(ABORT, 'not no'); END",
        )
        return
    place.query("users", "ALTER TABLE staff ADD CONSTRAINT guard CHECK (name <> 'no')")


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_what_descends_from_a_record_that_the_database_refuses_goes_with_it(
    tmp_path: Path, store: Databases, *, mode: str, batch_size: int
) -> None:
    place = place_of(tmp_path, store)
    refusing(place)
    rows: list[Any] = [
        (1, "a", None, None),
        (2, "no", 1, None),
        (3, "c", 2, None),
        (4, "d", 3, 1),
        (5, "e", 1, None),
        (6, "f", 7, None),
        (7, "no", 6, None),
        (8, "h", 10, 5),
        (9, "i", 2, None),
        (10, "j", 8, None),
    ]
    report = place.load(mode, {"staff": place.file("staff.csv", text_of(rows))}, batch_size=batch_size)
    assert [row[0] for row in place.rows("staff")] == [1, 5, 8, 10]
    assert report.tables["staff"].rejected == 6
    lost = {4: "manager_id 2 {}: its record, line 3, {}", 5: "manager_id 3 {}: its record, line 4, {}", 10: LOST}
    said = dict(messages(place))
    assert {line: said[line] for line in lost} == {
        line: text.format("does not exist in staff", "was rejected") for line, text in lost.items()
    }
    assert said.keys() == {3, 4, 5, 7, 8, 10}


@pytest.mark.parametrize("commit_every", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_a_parent_that_the_database_refuses_is_named_whenever_its_child_is_judged(
    tmp_path: Path, store: Databases, *, mode: str, batch_size: int, commit_every: int
) -> None:
    place = place_of(tmp_path, store)
    refusing(place)
    rows: list[Any] = [
        (1, "no", None, None),
        (2, "b", 1, None),
        # As its parent was accepted at first, so was the record of key 2, and this one has its key.
        (2, "b", None, None),
        (3, "", 1, None),
        (4, "d", 1, 9),
        (5, "e", 2, 1),
    ]
    options = {"batch_size": batch_size, "commit_every": commit_every}
    place.load(mode, {"staff": place.file("1.csv", text_of(rows))}, **options)
    parent = "manager_id 1 does not exist in staff: its record, line 2, was rejected"
    assert messages(place)[1:] == [
        (3, parent),
        (4, "id 2 appears earlier in this run"),
        (5, "name must not be empty"),
        (6, "deputy_id 9 does not exist in staff"),
        (7, "manager_id 2 does not exist in staff: its record, line 3, was rejected"),
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_a_parent_that_is_looked_up_and_refused_is_named_as_it_was_given(
    tmp_path: Path, store: Databases, *, mode: str, batch_size: int
) -> None:
    place = Place(tmp_path, (NAMED,), store)
    refusing(place)
    rows = [("ann", "no", ""), ("no", "", ""), ("bob", "ann", ""), ("cid", "", "no"), ("dan", "", "")]
    place.load(mode, {"staff": place.file("1.csv", text_of(rows, BY_NAME))}, batch_size=batch_size)
    assert messages(place)[:1] + messages(place)[2:] == [
        (2, "manager__name 'no' does not exist in staff: its record, line 3, was rejected"),
        (4, "manager__name 'ann' does not exist in staff: its record, line 2, was rejected"),
        (5, "deputy__name 'no' does not exist in staff: its record, line 3, was rejected"),
    ]
    assert [row[1] for row in place.rows("staff")] == ["dan"]


CODED = Table(
    "staff",
    "users",
    (ID, Column("name", Type.TEXT, unique=True), Column("manager_id", Type.INTEGER, nullable=True, default=None)),
    references=(Reference("manager_id", "staff"),),
)
CODES = "CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT UNIQUE, manager_id INTEGER)"
EXCHANGE = "id,name,manager_id\n1,b,{}\n2,a,\n4,no,{}\n5,e,4\n7,g,\n"


def exchanging(directory: Path, store: Databases) -> Place:
    """Return a database with two rows, which refuses records that are called no, and has no foreign keys of its own."""
    place = place_of(directory, store, CODES, CODED)
    place.query("users", "INSERT INTO staff VALUES (1, 'a', NULL), (2, 'b', NULL)")
    refusing(place)
    return place


@pytest.mark.parametrize("batch_size", [1, 100])
def test_what_exchanges_values_and_names_a_refused_parent_is_rejected(
    tmp_path: Path, store: Databases, *, mode: str, batch_size: int
) -> None:
    place = exchanging(tmp_path, store)
    source = {"staff": place.file("1.csv", EXCHANGE.format("", ""))}
    report = place.load(mode, source, on_conflict="update", batch_size=batch_size)
    assert (report.tables["staff"].updated, report.tables["staff"].rejected) == (2, 2)
    assert place.rows("staff") == [(1, "b", None), (2, "a", None), (7, "g", None)]
    assert "its record, line 4, was rejected" in dict(messages(place))[5]


def test_what_exchanges_values_with_a_child_of_a_refused_record_is_never_stored_without_it(
    tmp_path: Path, store: Databases, mode: str
) -> None:
    place = exchanging(tmp_path, store)
    before = place.rows("staff")
    source = {"staff": place.file("1.csv", EXCHANGE.format("4", "7"))}
    with pytest.raises(StoreError, match="the database refused the record that 1 names; rows that exchange unique"):
        place.load(mode, source, on_conflict="update")
    assert place.rows("staff") == before
    # As the parent is refused before, it is known when the others are judged.
    place.load(mode, {"staff": place.file("2.csv", EXCHANGE.format("4", ""))}, on_conflict="update", batch_size=1)
    assert place.rows("staff") == [*before, (7, "g", None)]


def oracle(stored: dict[int, Row], records: Sequence[Row], *, updates: bool) -> dict[int, int]:
    """Return by key the place of each record that is accepted: as many as possible, of each key the first."""
    left = {
        place
        for place, row in enumerate(records)
        if row[1] and (updates or row[0] not in stored or stored[row[0]] == row)
    }
    while True:
        known = {None, *stored, *(records[place][0] for place in left)}
        gone = {place for place in left if not known.issuperset(records[place][2:])}
        if not gone:
            break
        left -= gone
    accepted: dict[int, int] = {}
    for place in sorted(left):
        accepted.setdefault(records[place][0], place)
    return accepted


KEYS = st.integers(1, 7)
RECORDS = st.lists(
    st.tuples(
        KEYS, st.sampled_from(["", "a", "b"]), st.none() | KEYS | st.integers(1, 9), st.none() | st.integers(1, 8)
    ),
    max_size=14,
)


@amounts(15, 40)
@pytest.mark.parametrize("on_conflict", ["reject", "update"])
def test_records_in_any_order_are_what_the_plain_way_accepts(
    store: Databases, *, mode: str, on_conflict: str, amount: int
) -> None:
    @examples(amount, store)
    @given(RECORDS, RECORDS, st.sampled_from([1, 2, 3, 100]), st.sampled_from([0, 1, 3]))
    def check(first: list[Row], second: list[Row], batch_size: int, commit_every: int) -> None:
        with tempfile.TemporaryDirectory() as directory:
            place = place_of(Path(directory), store)
            stored: dict[int, Row] = {}
            for number, records in enumerate([first, second]):
                accepted = oracle(stored, records, updates=on_conflict == "update")
                report = place.load(
                    mode,
                    {"staff": place.file(f"{number}.csv", text_of(records))},
                    batch_size=batch_size,
                    commit_every=commit_every,
                    on_conflict=on_conflict,
                )
                table = report.tables["staff"]
                assert table.given == len(records)
                assert table.rejected == len(records) - len(accepted)
                assert table.inserted == len(accepted.keys() - stored.keys())
                stored |= {key: records[place] for key, place in accepted.items()}
                assert place.rows("staff") == sorted(stored.values())
            store.tidy()

    check()


NAMES = [("ann", "bob", ""), ("bob", "cid", "ann"), ("cid", "", ""), ("dan", "eve", ""), ("eve", "dan", "cid")]
BY_NAME = "name,manager__name,deputy__name"
WHO = """SELECT staff.name, manager.name, deputy.name FROM staff
    LEFT JOIN staff AS manager ON manager.id = staff.manager_id
    LEFT JOIN staff AS deputy ON deputy.id = staff.deputy_id ORDER BY 1"""


def plain(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(value or None for value in row) for row in rows)


@pytest.mark.parametrize("commit_every", [0, 2])
def test_parents_without_keys_are_looked_up(tmp_path: Path, store: Databases, *, mode: str, commit_every: int) -> None:
    place = Place(tmp_path, (NAMED,), store)
    bad = [("fay", "gil", ""), ("gil", "nemo", ""), ("hal", "ann", "fay")]
    source = {"staff": place.file("staff.csv", text_of([*NAMES, *bad], BY_NAME))}
    report = place.load(mode, source, batch_size=2, commit_every=commit_every)
    assert place.query("users", WHO) == plain(NAMES)
    assert report.tables["staff"].rejected == 3
    assert messages(place) == [
        (7, "manager__name 'gil' does not exist in staff: its record, line 8, was rejected"),
        (8, "manager__name 'nemo' does not exist in staff"),
        (9, "deputy__name 'fay' does not exist in staff: its record, line 7, was rejected"),
    ]
    moved = [("ann", "zoe", "eve"), ("zoe", "bob", ""), ("eve", "dan", "cid"), ("bob", "", "")]
    changes = {"staff": place.file("moved.csv", text_of(moved, BY_NAME))}
    report = place.load(mode, changes, on_conflict="update", batch_size=1, commit_every=commit_every)
    table = report.tables["staff"]
    assert (table.inserted, table.updated, table.unchanged) == (1, 2, 1)
    assert place.query("users", WHO) == plain([*moved, NAMES[2], NAMES[3]])
    again = place.load(mode, changes, on_conflict="update")
    assert again.tables["staff"].unchanged == 4


def test_names_that_move_between_rows_are_looked_up_as_they_end(tmp_path: Path, store: Databases, mode: str) -> None:
    table = replace(NAMED, match=(), columns=(ID, *NAMED.columns[1:]))
    place = Place(tmp_path, (table,), store)
    place.load(mode, {"staff": place.file("1.csv", "id,name,manager_id\n1,ann,\n2,bob,\n3,cid,1\n")})
    # 2 is ann at the end, and no row is called bob.
    source = "id,name,manager__name\n3,cid,ann\n4,dan,bob\n1,eve,\n2,ann,eve\n"
    report = place.load(mode, {"staff": place.file("2.csv", source)}, on_conflict="update", batch_size=1)
    assert [row[:3] for row in place.rows("staff")] == [(1, "eve", None), (2, "ann", 1), (3, "cid", 2)]
    assert reject_names(report, "staff") == [(3, 3, ["manager_id.exists_in"])]


def test_a_name_of_several_rows_is_ambiguous(tmp_path: Path, store: Databases, mode: str) -> None:
    table = replace(NAMED, match=(), append=True, columns=(NAMED.columns[0], *STAFF.columns[1:]))
    place = Place(tmp_path, (table,), store)
    source = "name,manager__name\na,b\nb,\nc,a\nb,\nd,c\n"
    report = place.load(mode, {"staff": place.file("1.csv", source)}, batch_size=2)
    assert reject_names(report, "staff") == [
        (2, 2, ["manager_id.ambiguous"]),
        (4, 4, ["manager_id.exists_in"]),
        (6, 6, ["manager_id.exists_in"]),
    ]


def test_a_column_that_is_unique_is_referenced_as_well(tmp_path: Path, store: Databases, mode: str) -> None:
    table = Table(
        "staff",
        "users",
        (ID, Column("code", Type.TEXT, unique=True), Column("boss", Type.TEXT, nullable=True, default=None)),
        references=(Reference("boss", "staff", name="boss", to="code"),),
    )
    place = Place(tmp_path, (table,), store)
    source = "id,code,boss\n1,a,b\n2,b,c\n3,c,\n4,d,e\n5,e,z\n6,f,f\n"
    report = place.load(mode, {"staff": place.file("1.csv", source)}, batch_size=2)
    assert [row[1:] for row in place.rows("staff")] == [("a", "b"), ("b", "c"), ("c", None), ("f", "f")]
    assert reject_names(report, "staff") == [(5, 5, ["boss.exists_in"]), (6, 6, ["boss.exists_in"])]


def test_parents_are_no_match_columns_where_they_are_looked_up(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (replace(NAMED, match=("name", "manager_id")),), store)
    with pytest.raises(ConfigurationError, match="match by other columns, or give its keys"):
        place.load(mode, {"staff": place.file("1.csv", "name,manager__name\na,b\n")})


def test_a_dry_run_says_what_a_load_would(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (NAMED,), store)
    bad = [("fay", "gil", ""), ("gil", "nemo", "")]
    source = {"staff": place.file("staff.csv", text_of([*NAMES, *bad], BY_NAME))}
    dry = place.load(mode, source, batch_size=2, dry_run=True)
    assert place.rows("staff") == []
    said, done = comparable(dry), comparable(place.load(mode, source, batch_size=2))
    assert said["tables"] == done["tables"]


def test_a_mended_parent_brings_its_children_along(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_of(tmp_path, store)
    source = {"staff": place.file("1.csv", text_of([(1, "a", 2, None), (2, "b", 3, None)]))}
    assert place.load(mode, source).tables["staff"].rejected == 2
    place.load(mode, {"staff": place.file("2.csv", text_of([(3, "c", None, None)]))})
    Retry(place.tables, RejectFilter(), place.databases, mode=mode).perform()
    assert [row[0] for row in place.rows("staff")] == [1, 2, 3]
    assert place.stored_rejects("staff") == []


def test_a_chain_of_many_levels_is_stored_from_its_end(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_of(tmp_path, store)
    size = 3000
    rows = [(key, "n", key + 1 if key < size else None, None) for key in range(1, size + 1)]
    report = place.load(mode, {"staff": place.file("1.csv", text_of(rows))}, batch_size=500)
    assert report.tables["staff"].inserted == size
    lost = [(key + size, "n", key + size + 1, None) for key in range(1, size + 1)]
    report = place.load(mode, {"staff": place.file("2.csv", text_of(lost))}, batch_size=500)
    assert report.tables["staff"].rejected == size


def test_a_row_that_a_waiting_record_differs_from_is_shown(tmp_path: Path, store: Databases, mode: str) -> None:
    place = place_of(tmp_path, store)
    place.load(mode, {"staff": place.file("1.csv", text_of([(1, "a", None, None), (2, "b", None, None)]))})
    rows = [(3, "c", None, None), (1, "a", 3, None), (5, "e", 1, None), (2, "b", 4, None), (4, "d", None, None)]
    place.load(mode, {"staff": place.file("2.csv", text_of(rows))})
    shown = dict(messages(place))
    assert shown.keys() == {3, 5}
    assert "manager_id null, not 3" in shown[3], shown
    assert "manager_id null, not 4" in shown[5], shown


def test_no_new_row_gets_the_key_of_a_record_that_waits(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (NAMED,), store)
    lines = [
        '{"id": 2, "name": "ann", "manager__name": "zoe"}',
        '{"name": "bob", "manager__name": null}',
        '{"name": "cid", "manager__name": null}',
        '{"name": "zoe", "manager__name": "bob"}',
    ]
    source = {"staff": place.file("staff.jsonl", "\n".join([*lines, ""]))}
    for wanted in ("inserted", "unchanged"):
        report = place.load(mode, source, batch_size=1)
        assert getattr(report.tables["staff"], wanted) == 4
        assert place.query("users", WHO) == plain(
            [("ann", "zoe", ""), ("bob", "", ""), ("cid", "", ""), ("zoe", "bob", "")]
        )
        assert place.query("users", "SELECT name FROM staff WHERE id = 2") == [("ann",)]
