"""A model that references itself is loaded by the commands as any other, into each kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.project import ServedShop, Shop

pytestmark = pytest.mark.turns("any_shop")

CATEGORIES = (
    "name,parent__name\nnovels,books\nthrillers,novels\nbooks,\nlost,nowhere\nfound,lost\nround,square\nsquare,round\n"
)
PARENTS = """SELECT child.name, parent.name FROM shop_category child
    LEFT JOIN shop_category parent ON parent.id = child.parent_id ORDER BY 1"""
STORED = [("books", None), ("novels", "books"), ("round", "square"), ("square", "round"), ("thrillers", "novels")]
LOST = [
    "parent__name 'nowhere' does not exist in shop_category",
    "parent__name 'lost' does not exist in shop_category: its record, line 5, was rejected",
]


@pytest.fixture(params=["new_shop", "new_served_shop"])
def any_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Give a user's project with databases of its own, of each kind."""
    made: Shop = request.getfixturevalue(request.param)
    return made.copy_to(tmp_path)


def test_a_tree_is_loaded_and_checked(any_shop: Shop) -> None:
    source = f"shop.Category={any_shop.file('categories.csv', CATEGORIES)}"
    load = (source, "--match=shop.Category=name", "--commit-every=2")
    table = any_shop.load(*load)["tables"]["shop_category"]
    assert any_shop.query(PARENTS) == STORED
    assert (table["inserted"], table["rejected"]) == (5, 2)
    assert [reason["message"] for reject in table["rejects"] for reason in reject["reasons"]] == LOST
    again = any_shop.load(*load)["tables"]["shop_category"]
    assert (again["unchanged"], again["rejected"]) == (5, 2)
    for command in (["check_references", "shop_category"], ["verify"], ["check"]):
        done = any_shop.manage(*command)
        assert done.returncode == 0, done.stderr
        assert "shop.Category" not in done.stdout + done.stderr


def test_workers_load_a_tree_as_one_share(new_served_shop: ServedShop, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    shop = new_served_shop.copy_to(tmp_path)
    source = f"shop.Category={shop.file('categories.csv', CATEGORIES)}"
    spread = (source, "--match=shop.Category=name", "--mode=dask", "--workers=1", "--share-size=10")
    dry = shop.load(*spread, "-n")["tables"]["shop_category"]
    table = shop.load(*spread)["tables"]["shop_category"]
    assert shop.query(PARENTS) == STORED
    assert (table["inserted"], table["rejected"]) == (dry["inserted"], dry["rejected"]) == (5, 2)
