"""Keys: the first accepted record of a key stays, and what references it must be able to find it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from async_loader import Column, ConfigurationError, ConflictError, Reference, Table, Type
from tests.sample import Place, reject_names
from tests.stores import Databases

HEADER = "id,name,email\n"
PRODUCTS = "id,name,price\n1,a,1\n"
# Keys that end with one that three does not divide.
EVEN = "WITH RECURSIVE even (key) AS (SELECT 2 UNION ALL SELECT key + 2 FROM even WHERE key < 6002)"


def users(*keys: int, name: str = "a") -> str:
    return HEADER + "".join(f"{key},{name},@\n" for key in keys)


def orders(*references: tuple[int, int]) -> str:
    return "id,user_id,product_id,quantity\n" + "".join(
        f"{number},{user},{product},1\n" for number, (user, product) in enumerate(references, 1)
    )


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_key_seen_before_in_the_run_is_a_duplicate(place: Place, mode: str, size: int) -> None:
    first = place.file("a.csv", users(1, 2, 1, 3) + ",,x\n")
    second = place.file("b.csv", users(2, 4, 4, name="b"))
    report = place.load(mode, {"users": [first, second]}, batch_size=size)
    assert [row[:2] for row in place.rows("users")] == [(1, "a"), (2, "a"), (3, "a"), (4, "b")]
    assert reject_names(report, "users") == [
        (4, 4, ["id.duplicate"]),
        (6, 6, ["id.missing", "name.not_empty", "email.contains"]),
        (2, 2, ["id.duplicate"]),
        (4, 4, ["id.duplicate"]),
    ]
    assert [reject.source for reject in report.tables["users"].rejects] == [first, first, second, second]


def test_a_key_far_apart_is_a_duplicate(place: Place, mode: str) -> None:
    report = place.load(mode, {"users": place.file("a.csv", users(*range(150_000), 5))}, batch_size=10_000)
    assert reject_names(report, "users") == [(150_002, 150_002, ["id.duplicate"])]


def test_a_rejected_record_does_not_take_its_key(place: Place, mode: str) -> None:
    content = HEADER + "1,,@\n1,b,@\n1,,@\n"
    report = place.load(mode, {"users": place.file("a.csv", content)})
    assert place.rows("users") == [(1, "b", "@")]
    assert reject_names(report, "users") == [
        (2, 2, ["name.not_empty"]),
        (4, 4, ["name.not_empty", "id.duplicate"]),
    ]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_key_in_the_database_is_unchanged_or_exists(place: Place, mode: str, dry_run: bool) -> None:  # noqa: FBT001
    place.load(mode, {"users": place.file("a.csv", users(1, 2))})
    content = HEADER + "1,a,@\n2,other,@\n3,c,@\n2,a,@\n"
    report = place.load(mode, {"users": place.file("b.csv", content)}, dry_run=dry_run)
    counts = report.tables["users"]
    assert (counts.inserted, counts.updated, counts.unchanged, counts.rejected) == (1, 0, 2, 1)
    assert reject_names(report, "users") == [(3, 3, ["id.exists"])]
    assert counts.rejects[0].reasons[0].message == (
        "id 2 is in the database with other values: name 'a', not 'other' (--on-conflict update replaces them)"
    )
    assert place.rows("users") == [(1, "a", "@"), (2, "a", "@"), (3, "c", "@")][: 2 if dry_run else 3]


KINDS = Table(
    "kinds",
    "kinds",
    (
        Column("id", Type.INTEGER),
        Column("word", Type.TEXT, nullable=True, default=None),
        Column("sum", Type.DECIMAL, digits=8, places=2, nullable=True, default=None),
        Column("at", Type.DATETIME, zone="UTC", nullable=True, default=None),
        Column("more", Type.JSON, nullable=True, default=None),
        Column("paid", Type.BOOLEAN, nullable=True, default=None),
    ),
)


@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_conflict_names_the_columns_that_differ(tmp_path: Path, store: Databases, mode: str, batch_size: int) -> None:
    """Old values beside new ones, in the columns that the source has; of many columns the first."""
    place = Place(tmp_path, (KINDS,), store)
    first = """\
        {"id": 1, "word": "a", "sum": 1.5, "at": "2024-02-29T10:00:00Z", "more": {"a": [1, 2]}, "paid": true}
        {"id": 2, "word": "x", "sum": 2, "at": null, "more": [1], "paid": false}
        {"id": 3, "word": "same"}
    """
    place.load(mode, {"kinds": place.file("a.jsonl", first.replace("        ", "").strip())})
    second = """\
        {"id": 1, "word": "a", "sum": 1.50, "at": "2024-02-29T11:00:00Z", "more": {"a":[1,2]}, "paid": null}
        {"id": 2, "word": null, "sum": 3.25, "at": "2024-01-01T00:00:00Z", "more": [2], "paid": true}
        {"id": 3, "word": "%s"}
    """
    source = place.file("b.jsonl", second.replace("        ", "").strip() % ("long" * 20))
    report = place.load(mode, {"kinds": source}, batch_size=batch_size)
    told = [reject.reasons[0].message for reject in report.tables["kinds"].rejects]
    new_year = "2024-01-01 00:00:00+00:00"
    said, remedy = "is in the database with other values:", "(--on-conflict update replaces them)"
    assert [text.removesuffix(f" {remedy}") for text in told] == [
        f"id 1 {said} at 2024-02-29 10:00:00+00:00, not 2024-02-29 11:00:00+00:00, and paid true, not null",
        f"id 2 {said} word 'x', not null, and sum 2.00, not 3.25, and at null, not {new_year}, and 2 more",
        f"id 3 {said} word 'same', not '{'long' * 15}…'",
    ]
    short = place.file("c.csv", "id,word\n1,b\n")
    report = place.load(mode, {"kinds": short})
    assert report.tables["kinds"].rejects[0].reasons[0].message == f"id 1 {said} word 'a', not 'b' {remedy}"


def test_update_replaces_the_row(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("a.csv", users(1, 2))})
    content = HEADER + "1,a,@\n2,b,@\n3,c,@\n2,a,@\n"
    report = place.load(mode, {"users": place.file("b.csv", content)}, on_conflict="update")
    counts = report.tables["users"]
    assert (counts.inserted, counts.updated, counts.unchanged, counts.rejected) == (1, 1, 1, 1)
    assert reject_names(report, "users") == [(5, 5, ["id.duplicate"])]
    assert place.rows("users") == [(1, "a", "@"), (2, "b", "@"), (3, "c", "@")]


def test_stop_ends_the_run_and_keeps_nothing(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("a.csv", users(1, 2))})
    with pytest.raises(ConflictError, match=r"table users holds id 2 with other values than .*b.csv, line 3; mend"):
        place.load(mode, {"users": place.file("b.csv", users(3) + "2,b,@\n")}, on_conflict="stop")
    assert [row[0] for row in place.rows("users")] == [1, 2]
    report = place.load(mode, {"users": place.file("c.csv", users(2, 3))}, on_conflict="stop")
    assert (report.tables["users"].unchanged, report.tables["users"].inserted) == (1, 1)


@pytest.mark.only("sqlite")
def test_a_row_of_another_type_than_declared_is_another_value(place: Place, mode: str) -> None:
    place.query("users", "INSERT INTO users VALUES (1, x'61', '@')")
    report = place.load(mode, {"users": place.file("a.csv", users(1))})
    assert reject_names(report, "users") == [(2, 2, ["id.exists"])]


def test_running_a_finished_load_again_changes_nothing(place: Place, mode: str) -> None:
    sources = {
        "users": place.file("u.csv", users(*range(1, 400))),
        "products": place.file("p.csv", PRODUCTS),
        "orders": place.file("o.csv", orders(*((user, 1) for user in range(500)))),
    }
    place.load(mode, sources, batch_size=64)
    before = [place.rows(name) for name in sources]
    report = place.load(mode, sources, batch_size=64)
    assert [place.rows(name) for name in sources] == before
    assert [report.tables[name].unchanged for name in sources] == [399, 1, 399]
    assert len(place.stored_rejects("orders")) == 101


def test_references_to_what_was_rejected_and_to_what_never_was(place: Place, mode: str) -> None:
    sources = {
        "orders": place.file("o.csv", orders((1, 1), (2, 1), (3, 9), (1, 7))),
        "users": place.file("u.csv", users(1) + "2,,@\n"),
        "products": place.file("p.csv", PRODUCTS),
    }
    report = place.load(mode, sources)
    assert [row[0] for row in place.rows("orders")] == [1]
    assert reject_names(report, "orders") == [
        (3, 3, ["user_id.exists_in"]),
        (4, 4, ["user_id.exists_in", "product_id.exists_in"]),
        (5, 5, ["product_id.exists_in"]),
    ]


@pytest.mark.parametrize("size", [1, 100])
def test_references_to_what_an_earlier_run_stored(place: Place, mode: str, size: int) -> None:
    place.load(mode, {"users": place.file("u.csv", users(1, 5)), "products": place.file("p.csv", PRODUCTS)})
    alone = place.load(
        mode, {"orders": place.file("o.csv", orders((1, 1), (5, 1), (3, 1), (9, 1), (3, 1)))}, batch_size=size
    )
    assert reject_names(alone, "orders") == [(line, line, ["user_id.exists_in"]) for line in (4, 5, 6)]
    both = place.load(
        mode,
        {
            "users": place.file("v.csv", users(5, name="z") + "3,c,@\n"),
            "orders": place.file("o.csv", orders((5, 1), (3, 1))),
        },
        on_conflict="update",
        batch_size=size,
    )
    assert both.tables["orders"].rejected == 0
    assert place.rows("users") == [(1, "a", "@"), (3, "c", "@"), (5, "z", "@")]


def test_a_row_kept_against_a_conflict_is_still_there_to_be_referenced(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", users(1)), "products": place.file("p.csv", PRODUCTS)})
    sources = {"users": place.file("v.csv", users(1, name="z")), "orders": place.file("o.csv", orders((1, 1)))}
    report = place.load(mode, sources)
    assert reject_names(report, "users") == [(2, 2, ["id.exists"])]
    assert report.tables["orders"].inserted == 1


EXTREMES = [-(2**63), -1, 0, 2**53 + 1, 2**63 - 1]


def test_a_load_that_names_most_keys_of_a_large_table_finds_them(place: Place, mode: str) -> None:
    """Keys are then no longer asked for one by one; it shows in nothing but speed."""
    place.query("users", f"INSERT INTO users {EVEN} SELECT key, 'a', '@' FROM even")
    place.load(mode, {"products": place.file("p.csv", PRODUCTS)})
    named = [*range(2, 3000), 7000]
    report = place.load(mode, {"orders": place.file("o.csv", orders(*((user, 1) for user in named)))}, batch_size=300)
    assert [user for (_, user, _, _) in place.rows("orders")] == [
        user for user in named if user % 2 == 0 and user < 7000
    ]
    assert report.tables["orders"].reasons == {"user_id.exists_in": 1500}


@pytest.mark.only("sqlite")
def test_among_the_keys_of_a_large_table_reals_are_none(place: Place, mode: str) -> None:
    place.query("users", "DROP TABLE users")
    place.query("users", "CREATE TABLE users (id INTEGER NOT NULL UNIQUE, name TEXT, email TEXT)")
    place.query("users", f"INSERT INTO users {EVEN} SELECT iif(key % 3 = 0, key + 0.5, key), 'a', '@' FROM even")
    place.load(mode, {"products": place.file("p.csv", PRODUCTS)})
    named = orders(*((user, 1) for user in range(1, 3001)))
    place.load(mode, {"orders": place.file("o.csv", named)}, batch_size=300)
    assert [user for (_, user, _, _) in place.rows("orders")] == [user for user in range(2, 3001, 2) if user % 3]


def test_two_references_on_one_column_are_both_checked(tmp_path: Path, mode: str, store: Databases) -> None:
    cities, towns = (Table(name, "places", (Column("id", Type.INTEGER),)) for name in ("cities", "towns"))
    trips = Table(
        "trips",
        "diary",
        (Column("id", Type.INTEGER), Column("city", Type.INTEGER)),
        references=(Reference("city", "cities"), Reference("city", "towns")),
    )
    place = Place(tmp_path, (cities, towns, trips), store=store)
    sources = {"cities": "id\n1\n2\n", "towns": "id\n2\n3\n", "trips": "id,city\n1,1\n2,2\n3,3\n4,4\n"}
    report = place.load(mode, {name: place.file(f"{name}.csv", text) for name, text in sources.items()})
    assert place.rows("trips") == [(2, 2)]
    messages = [[reason.message for reason in reject.reasons] for reject in report.tables["trips"].rejects]
    assert messages == [
        ["city 1 does not exist in towns"],
        ["city 3 does not exist in cities"],
        ["city 4 does not exist in cities", "city 4 does not exist in towns"],
    ]


@pytest.mark.only("sqlite")
def test_text_keys_that_differ_by_case_are_two_keys_whatever_the_column_thinks(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    tags = Table("tags", "tags", (Column("id", Type.TEXT), Column("label", Type.TEXT)))
    uses = Table(
        *("uses", "uses", (Column("id", Type.TEXT), Column("tag", Type.TEXT))), references=(Reference("tag", "tags"),)
    )
    place = Place(tmp_path, (tags, uses), store=store)
    place.query("tags", "DROP TABLE tags")
    place.query("tags", "CREATE TABLE tags (id TEXT PRIMARY KEY COLLATE NOCASE, label TEXT COLLATE NOCASE)")
    place.query("tags", "INSERT INTO tags VALUES ('a', 'x'), ('B', 'y')")
    place.load(mode, {"uses": place.file("u.csv", "id,tag\n1,a\n2,A\n3,B\n4,b\n")})
    assert place.rows("uses") == [("1", "a"), ("3", "B")]
    report = place.load(mode, {"tags": place.file("t.csv", "id,label\na,X\nB,y\n")})
    assert report.tables["tags"].reasons == {"id.exists": 1}
    assert report.tables["tags"].unchanged == 1


def test_keys_of_any_size_are_distinguished(place: Place, mode: str) -> None:
    sources = {
        "users": place.file("u.csv", users(*EXTREMES, *EXTREMES)),
        "products": place.file("p.csv", PRODUCTS),
        "orders": place.file("o.csv", orders(*((key, 1) for key in [*EXTREMES, 2**53, 2**62]))),
    }
    report = place.load(mode, sources, batch_size=2)
    assert [row[0] for row in place.rows("users")] == EXTREMES
    assert report.tables["users"].reasons == {"id.duplicate": 5}
    assert reject_names(report, "orders") == [(line, line, ["user_id.exists_in"]) for line in (7, 8)]


COUNTRIES = Table("countries", "places", (Column("code", Type.TEXT), Column("name", Type.TEXT)), key="code")
CITIES = Table(
    "cities",
    "places",
    (Column("id", Type.INTEGER), Column("country", Type.TEXT, nullable=True)),
    references=(Reference("country", "countries"),),
)


def test_text_keys_and_two_tables_in_one_database(tmp_path: Path, mode: str, store: Databases) -> None:
    place = Place(tmp_path, (CITIES, COUNTRIES), store=store)
    countries = place.file("countries.csv", 'code,name\nde,Germany\nDE,Other\nfr,France\nde,again\n"o\'x",q\n')
    cities = place.file("cities.csv", 'id,country\n1,de\n2,De\n3,\n4,o\'x\n5,""\n')
    report = place.load(mode, {"cities": cities, "countries": countries}, batch_size=2)
    assert place.rows("cities") == [(1, "de"), (3, None), (4, "o'x")]
    assert report.tables["countries"].reasons == {"code.duplicate": 1}
    assert report.tables["cities"].rejects[0].reasons[0].message == "country 'De' does not exist in countries"
    again = place.load(mode, {"cities": cities})
    assert (again.tables["cities"].unchanged, again.tables["cities"].rejected) == (3, 2)


def test_column_names_may_be_anything(tmp_path: Path, mode: str, store: Databases) -> None:
    odd = (
        "select",
        "held",
        "price_stored",
        "read 1",
        "stored 1",
        'quote"d',
        "key",
        "place",
        "text",
        "code",
        "c0",
        "%s",
        "$1",
        "UPPER",
    )
    columns = (Column("id", Type.INTEGER), *(Column(name, Type.REAL) for name in odd))
    place = Place(tmp_path, (Table('group"by', "odd name", columns),), store=store)
    lines = ['id,"' + '","'.join(name.replace('"', '""') for name in odd) + '"', "1" + ",1.5" * len(odd)]
    source = place.file("t.csv", "\n".join([*lines, "2" + ",x" * len(odd)]))
    for _ in range(2):
        report = place.load(mode, {'group"by': source})
    assert report.tables['group"by'].unchanged == 1
    assert len(report.tables['group"by'].rejects[0].reasons) == len(odd)


def _table(name: str, database: str, *references: str) -> Table:
    columns = tuple(Column(column, Type.INTEGER) for column in ("id", *references))
    return Table(name, database, columns, references=tuple(Reference(column, column) for column in references))


CIRCLES: list[tuple[tuple[Table, ...], str]] = [
    ((_table("a", "x", "b"), _table("b", "y", "a")), "in a circle"),
    ((_table("a", "x", "b"), _table("b", "y"), _table("c", "y", "d"), _table("d", "x")), "databases that reference"),
    ((_table("a", "x", "b"),), "table a: b references undeclared b"),
    ((_table("a", "x"), _table("a", "y")), "two tables have the same name"),
]


@pytest.mark.parametrize(("tables", "message"), CIRCLES)
def test_declarations_that_cannot_be_loaded_are_refused(
    tmp_path: Path, tables: Any, message: str, store: Databases
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Place(tmp_path, tables, store=store).load("sequential", {})
