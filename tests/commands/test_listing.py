"""The list of a small load: each row as it is stored, under what became of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import Project
from tests.commands.project import ServedShop, Shop
from tests.sample import MODES

TWO = "sku,price,active\na,1,false\nb,2,false\n"


@pytest.fixture(params=["new_shop", "new_served_shop"])
def any_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Give a user's project with databases of its own, of each kind."""
    made: Shop = request.getfixturevalue(request.param)
    return made.copy_to(tmp_path)


def listed(shop: Shop, *arguments: str) -> dict[str, list[str]]:
    """Return the rows that a load lists, by what became of them."""
    done = shop.manage("insert_data", *arguments, "--no-progress")
    assert done.returncode == 0, done.stderr
    lists: dict[str, list[str]] = {}
    for paragraph in done.stdout.split("\n\n")[1:]:
        title, *rows = paragraph.splitlines()
        lists[title.partition("(")[2].removesuffix("):")] = rows
    return lists


def stored(shop: Shop) -> list[str]:
    sql = "SELECT sku, price, since, CAST(tags AS text), active FROM shop_product ORDER BY sku"
    return [
        f"({sku!r}, {float(price):.2f}, {since}, {tags!r}, {bool(active)})"
        for sku, price, since, tags, active in shop.query(sql)
    ]


@pytest.mark.parametrize("mode", MODES)
def test_the_list_has_what_is_stored(any_shop: Shop, mode: str) -> None:
    options = (f"--mode={mode}", "--on-conflict=update")
    first = any_shop.file("all.csv", 'sku,price,since,tags,active\na,1,2024-01-02,"[1]",false\nb,2,,[],true\n')
    assert listed(any_shop, f"shop.Product={first}", *options) == {"Inserted": stored(any_shop), "Skipped": []}
    second = any_shop.file("some.csv", "sku,price\na,1.5\nb,2\nc,3\n")
    changed, same, new = [
        "('a', 1.50, 2024-01-02, '[1]', False)",
        "('b', 2.00, None, '[]', True)",
        "('c', 3.00, None, '[]', True)",
    ]
    expected = {"Inserted": [new], "Updated": [changed], "Unchanged": [same], "Skipped": []}
    assert listed(any_shop, f"shop.Product={second}", *options, "-n") == expected
    assert listed(any_shop, f"shop.Product={second}", *options) == expected
    assert stored(any_shop) == [changed, same, new]


@pytest.mark.parametrize("mode", MODES)
def test_generated_keys_are_listed_as_they_are_stored(any_shop: Shop, mode: str) -> None:
    path = any_shop.file("legacy.csv", "number\n7\n9\n")
    options = ("--match=legacy=number", f"--mode={mode}")
    rows = listed(any_shop, f"legacy={path}", *options)["Inserted"]
    keys = [key for (key,) in any_shop.query("SELECT id FROM legacy ORDER BY number")]
    assert rows == [f"({keys[0]}, 7, None)", f"({keys[1]}, 9, None)"]
    assert listed(any_shop, f"legacy={path}", *options) == {"Inserted": [], "Unchanged": rows, "Skipped": []}


def test_what_a_record_of_json_lines_lacks_is_listed_as_its_row_holds_it(any_shop: Shop) -> None:
    any_shop.load(f"shop.Product={any_shop.file('a.csv', TWO)}")
    path = any_shop.file(
        "b.jsonl", '{"sku": "a", "price": 5}\n{"sku": "b", "active": true}\n{"sku": "c", "price": 3}\n'
    )
    lists = listed(any_shop, f"shop.Product={path}", "--on-conflict=update")
    assert lists["Updated"] == ["('a', 5.00, None, '[]', False)", "('b', 2.00, None, '[]', True)"]
    assert lists["Inserted"] == ["('c', 3.00, None, '[]', True)"]


def test_a_trigger_of_the_database_is_seen_in_the_list(shop: Shop) -> None:
    shop.query(
        "CREATE TRIGGER dearer AFTER INSERT ON shop_product "
        "BEGIN UPDATE shop_product SET price = price + 1 WHERE sku = new.sku; END"
    )
    path = shop.file("a.csv", "sku,price\na,1\n")
    assert listed(shop, f"shop.Product={path}")["Inserted"] == ["('a', 2.00, None, '[]', True)"]


def test_workers_list_what_is_stored(new_served_shop: ServedShop, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    shop = new_served_shop.copy_to(tmp_path)
    shop.load(f"shop.Product={shop.file('a.csv', TWO)}")
    path = shop.file("b.csv", "sku,price\na,5\nb,2\nc,3\n")
    assert listed(shop, f"shop.Product={path}", "--on-conflict=update", "--mode=dask", "--workers=1") == {
        "Inserted": ["('c', 3.00, None, '[]', True)"],
        "Updated": ["('a', 5.00, None, '[]', False)"],
        "Unchanged": ["('b', 2.00, None, '[]', False)"],
        "Skipped": [],
    }


def test_the_run_of_all_declared_tables_prints_the_same_when_nothing_is_left_to_insert(project: Project) -> None:
    printed = project.call("insert_data").stdout
    assert "(Inserted)" in printed
    assert "(Unchanged)" not in printed
    assert project.call("insert_data").stdout == printed
    assert "USERS TABLE (Unchanged):" in project.call("insert_data", "users=data/users.csv").stdout
    project.change("users", "DELETE FROM users WHERE id = 9")
    lists = project.call("insert_data").stdout.split("\n\n")
    assert next(each for each in lists if each.startswith("USERS TABLE (Inserted)")).count("\n") == 1
    assert next(each for each in lists if each.startswith("USERS TABLE (Unchanged)")).count("\n") == 8
