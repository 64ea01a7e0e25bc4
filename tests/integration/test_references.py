"""Rows that reference what does not exist are found, all of them and no other."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_loader import (
    Column,
    ConfigurationError,
    Orphan,
    Reference,
    ReferenceCheck,
    ReferenceReport,
    Show,
    StoreError,
    Table,
    Tell,
    Type,
    check_references,
)
from async_loader.checks import references
from tests.sample import Place, reject_names
from tests.stores import Databases, examples
from tests.tiers import amounts

# Two databases; children in one with the places, and another table of it whose key is text.
CITIES = Table("cities", "places", (Column("id", Type.INTEGER), Column("name", Type.TEXT, nullable=True)))
WORDS = Table("words", "texts", (Column("word", Type.TEXT),), key="word")
VISITS = Table(
    "visits",
    "places",
    (
        Column("id", Type.INTEGER),
        Column("city", Type.INTEGER, nullable=True),
        Column("word", Type.TEXT, nullable=True),
        Column("next", Type.INTEGER, nullable=True),
    ),
    references=(Reference("city", "cities"), Reference("word", "words"), Reference("next", "cities")),
)
NOTES = Table(
    "notes",
    "places",
    (
        Column("title", Type.TEXT),
        Column("visit", Type.INTEGER, nullable=True),
        Column("word", Type.TEXT, nullable=True),
    ),
    key="title",
    references=(Reference("visit", "visits"), Reference("word", "words")),
)
TABLES = (CITIES, WORDS, VISITS, NOTES)
World = dict[str, dict[Any, Any]]

INTEGERS = st.sampled_from([-(2**63), -3, -1, 0, 1, 2, 3, 4, 5, 2**53, 2**53 + 1, 2**63 - 1])
TEXTS = st.sampled_from(["", "a", "A", "b", "é", "5", "a,b", "'", "\x1b[31m", "a\nb"])
ODD = st.sampled_from([1.5, float("inf"), b"", b"\xff", b"5", "x", 2.0**70])
ODD_TEXT = st.sampled_from([b"", b"a", b"\xff\x00"])


def worlds(store: Databases) -> st.SearchStrategy[World]:
    """Generate rows by key; if columns have no types, some values are of none that a key may have."""
    typeless = store.name == "sqlite"
    city, word = INTEGERS | ODD if typeless else INTEGERS, TEXTS | ODD_TEXT if typeless else TEXTS
    return st.fixed_dictionaries(
        {
            "cities": st.dictionaries(INTEGERS, st.none(), max_size=6),
            "words": st.dictionaries(TEXTS, st.just(()), max_size=5),
            "visits": st.dictionaries(
                INTEGERS,
                st.tuples(st.none() | city, st.none() | word, st.none() | INTEGERS),
                max_size=9,
            ),
            "notes": st.dictionaries(TEXTS, st.tuples(st.none() | INTEGERS, st.none() | TEXTS), max_size=9),
        }
    )


def filled(directory: Path, world: World, store: Databases, tables: tuple[Table, ...] = TABLES) -> Place:
    """Make databases that hold the world, in which nothing was checked."""
    place = Place(directory, tables, store=store)
    for table in tables:
        rows = [
            (key, *(values if isinstance(values, tuple) else (values,))) for key, values in world[table.name].items()
        ]
        marks = ", ".join("?" * len(table.columns))
        for row in rows:
            place.query(table.database, f'INSERT INTO "{table.name}" VALUES ({marks})', row)
    return place


def oracle(world: World, table: Table) -> dict[Any, list[str]]:
    """Return by key the columns in which each row names what does not exist."""
    orphans = {}
    for key, values in world[table.name].items():
        row = dict(zip(table.column_names, (key, *values), strict=True))
        columns = [r.column for r in table.references if not exists(row[r.column], world[r.table])]
        if columns:
            orphans[key] = columns
    return orphans


def exists(value: Any, keys: dict[Any, Any]) -> bool:
    # Not `value in keys`: to Python 2.0 is 2.
    return value is None or any(type(value) is type(key) and value == key for key in keys)


def orphans_in(report: ReferenceReport, table: str) -> dict[Any, list[str]]:
    """Return what `oracle` gives, from a report."""
    assert all(reason.code == "exists_in" for orphan in report.tables[table].rejects for reason in orphan.reasons)
    return {orphan.key: [str(reason.column) for reason in orphan.reasons] for orphan in report.tables[table].rejects}


EMPTY: World = {"cities": {}, "words": {}, "visits": {}, "notes": {}}
LOST: World = {**EMPTY, "visits": {1: (5, "", 7)}, "notes": {"": (2, "")}}


@amounts(6, 50)
def test_orphans_are_found_exactly(store: Databases, amount: int) -> None:
    @examples(amount, store)
    @given(world=worlds(store), rows_at_once=st.integers(1, 10), shown=st.sampled_from([0, 1, 2, 100]))
    @example(world=EMPTY, rows_at_once=1, shown=100)
    @example(world=LOST, rows_at_once=1, shown=9)
    def holds(world: World, rows_at_once: int, shown: int) -> None:
        with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
            patch.setattr(references, "ROWS_AT_ONCE", rows_at_once)
            place = filled(Path(directory), world, store)
            report = ReferenceCheck(place.tables, place.databases, report_rejects=shown).perform()
            json.dumps(report.as_dict(), allow_nan=False)
            assert list(report.tables) == ["visits", "notes"]
            for table in (VISITS, NOTES):
                expected, counts = oracle(world, table), report.tables[table.name]
                assert (counts.given, counts.rejected) == (len(world[table.name]), len(expected))
                reasons = [f"{each}.exists_in" for columns in expected.values() for each in columns]
                assert counts.reasons == Counter(reasons)
                named = orphans_in(report, table.name)
                assert len(named) == min(shown, len(expected))
                assert named.items() <= expected.items()

    holds()


@amounts(3, 15)
def test_both_ways_to_check_find_the_same(store: Databases, amount: int) -> None:
    @examples(amount, store)
    @given(world=worlds(store))
    def holds(world: World) -> None:
        with tempfile.TemporaryDirectory() as directory:
            place = filled(Path(directory), world, store)
            report = ReferenceCheck(place.tables, place.databases).perform()
            other = asyncio.run(check_references(place.tables, place.databases))
            for name, table in report.tables.items():
                assert (table.reasons, table.rejects) == (other.tables[name].reasons, other.tables[name].rejects)

    holds()


def sample(place: Place, users: int = 3, orders: int = 3) -> Place:
    """Make users and products from 1 on, and orders of one each."""
    for key in range(1, users + 1):
        place.query("users", "INSERT INTO users VALUES (?, 'a', '@')", (key,))
        place.query("products", "INSERT INTO products VALUES (?, 'a', 1.0)", (key,))
    for key in range(1, orders + 1):
        place.query("orders", "INSERT INTO orders VALUES (?, ?, ?, 1)", (key, key, key))
    return place


def test_rows_whose_parents_were_deleted_are_named_as_stored(place: Place) -> None:
    sample(place)
    check = ReferenceCheck(place.tables, place.databases)
    assert check.perform().rejected == 0
    place.query("users", "DELETE FROM users WHERE id > 1")
    place.query("products", "DELETE FROM products WHERE id = 3")
    report = ReferenceCheck(place.tables, place.databases).perform()
    orders = report.tables["orders"]
    assert orders.reasons == {"user_id.exists_in": 2, "product_id.exists_in": 1}
    assert [orphan.record for orphan in orders.rejects] == [
        {"id": key, "user_id": key, "product_id": key, "quantity": 1} for key in (2, 3)
    ]
    assert [[reason.message for reason in orphan.reasons] for orphan in orders.rejects] == [
        ["user_id 2 does not exist in users"],
        ["user_id 3 does not exist in users", "product_id 3 does not exist in products"],
    ]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    ("value", "stored", "shown"),
    [
        ("'x'", "x", "'x'"),
        ("1.5", 1.5, "1.5"),
        ("9e999", "inf", "inf"),
        ("x'00ff'", "x'00ff'", "x'00ff'"),
        ("CAST(x'ff61' AS TEXT)", "\\xffa", "'\\xffa'"),
        ("''", "", "''"),
    ],
)
def test_a_value_of_another_type_references_nothing(place: Place, value: str, stored: Any, shown: str) -> None:
    place.query("orders", f"INSERT INTO orders VALUES (1, {value}, 1, 1)")
    place.query("products", "INSERT INTO products VALUES (1, 'a', 1)")
    [orphan] = ReferenceCheck(place.tables, place.databases).perform().tables["orders"].rejects
    assert orphan.record["user_id"] == stored
    assert [reason.message for reason in orphan.reasons] == [f"user_id {shown} does not exist in users"]


@pytest.mark.only("sqlite")
def test_text_that_is_not_utf8_references_nothing(tmp_path: Path, store: Databases) -> None:
    place = filled(tmp_path, {"cities": {}, "words": {"a": ()}, "visits": {1: (None, "a", None)}, "notes": {}}, store)
    place.query("places", "INSERT INTO visits VALUES (2, NULL, CAST(x'61ff' AS TEXT), NULL)")
    [orphan] = ReferenceCheck(place.tables, place.databases).perform().tables["visits"].rejects
    assert (orphan.key, orphan.record["word"]) == (2, "a\\xff")


@pytest.mark.only("sqlite")
def test_text_keys_are_compared_as_they_are_written(tmp_path: Path, store: Databases) -> None:
    """Whatever order the column has: to NOCASE, a comes before B, and both before c."""
    place = Place(tmp_path, (CITIES, WORDS, VISITS), store=store)
    place.query("texts", "DROP TABLE words")
    place.query("texts", "CREATE TABLE words (word TEXT PRIMARY KEY COLLATE NOCASE)")
    place.query("texts", "INSERT INTO words VALUES ('a'), ('B')")
    place.query("places", "INSERT INTO visits (id, word) VALUES (1, 'a'), (2, 'B'), (3, 'b')")
    assert orphans_in(ReferenceCheck(place.tables, place.databases).perform(), "visits") == {3: ["word"]}
    loaded = place.load("sequential", {"visits": place.file("v.csv", "id,city,word,next\n4,,a,\n5,,B,\n6,,b,\n")})
    assert reject_names(loaded, "visits") == [(4, 4, ["word.exists_in"])]


def test_one_column_may_reference_two_tables(tmp_path: Path, store: Databases) -> None:
    towns = Table("towns", "texts", (Column("id", Type.INTEGER),))
    both = (Reference("city", "cities"), Reference("city", "towns"))
    trips = Table("trips", "places", (Column("id", Type.INTEGER), Column("city", Type.INTEGER)), references=both)
    place = Place(tmp_path, (CITIES, towns, trips), store=store)
    place.query("places", "INSERT INTO cities VALUES (1, NULL), (2, NULL)")
    place.query("texts", "INSERT INTO towns VALUES (2), (3)")
    place.query("places", "INSERT INTO trips VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
    table = ReferenceCheck(place.tables, place.databases).perform().tables["trips"]
    assert [(orphan.key, [reason.message[-6:] for reason in orphan.reasons]) for orphan in table.rejects] == [
        (1, [" towns"]),
        (3, ["cities"]),
        (4, ["cities", " towns"]),
    ]
    assert (table.rejected, table.reasons) == (3, {"city.exists_in": 4})


LONE = Table(
    "lone",
    "places",
    (Column("name", Type.TEXT), Column("city", Type.INTEGER)),
    "name",
    (),
    (Reference("city", "cities"),),
)


def as_show(event: Show | Tell) -> Show:
    assert isinstance(event, Show)
    return event


@pytest.mark.parametrize(
    "declaration",
    [
        "(name TEXT PRIMARY KEY, city INTEGER)",
        "(name TEXT UNIQUE, city INTEGER, _rowid_ TEXT DEFAULT 'same', ROWID TEXT DEFAULT 'same')",
        "(name TEXT UNIQUE, city INTEGER, _rowid_ TEXT DEFAULT 'same', rowid TEXT, oid TEXT)",
    ],
)
def test_any_table_is_read_in_parts(
    tmp_path: Path, declaration: str, monkeypatch: pytest.MonkeyPatch, store: Databases
) -> None:
    _is_read_in_parts(tmp_path, declaration, monkeypatch, store)


@pytest.mark.only("sqlite")
def test_a_table_without_row_ids_in_an_order_of_its_own_is_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Databases
) -> None:
    declaration = "(name TEXT PRIMARY KEY COLLATE NOCASE, city INTEGER) WITHOUT ROWID"
    _is_read_in_parts(tmp_path, declaration, monkeypatch, store)


def _is_read_in_parts(tmp_path: Path, declaration: str, monkeypatch: pytest.MonkeyPatch, store: Databases) -> None:
    monkeypatch.setattr(references, "ROWS_AT_ONCE", 3)
    place = Place(tmp_path, (CITIES, LONE), store=store)
    place.query("places", "DROP TABLE lone")
    place.query("places", f"CREATE TABLE lone {declaration}")
    names = [letter * times for letter in "zbYac" for times in (1, 2)]
    for number, name in enumerate(names):
        place.query("places", "INSERT INTO lone (name, city) VALUES (?, ?)", (name, number))
    place.query("places", "INSERT INTO cities VALUES (4, NULL)")
    shown: list[Show] = []
    report = ReferenceCheck(place.tables, place.databases, show=lambda event: shown.append(as_show(event))).perform()
    assert (report.tables["lone"].given, report.tables["lone"].rejected) == (10, 9)
    assert sorted(orphan.key for orphan in report.tables["lone"].rejects) == sorted({*names} - {"Y"})
    assert [show.given for show in shown] == [3, 6, 9, 10]
    assert shown[-1].size is None or shown[-1].read_to == shown[-1].size


def test_only_the_tables_named_are_read_and_what_they_reference(tmp_path: Path, store: Databases) -> None:
    world: World = {"cities": {}, "words": {}, "visits": {1: (9, None, None)}, "notes": {"a": (1, None)}}
    place = filled(tmp_path, world, store)
    report = ReferenceCheck(place.tables, place.databases, ["notes"]).perform()
    assert (list(report.tables), report.rejected) == (["notes"], 0)
    place.query("places", "DROP TABLE cities")
    assert ReferenceCheck(place.tables, place.databases, ["notes"]).perform().rejected == 0
    with pytest.raises(StoreError, match="database places: has no table cities; run init_db or migrate first"):
        ReferenceCheck(place.tables, place.databases, ["visits"]).perform()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["people"], "no table is called 'people'; there are cities, notes, visits, words"),
        (["cities"], "table cities references nothing: there is nothing to check"),
    ],
)
def test_names_that_cannot_be_checked_are_refused(
    tmp_path: Path, names: list[str], message: str, store: Databases
) -> None:
    place = Place(tmp_path, TABLES, store=store)
    with pytest.raises(ConfigurationError, match=message):
        ReferenceCheck(place.tables, place.databases, names)


def test_what_changes_meanwhile_is_not_seen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each database is read in one state, and orders in one no later than that of what they reference."""
    monkeypatch.setattr(references, "ROWS_AT_ONCE", 1)
    sample(place)
    for database, where in place.databases.items():
        if isinstance(where, Path):
            place.query(database, "PRAGMA journal_mode = WAL")

    def show(event: Show | Tell) -> None:
        if as_show(event).given == 1:
            place.query("users", "DELETE FROM users")
            place.query("orders", "INSERT INTO orders VALUES (9, 9, 9, 9)")

    report = ReferenceCheck(place.tables, place.databases, show=show).perform()
    assert (report.tables["orders"].given, report.rejected) == (3, 0)
    assert ReferenceCheck(place.tables, place.databases).perform().rejected == 4


def test_a_failure_keeps_what_was_found_before_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "ROWS_AT_ONCE", 1)
    sample(place, users=0)

    def show(_: Show | Tell) -> None:
        raise StoreError("orders", "disk I/O error")

    check = ReferenceCheck(place.tables, place.databases, show=show)
    with pytest.raises(StoreError):
        check.perform()
    report = check.report("failed", "no")
    assert (report.status, report.error, report.tables["orders"].given, report.rejected) == ("failed", "no", 1, 1)
    assert isinstance(report.tables["orders"].rejects[0], Orphan)


@pytest.mark.only("sqlite")
def test_databases_are_opened_for_reading_only(place: Place) -> None:
    sample(place)
    for path in place.files.values():
        path.chmod(0o444)
    with closing(sqlite3.connect(place.databases["users"], isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM users").fetchall()
        assert ReferenceCheck(place.tables, place.databases, lock_timeout=0).perform().rejected == 0
