"""Multi-table inheritance: a record fills rows of several tables, or none, in every mode and store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle, ServedShop, Shop
from tests.sample import MODES

pytestmark = pytest.mark.turns("mode", "any_shop", "oracle")

SCHOOLS = """\
id,code,street,floors,pupils,head
1,a,Oak,2,10,Ann
2,b,Elm,1,20,
3,a,Ash,1,1,
4,d,Ash,300,1,
5,e,Ash,1,1,A/B
6,f,Ash,1,many,Cid
7,g,Ash,0,1,Ann
8,h,Ash,0,1,
9,i,Ash,0,1,
1,j,Ash,1,1,
"""
REASONS = {
    "code.unique": 1,
    "floors.high": 1,
    "refused": 1,
    "pupils.not_integer": 1,
    "head.unique": 1,
    "street.unique": 1,
    "id.duplicate": 1,
}
ROWS = [(1, "a", "Oak", 2, 10, "Ann"), (2, "b", "Elm", 1, 20, None), (8, "h", "Ash", 0, 1, None)]


@pytest.fixture(params=["new_shop", "new_served_shop"])
def any_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Give a user's project with databases of its own, of each kind."""
    made: Shop = request.getfixturevalue(request.param)
    return made.copy_to(tmp_path)


def schools(shop: Shop) -> list[tuple[Any, ...]]:
    """Return the schools as both tables have them."""
    columns = "id, code, street, floors, pupils, head"
    rows = shop.query(f"SELECT {columns} FROM estate_building JOIN estate_school ON building_ptr_id = id ORDER BY id")
    assert shop.query("SELECT count(*) FROM estate_school") == [(len(rows),)]
    return rows


def counts(table: dict[str, Any]) -> tuple[int, ...]:
    return tuple(table[name] for name in ("inserted", "updated", "unchanged", "rejected"))


def messages(table: dict[str, Any]) -> list[str]:
    return [reason["message"] for reject in table["rejects"] for reason in reject["reasons"]]


def load(shop: Shop, label: str, content: str, *options: str) -> dict[str, Any]:
    """Load a source into one table, and return what the report says of it."""
    [table] = shop.load(f"{label}={shop.file('given.csv', content)}", *options)["tables"].values()
    assert isinstance(table, dict)
    return table


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [(), ("--batch-size=1",), ("--commit-every=2",)], ids="".join)
def test_a_record_fills_rows_of_both_tables_or_none(any_shop: Shop, mode: str, options: tuple[str, ...]) -> None:
    """By keys. What a constraint of the child refuses leaves no row of the parent."""
    dry = load(any_shop, "estate.School", SCHOOLS, "-n", f"--mode={mode}")
    assert dry["reasons"] == {code: 1 for code in REASONS if code != "refused"}
    assert dry["unasked_constraints"] == ["check constraint one_head"]
    table = load(any_shop, "estate.School", SCHOOLS, f"--mode={mode}", *options)
    assert (table["reasons"], counts(table)) == (REASONS, (3, 0, 0, 7))
    assert schools(any_shop) == ROWS
    assert any_shop.query("SELECT id FROM estate_building ORDER BY id") == [(1,), (2,), (8,)]
    again = load(any_shop, "estate.School", SCHOOLS, f"--mode={mode}", *options, "--restart")
    assert (again["reasons"], counts(again)) == (REASONS | {"street.unique": 2}, (0, 0, 3, 7))
    for command in (["verify"], ["check_references", "estate.School"]):
        done = any_shop.manage(*command)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [(), ("--batch-size=1",)], ids="".join)
def test_columns_of_either_side_are_updated(any_shop: Shop, mode: str, options: tuple[str, ...]) -> None:
    load(any_shop, "estate.School", SCHOOLS)
    updating = ["--match=estate.School=id", "--on-missing=reject", "--on-conflict=update", f"--mode={mode}", *options]
    own = load(any_shop, "estate.School", "building_ptr,pupils\n1,11\n2,20\n70,1\n", *updating)
    parents = load(any_shop, "estate.School", "id,street\n2,Fir\n", *updating)
    # Both at once, of which one breaks a constraint of its own table, so that its row stays as it is.
    both = load(any_shop, "estate.School", "id,floors,head\n1,3,A/C\n2,4,Bob\n", *updating)
    assert [counts(each) for each in (own, parents, both)] == [(0, 1, 1, 1), (0, 1, 0, 0), (0, 1, 0, 1)]
    assert (own["reasons"], both["reasons"]) == ({"id.no_match": 1}, {"refused": 1})
    assert schools(any_shop)[:2] == [(1, "a", "Oak", 2, 11, "Ann"), (2, "b", "Fir", 4, 20, "Bob")]
    # Rows exchange unique values of each table.
    swapped = load(any_shop, "estate.School", "id,code,head\n1,b,Bob\n2,a,Ann\n", *updating)
    assert counts(swapped) == (0, 2, 0, 0)
    assert [(row[1], row[5]) for row in schools(any_shop)[:2]] == [("b", "Bob"), ("a", "Ann")]
    by_link = ["--match=estate.School=building_ptr", "--on-missing=reject"]
    named = load(any_shop, "estate.School", "building_ptr_id,floors\n1,2\n", *by_link)
    assert counts(named) == (0, 0, 1, 0)
    differing = load(any_shop, "estate.School", "id,pupils,floors,code,street\n1,99,99,b,Oak\n", f"--mode={mode}")
    [message] = messages(differing)
    assert message.startswith("id 1 is in the database with other values: ")
    assert "pupils 11, not 99" in message
    assert "floors 2, not 99" in message


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [(), ("--batch-size=1",), ("--commit-every=1",)], ids="".join)
def test_rows_are_found_by_columns_of_either_table_and_get_keys_of_the_parent(
    any_shop: Shop, mode: str, options: tuple[str, ...]
) -> None:
    load(any_shop, "estate.Plain", "code,street\np,Oak\n", "--append=estate.Plain")
    rest = ["--on-conflict=update", f"--mode={mode}", *options]
    by_code = ["--match=estate.School=code", *rest]
    first = load(any_shop, "estate.School", "code,street,head\na,Oak,Ann\nb,Elm,Bob\np,Fir,\n", *by_code)
    # Another row of the parent has the code, and is no school.
    assert (counts(first), first["reasons"]) == ((2, 0, 0, 1), {"code.unique": 1})
    by_head = load(
        any_shop,
        "estate.School",
        "head,pupils,code,street\nBob,5,b,Ash\nCid,6,c,Ash\n",
        "--match=estate.School=head",
        *rest,
    )
    both = load(
        any_shop, "estate.School", "street,head,pupils,code\nAsh,Cid,7,c\n", "--match=estate.School=street,head", *rest
    )
    assert (counts(by_head), counts(both)) == ((1, 1, 0, 0), (0, 1, 0, 0))
    assert [row[1:] for row in schools(any_shop)] == [
        ("a", "Oak", 1, 0, "Ann"),
        ("b", "Ash", 1, 5, "Bob"),
        ("c", "Ash", 1, 7, "Cid"),
    ]
    [(plain,)] = any_shop.query("SELECT building_ptr_id FROM estate_plain")
    foreign = load(
        any_shop, "estate.School", f"id,code,street\n{plain},z,Oak\n", f"--mode={mode}", "--on-conflict=update"
    )
    assert foreign["reasons"] == {"id.exists": 1}
    assert messages(foreign) == [f"id {plain} is the key of a row of estate_building that is none of estate_school"]
    assert any_shop.query(f"SELECT code FROM estate_building WHERE id = {plain}") == [("p",)]


@EVERY_STORE
def test_the_orm_reads_what_was_loaded_and_goes_on(oracle: Oracle, tmp_path: Path) -> None:
    """Three tables deep, and with a table that has nothing but its key; the next key is free."""
    colleges, plains = tmp_path / "colleges.csv", tmp_path / "plains.jsonl"
    colleges.write_text("id,code,street,title,pupils\n5,k,Oak,univ,3\n6,l,Oak,tech,4\n")
    plains.write_text('{"code": "p", "street": "Elm"}\n{"code": "q", "street": "Elm"}\n')
    oracle.manage("insert_data", f"estate.College={colleges}")
    oracle.manage("insert_data", f"estate.Plain={plains}", "--append=estate.Plain")
    names = ["pk", "id", "code", "floors"]
    assert oracle.ask("values", "estate.College", [*names, "pupils", "title"]) == [
        ["5", "5", "'k'", "1", "3", "'univ'"],
        ["6", "6", "'l'", "1", "4", "'tech'"],
    ]
    assert oracle.ask("values", "estate.School", names) == [["5", "5", "'k'", "1"], ["6", "6", "'l'", "1"]]
    assert [row[2] for row in oracle.ask("values", "estate.Plain", names)] == ["'p'", "'q'"]
    oracle.add("estate.College", [{"code": "n", "street": "Elm", "title": "next"}])
    assert len(oracle.ask("values", "estate.Building", names)) == 5
    for label in ("estate.Building",):
        oracle.ask("empty", label)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [(), ("-n",), ("--commit-every=1",)], ids="".join)
def test_others_reference_the_child_and_its_parent_in_one_run(
    any_shop: Shop, mode: str, options: tuple[str, ...]
) -> None:
    load(any_shop, "estate.Plain", "id,code,street\n1,p,Oak\n")
    new = any_shop.file("schools.csv", "id,code,street\n2,a,Oak\n3,a,Elm\n")
    keys = any_shop.file("keys.csv", "id,school_id,building_id\n1,2,2\n2,,1\n3,1,1\n4,3,3\n")
    codes = any_shop.file("codes.csv", "id,school__code,building__code\n5,a,a\n6,,p\n7,p,\n")
    given = [f"estate.Visit={keys}", f"estate.School={new}", f"--mode={mode}", *options]
    visits = any_shop.load(*given)["tables"]["estate_visit"]
    assert visits["reasons"] == {"school_id.exists_in": 2, "building_id.exists_in": 1}
    given = [f"estate.Visit={codes}", f"estate.School={new}", f"--mode={mode}", *options]
    visits = any_shop.load(*given)["tables"]["estate_visit"]
    assert visits["reasons"] == {"school_id.exists_in": 1}
    if "-n" not in options:
        assert any_shop.query("SELECT id, school_id, building_id FROM estate_visit ORDER BY id") == [
            (1, 2, 2),
            (2, None, 1),
            (5, 2, 2),
            (6, None, 1),
        ]


def test_two_tables_that_store_rows_of_one_parent_are_loaded_one_after_the_other(any_shop: Shop) -> None:
    path = any_shop.file("a.csv", "id,code,street\n1,a,Oak\n")
    for label, other in (("estate.Building", "estate_building"), ("estate.Plain", "estate_plain")):
        refused = any_shop.manage("insert_data", f"{label}={path}", f"estate.School={path}")
        assert refused.returncode in (1, 2)
        assert "both store rows of estate_building; load them one after the other" in refused.stderr
        assert other in refused.stderr


def test_rows_that_no_record_names_are_not_deleted(any_shop: Shop) -> None:
    path = any_shop.file("a.csv", "id,code,street\n1,a,Oak\n")
    refused = any_shop.manage(
        "insert_data", f"estate.School={path}", "--delete-missing=estate.School", "--max-deletes=1"
    )
    assert refused.returncode == 2
    assert "its rows lie in several tables" in refused.stderr


@pytest.mark.parametrize("mode", MODES)
def test_rows_of_a_tree_have_parents_of_both_kinds(any_shop: Shop, mode: str) -> None:
    content = "code,street,main__code\nc,Oak,b\nb,Oak,a\na,Oak,\nx,Oak,y\n"
    table = load(any_shop, "estate.Annex", content, "--append=estate.Annex", f"--mode={mode}")
    assert (counts(table), table["reasons"]) == ((3, 0, 0, 1), {"main_id.exists_in": 1})
    rows = any_shop.query(
        "SELECT own.code, other.code FROM estate_annex JOIN estate_building AS own ON own.id = building_ptr_id "
        "LEFT JOIN estate_building AS other ON other.id = main_id ORDER BY own.code"
    )
    assert rows == [("a", None), ("b", "a"), ("c", "b")]


def test_links_of_the_child_are_columns_and_those_of_the_parent_are_loaded_by_themselves(any_shop: Shop) -> None:
    load(any_shop, "estate.Owner", "id,name\n1,Ann\n2,Bob\n")
    load(any_shop, "estate.School", "id,code,street,friends__name,owner__name\n1,a,Oak,Ann|Bob,Bob\n")
    assert any_shop.query("SELECT school_id, owner_id FROM estate_school_friends ORDER BY owner_id") == [(1, 1), (1, 2)]
    assert any_shop.query("SELECT owner_id FROM estate_building") == [(2,)]
    tagged = any_shop.file("t.csv", "id,code,street,tags\n2,b,Oak,1\n")
    refused = any_shop.manage("insert_data", f"estate.School={tagged}")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "it is a field of estate.Building; load estate.Building.tags by itself" in refused.stderr
    load(any_shop, "estate.Building.tags", "building_id,owner_id\n1,2\n")
    assert any_shop.query("SELECT building_id, owner_id FROM estate_building_tags") == [(1, 2)]


def test_the_whole_record_is_cleaned(any_shop: Shop) -> None:
    any_shop.environment["PROJECT_TABLES"] = "press.tables.tables"
    content = "code,street,floors,pupils\na,Oak,30,1\nb,Oak,30,50\n"
    table = load(any_shop, "estate.School", content)
    assert (table["reasons"], counts(table)) == ({"floors.too_high": 1}, (1, 0, 0, 1))
    assert schools(any_shop)[0][1:5] == ("b", "Oak", 30, 50)


def test_receivers_get_the_keys_of_the_parent(any_shop: Shop) -> None:
    any_shop.environment["PROJECT_LISTENS"] = "1"
    load(any_shop, "estate.School", "id,code,street\n7,a,Oak\n9,b,Oak\n")
    [line] = (any_shop.directory / "loaded.jsonl").read_text().splitlines()
    said = json.loads(line)
    assert (said["model"], said["keys"], said["seen"]) == ("School", ["7", "9"], 2)


def test_a_stored_reject_is_tried_again(any_shop: Shop) -> None:
    content = "id,code,street,owner__name\n1,a,Oak,Zed\n2,b,Oak,\n"
    assert load(any_shop, "estate.School", content)["reasons"] == {"owner_id.exists_in": 1}
    load(any_shop, "estate.Owner", "id,name\n1,Zed\n")
    assert any_shop.manage("rejects", "retry").returncode == 0
    assert [row[1] for row in schools(any_shop)] == ["a", "b"]


def test_workers_load_them_too(new_served_shop: ServedShop, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    shop = new_served_shop.copy_to(tmp_path)
    spread = ["--mode=dask", "--workers=1", "--no-progress"]
    table = load(shop, "estate.School", SCHOOLS, *spread)
    assert (table["reasons"], schools(shop)) == (REASONS, ROWS)
    visits = load(shop, "estate.Visit", "id,school_id,building__code\n1,1,b\n2,77,a\n", *spread)
    assert (visits["reasons"], counts(visits)) == ({"school_id.exists_in": 1}, (1, 0, 0, 1))
    given = [f"estate.{label}={tmp_path / 'given.csv'}" for label in ("School", "Visit")]
    refused = shop.manage("insert_data", *given, *spread)
    assert refused.returncode == 2
