"""Rows that no record of a run names are deleted, unless something else names them; or they are marked."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_loader import (
    Column,
    ConfigurationError,
    DeleteLimitError,
    Mark,
    Options,
    Reference,
    Referrer,
    Run,
    SourceError,
    Table,
    Type,
    verify,
)
from async_loader.effects import Change, Effect
from tests import sample
from tests.integration import press
from tests.integration.test_crashes import perform
from tests.sample import Place
from tests.stores import Databases

USERS = "id,name,email\n"
PRODUCTS = "id,name,price\n"
ORDERS = "id,user_id,product_id,quantity\n"


def users(*keys: int) -> str:
    return USERS + "".join(f"{key},n{key},{key}@\n" for key in keys)


def orders(*rows: tuple[int, int]) -> str:
    return ORDERS + "".join(f"{key},{user},1,1\n" for key, user in rows)


def sources(place: Place, **contents: str) -> dict[str, str]:
    return {table: place.file(f"{table}.csv", content) for table, content in contents.items()}


def filled(place: Place) -> None:
    """Store five users, a product and three orders, of the users 1, 2 and 3."""
    given = {"users": users(1, 2, 3, 4, 5), "products": f"{PRODUCTS}1,a,1\n", "orders": orders((1, 1), (2, 2), (3, 3))}
    place.load("sequential", sources(place, **given))


def deleted(place: Place, mode: str, tables: tuple[str, ...] = ("users",), most: str = "100%", **contents: str) -> Any:
    return place.load(mode, sources(place, **contents), delete_missing=dict.fromkeys(tables), max_deletes=most)


def keys(place: Place, table: str) -> list[Any]:
    return [row[0] for row in place.rows(table)]


def test_rows_that_no_record_names_are_deleted_unless_they_are_referenced(place: Place, mode: str) -> None:
    filled(place)
    report = deleted(place, mode, users=users(1, 6)).tables["users"]
    assert keys(place, "users") == [1, 2, 3, 6]
    assert (report.unchanged, report.inserted, report.deleted, report.referenced) == (1, 1, 2, 2)
    assert [(row.key, row.table, row.column) for row in report.referenced_rows] == [
        (2, "orders", "user_id"),
        (3, "orders", "user_id"),
    ]
    assert place.query("users", "SELECT given, unchanged, deleted FROM loader_runs WHERE deleted > 0") == [(2, 1, 2)]
    again = deleted(place, mode, users=users(1, 6)).tables["users"]
    assert (again.unchanged, again.deleted, again.referenced) == (2, 0, 2)


def test_a_rows_reference_goes_with_it(place: Place, mode: str) -> None:
    filled(place)
    given = {"users": users(1), "orders": orders((1, 1))}
    report = deleted(place, mode, ("users", "orders"), **given)
    assert (keys(place, "users"), keys(place, "orders")) == ([1], [1])
    assert {name: table.deleted for name, table in report.tables.items()} == {"users": 4, "orders": 2}
    assert place.query("users", "SELECT state FROM loader_runs") == [("complete",)] * 2


def test_a_rejected_record_names_its_row_too(place: Place, mode: str) -> None:
    filled(place)
    # No name, no e-mail address, other values, twice, and no number.
    text = f"{USERS}1,,1@\n2,n,\n3,other,3@\n4,n4,4@\n4,n,4@\n"
    report = deleted(place, mode, users=text, orders=f"{ORDERS}1,x,1,1\n", tables=("users", "orders"))
    assert (report.tables["users"].rejected, report.tables["orders"].rejected) == (4, 1)
    assert (keys(place, "users"), keys(place, "orders")) == ([1, 2, 3, 4], [1])
    assert report.tables["users"].deleted == 1


@pytest.mark.parametrize("line", ["x,n,@\n", ",n,@\n", '7,"n"n,@\n', "7,n,@,more\n"])
def test_a_record_that_might_name_any_row_lets_none_of_its_table_be_deleted(place: Place, mode: str, line: str) -> None:
    filled(place)
    report = deleted(place, mode, ("users", "orders"), users=users(1) + line, orders=orders((1, 1)))
    assert (keys(place, "users"), keys(place, "orders")) == ([1, 2, 3, 4, 5], [1])
    told = report.tables["users"].not_deleted
    assert told.endswith("users.csv, line 3: a record that might name any row")
    assert report.tables["orders"].not_deleted is None
    assert (
        deleted(place, mode, users=users(1) + 2 * line)
        .tables["users"]
        .not_deleted.endswith("users.csv, line 3: the first of 2 records that might name any row")
    )


def test_with_more_than_allowed_nothing_is_kept_in_any_database(place: Place, mode: str) -> None:
    filled(place)
    before = {table: place.rows(table) for table in ("users", "products", "orders")}
    given = {"users": users(1, 6), "products": f"{PRODUCTS}1,a,1\n2,b,1\n", "orders": orders((1, 1), (9, 6))}
    for most, problem in (
        ("5", "6 rows would be deleted, more than the 5"),
        ("66%", "2 of 3 rows of orders would be deleted, more than the 66%"),
        ("0", "6 rows"),
    ):
        with pytest.raises(DeleteLimitError, match=problem) as caught:
            deleted(place, mode, ("users", "orders"), most, **given)
        assert caught.value.report is not None
        assert caught.value.report.status == "over-limit"
        assert {table: place.rows(table) for table in before} == before
    assert place.query("orders", "SELECT count(*) FROM loader_runs") == [(1,)]
    # Users 2 and 3 are named by orders that are deleted.
    report = deleted(place, mode, ("users", "orders"), "6", **given)
    assert (keys(place, "users"), keys(place, "orders")) == ([1, 6], [1, 9])
    assert report.tables["users"].deleted == 4


def test_a_source_without_records_names_no_row(place: Place, mode: str) -> None:
    filled(place)
    with pytest.raises(DeleteLimitError):
        deleted(place, mode, ("orders",), "99.9%", orders=ORDERS)
    report = deleted(place, mode, ("users", "orders"), "100%", users=USERS, orders=ORDERS)
    assert (report.tables["users"].deleted, report.tables["orders"].deleted) == (5, 3)
    assert (keys(place, "users"), keys(place, "orders")) == ([], [])
    # There is nothing of which a share could be deleted.
    assert deleted(place, mode, ("orders",), "0%", orders=ORDERS).tables["orders"].deleted == 0


def test_rows_with_the_columns_value_are_marked_once(place: Place, mode: str) -> None:
    filled(place)
    gone = {"delete_missing": {"users": Mark("name", "gone")}, "max_deletes": "80%"}
    report = place.load(mode, sources(place, users=users(1)), **gone).tables["users"]
    assert (report.deleted, report.referenced) == (4, 0)
    assert [row[1] for row in place.rows("users")] == ["n1", "gone", "gone", "gone", "gone"]
    report = place.load(mode, sources(place, users=users(1, 2)), on_conflict="update", **gone).tables["users"]
    assert (report.updated, report.deleted) == (1, 0)
    assert [row[1] for row in place.rows("users")] == ["n1", "n2", "gone", "gone", "gone"]
    with pytest.raises(DeleteLimitError):
        place.load(mode, sources(place, users=users(9)), **gone | {"max_deletes": 1})


@pytest.mark.parametrize("every", [1, 2, 100])
def test_with_checkpoints_rows_are_deleted_last(place: Place, mode: str, every: int) -> None:
    filled(place)
    given = sources(place, users=users(1, 3, 6, 7), orders=orders((1, 1), (4, 6), (5, 7)))
    options = {"delete_missing": {"users": None, "orders": None}, "commit_every": every, "batch_size": 2}
    with pytest.raises(DeleteLimitError, match="nothing was deleted; look at the sources, or allow more") as caught:
        place.load(mode, given, **options, max_deletes=2)
    assert "users up to record 4, " in caught.value.text
    assert (keys(place, "users"), keys(place, "orders")) == ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5])
    report = place.load(mode, given, **options, max_deletes=5)
    assert (keys(place, "users"), keys(place, "orders")) == ([1, 3, 6, 7], [1, 4, 5])
    assert {name: (table.inserted, table.deleted) for name, table in report.tables.items()} == {
        "users": (2, 3),
        "orders": (2, 2),
    }
    assert place.query("users", "SELECT state, given, deleted FROM loader_runs WHERE given = 4") == [("complete", 4, 3)]


def test_a_dry_run_counts_what_a_load_deletes(place: Place, mode: str) -> None:
    filled(place)
    given = {"users": users(1, 6), "orders": orders((1, 1), (2, 4), (7, 6))}
    options = {"delete_missing": {"users": None, "orders": None}, "max_deletes": 4, "on_conflict": "update"}
    before = {table: place.rows(table) for table in ("users", "orders")}
    dry = place.load(mode, sources(place, **given), **options, dry_run=True)
    assert {table: place.rows(table) for table in ("users", "orders")} == before
    report = place.load(mode, sources(place, **given), **options)
    told = {name: (table.deleted, table.referenced) for name, table in report.tables.items()}
    # Order 2 is of user 4 now, and of user 2 no more, which a dry run does not see.
    assert told == {"users": (3, 1), "orders": (1, 0)}
    assert {name: (table.deleted, table.referenced) for name, table in dry.tables.items()} == {
        "users": (2, 2),
        "orders": (1, 0),
    }
    with pytest.raises(DeleteLimitError):
        deleted(place, mode, ("orders",), "1", orders=ORDERS)


def test_rows_are_found_by_match_columns(tmp_path: Path, store: Databases, mode: str) -> None:
    people = replace(sample.USERS, columns=(Column("id", Type.INTEGER, generated=True), *sample.USERS.columns[1:]))
    place = Place(tmp_path, (people, sample.PRODUCTS, sample.ORDERS), store)
    place.load("sequential", sources(place, users=f"{USERS}1,a,a@\n2,b,b@\n3,c,c@\n4,d,d@\n"))
    text = "name,email\na,a@\n,b@\nnew,n@\nwrong,w\n"
    options = {"match": {"users": ("email",)}, "delete_missing": {"users": None}, "max_deletes": 2}
    for deletes in (2, 0):
        report = place.load(mode, sources(place, users=text), **options).tables["users"]
        assert (report.rejected, report.deleted) == (2, deletes)
        assert [row[1:] for row in place.rows("users")] == [("a", "a@"), ("b", "b@"), ("new", "n@")]
    for line in ("x\n", "x,z@\n"):
        place.query("users", "DELETE FROM users WHERE id > 7")
        place.query("users", "INSERT INTO users VALUES (8, 'z', 'z@'), (9, 'z', 'z@')")
        report = place.load(mode, sources(place, users=text + line), **options).tables["users"]
        assert (report.deleted, report.not_deleted is None, len(keys(place, "users"))) == (0, False, 5)


STAFF = Table(
    "staff",
    "staff",
    (Column("id", Type.UUID), Column("name", Type.TEXT), Column("boss", Type.UUID, nullable=True)),
    references=(Reference("boss", "staff"),),
)


def of_staff(*rows: tuple[int, int | None]) -> str:
    lines = [f"{uuid.UUID(int=key)},n,{uuid.UUID(int=boss) if boss else ''}\n" for key, boss in rows]
    return "id,name,boss\n" + "".join(lines)


def staff(place: Place) -> list[int]:
    return [uuid.UUID(str(key)).int for key in keys(place, "staff")]


@pytest.mark.parametrize("has_constraint", [False, True])
def test_a_row_keeps_all_above_it_in_its_tree(
    tmp_path: Path, store: Databases, mode: str, *, has_constraint: bool
) -> None:
    place = Place(tmp_path, (STAFF,), store)
    if has_constraint:
        kind = "char(32)" if place.kind("staff") == "sqlite" else "uuid"
        place.query("staff", "DROP TABLE staff")
        place.query(
            "staff", f"CREATE TABLE staff (id {kind} PRIMARY KEY, name text, boss {kind} REFERENCES staff (id))"
        )
    tree = of_staff((1, None), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 8), (8, 7), (9, 9))
    place.load(mode, sources(place, staff=tree))
    report = deleted(place, mode, ("staff",), staff=of_staff((4, 3))).tables["staff"]
    assert (staff(place), report.deleted, report.referenced) == ([1, 2, 3, 4], 5, 3)
    report = deleted(place, mode, ("staff",), staff=of_staff((1, None))).tables["staff"]
    assert (staff(place), report.deleted) == ([1], 3)


def test_what_is_no_part_of_the_run_keeps_rows_too(tmp_path: Path, store: Databases, mode: str) -> None:
    """Neither a table that an option names, in a database of its own, nor one that only the database knows."""
    bills = Table("bills", "archive", (Column("id", Type.INTEGER), Column("payer", Type.TEXT)))
    people = Table("people", "users", (Column("id", Type.INTEGER), Column("email", Type.TEXT, unique=True)))
    place = Place(tmp_path, (people, bills), store)
    place.query("users", "CREATE TABLE notes (number bigint PRIMARY KEY, about bigint REFERENCES people (id))")
    given = sources(place, people="id,email\n1,a@\n2,b@\n3,c@\n4,d@\n", bills="id,payer\n1,a@\n2,nobody\n")
    place.load("sequential", given)
    place.query("users", "INSERT INTO notes VALUES (1, 2), (2, NULL)")
    referrers = (
        Referrer("archive", "bills", "payer", "people", "email"),
        Referrer("archive", "bills", "no_more", "people"),
        Referrer("archive", "not_made_yet", "person_id", "people"),
    )
    options: dict[str, Any] = {"delete_missing": {"people": None}, "max_deletes": 2, "referrers": referrers}
    report = place.load(mode, sources(place, people="id,email\n3,c@\n"), **options).tables["people"]
    assert (keys(place, "people"), report.deleted, report.referenced) == ([1, 2, 3], 1, 2)
    assert sorted((row.key, row.table, row.column) for row in report.referenced_rows) == [
        (1, "bills", "payer"),
        (2, "notes", "about"),
    ]


def test_verify_has_the_rows_that_are_kept_and_finds_nothing(place: Place, mode: str) -> None:
    filled(place)
    run = deleted(place, mode, users=users(1, 6)).run
    report = asyncio.run(verify(place.tables, place.databases, run))
    assert (report.findings, report.runs[0].tables["users"].referenced) == (0, 2)
    assert report.runs[0].tables["users"].deleted == 2


def test_files_of_rejects_never_delete(place: Place, mode: str) -> None:
    filled(place)
    place.load(mode, sources(place, users=f"{USERS}7,,7@\n"), rejects_dir=place.directory / "rejects")
    [path] = (place.directory / "rejects").rglob("users.csv")
    path.write_text(path.read_text().replace("7,,", "7,n,"))
    options: dict[str, Any] = {"delete_missing": {"users": None}, "max_deletes": "100%"}
    with pytest.raises(SourceError, match="is a file of rejects, which names few rows of users"):
        place.load(mode, {"users": str(path)}, **options)
    assert keys(place, "users") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"delete_missing": {"users": None}}, "--max-deletes N"),
        ({"delete_missing": {"users": None}, "max_deletes": -1}, "a number of rows, or a percentage"),
        ({"delete_missing": {"users": None}, "max_deletes": "5 %"}, "a number of rows, or a percentage"),
        ({"delete_missing": {"products": None}, "max_deletes": 1}, "no source is for products"),
        ({"delete_missing": {"users": Mark("email", "\0")}, "max_deletes": 1}, "users:email="),
        ({"delete_missing": {"users": None}, "max_deletes": 1, "append": frozenset({"users"})}, "are appended"),
        (
            {"delete_missing": {"users": None}, "max_deletes": 1, "referrers": (Referrer("x", "a", "b", "users"),)},
            "table a, which references users, is in database 'x', which is not configured",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(place: Place, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        place.load("async", sources(place, users=users(1)), **options)


def test_links_go_with_their_row_and_keep_what_they_lead_to(tmp_path: Path, store: Databases, mode: str) -> None:
    """Rows that only links of deleted rows lead to are deleted with these."""
    place = Place(tmp_path, press.TABLES, store)
    readers = f"id,email\n{press.ANN},ann@\n{press.BOB},bob@\n"
    text = "title,tags__name,readers__email\nOne,red|blue,ann@\nTwo,blue|big,bob@\n"
    given = sources(place, tags="name\nred\nblue\nbig\nnew\n", people=readers, articles=text)
    place.load(mode, given, match=press.MATCH)
    options: dict[str, Any] = {"match": press.MATCH, "max_deletes": "100%"}
    options["delete_missing"] = dict.fromkeys(("tags", "people", "articles"))
    few = sources(place, tags="name\nnew\n", people=f"id,email\n{press.ANN},ann@\n", articles="title\nOne\n")
    report = place.load(mode, few, **options)
    assert {name: (table.deleted, table.referenced) for name, table in report.tables.items()} == {
        "tags": (1, 2),
        "people": (1, 0),
        "articles": (1, 0),
    }
    assert press.tags_of(place) == [("One", "blue"), ("One", "red")]
    assert [len(place.rows(table)) for table in ("tags", "people", "articles", "readers")] == [3, 1, 1, 1]


KINDS = {
    Type.DATE: ("2024-02-29", "2024-03-01", "2024-03-02"),
    Type.DECIMAL: ("1.5", "2.50", "-3"),
    Type.BINARY: ("YQ==", "Yg==", "Yw=="),
    Type.TEXT: ("a", "A", "a b"),
    Type.REAL: ("0.1", "1e300", "-2"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_keys_may_be_of_any_type(tmp_path: Path, store: Databases, mode: str, kind: Type) -> None:
    key = Column("key", kind, digits=10, places=2) if kind is Type.DECIMAL else Column("key", kind)
    things = Table("things", "users", (key,), "key")
    uses = Table(
        "uses",
        "orders",
        (Column("id", Type.INTEGER), replace(key, name="thing")),
        references=(Reference("thing", "things"),),
    )
    place = Place(tmp_path, (things, uses), store)
    first, second, third = KINDS[kind]
    given = sources(place, things=f"key\n{first}\n{second}\n{third}\n", uses=f"id,thing\n1,{second}\n2,{third}\n")
    assert place.load(mode, given).tables["uses"].inserted == 2
    both = deleted(place, mode, ("things", "uses"), things=f"key\n{first}\n", uses=f"id,thing\n1,{second}\n")
    assert {name: (table.deleted, table.referenced) for name, table in both.tables.items()} == {
        "things": (1, 1),
        "uses": (1, 0),
    }
    assert json.loads(json.dumps(both.as_dict()))["tables"]["things"]["referenced_rows"][0]["column"] == "thing"
    report = deleted(place, mode, ("things",), things=f"key\n{second}\n").tables["things"]
    assert (report.deleted, report.referenced, len(place.rows("things"))) == (1, 0, 1)


def test_mappings_name_rows_too(place: Place, mode: str) -> None:
    filled(place)
    records = [{"id": key, "name": "n", "email": "@"} for key in (4, 6)]
    run = Run(
        place.tables,
        {"users": records},
        place.databases,
        Options(delete_missing={"users": None}, max_deletes="100%"),
        mode=mode,
    )
    assert (run.perform().tables["users"].deleted, keys(place, "users")) == (1, [1, 2, 3, 4, 6])


def test_what_is_referenced_between_the_commits_is_kept(place: Place, mode: str) -> None:
    """Rows that other databases reference are deleted once all records are committed, and looked at again then."""
    filled(place)
    given = sources(place, users=users(1), orders=orders((1, 1)))
    options = Options(delete_missing={"users": None, "orders": None}, max_deletes="100%")
    one = Run(place.tables, given, place.databases, options, mode=mode)
    commits = 0

    def before(effect: Effect) -> None:
        nonlocal commits
        if commits == 2:
            place.query("orders", "INSERT INTO orders VALUES (9, 4, 1, 1)")
            place.query("users", "INSERT INTO users VALUES (9, 'new', '@')")
            commits += 1
        commits += isinstance(effect, Change) and effect.sql == "COMMIT"

    perform(mode, one, before)
    report = one.report("complete").tables["users"]
    assert (keys(place, "users"), keys(place, "orders")) == ([1, 4, 9], [1, 9])
    assert (report.deleted, [row.key for row in report.referenced_rows]) == (3, [4])
