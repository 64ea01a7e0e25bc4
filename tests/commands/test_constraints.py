"""Constraints that only the database asks: a refusal in the words of the model, and what a dry run says of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle, ServedShop, Shop
from tests.sample import MODES

pytestmark = pytest.mark.turns("mode", "any_shop", "oracle")

SEATS = """\
id,row,letter,guest,paid
1,1,A,Ann,true
2,2,B,ann,true
3,0,C,Bob,false
4,0,H,Bob,false
5,40,D,Dan,false
6,3,I,Eve,false
7,4,E,Fay,false
8,1,A,Gus,false
9,5,F,1/2,false
"""
UNASKED = [
    "unique constraint one_seat_paid",
    "check constraint whole",
]


@pytest.fixture(params=["new_shop", "new_served_shop"])
def any_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Give a user's project with databases of its own, of each kind."""
    made: Shop = request.getfixturevalue(request.param)
    return made.copy_to(tmp_path)


# What a dry run sees of them: constraints whose conditions can be said in columns.
DRY = {"guest.unique": 1, "letter.check": 1, "row.check": 1, "taken": 1}


def reasons(table: dict[str, Any]) -> dict[int, list[tuple[str, Any, str]]]:
    """Return the reasons of rejects by the key of their record."""
    return {
        int(reject["record"]["id"]): [(each["code"], each["column"], each["message"]) for each in reject["reasons"]]
        for reject in table["rejects"]
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [(), ("--commit-every=2",), ("--batch-size=1",)], ids="".join)
def test_a_refusal_has_the_code_and_the_message_of_the_model(
    any_shop: Shop, mode: str, options: tuple[str, ...]
) -> None:
    seats = any_shop.file("seats.csv", SEATS)
    table = any_shop.load(f"shop.Seat={seats}", f"--mode={mode}", *options)["tables"]["shop_seat"]
    assert (table["inserted"], table["rejected"], table["unasked_constraints"]) == (3, 6, [])
    found = reasons(table)
    assert found[2] == [("paid_twice", None, "Nobody pays for\\u000atwo seats.")]
    assert found[4] == [("unique", "guest", "front: once in the first row is enough.")]
    assert found[5] == [("check", "row", "The hall has 40 rows.")]
    assert found[6] == [("check", "letter", "Constraint “no_i” is violated.")]
    assert found[9] == [("refused", None, "No two halves.")]
    assert found[8] == [("taken", None, "That seat is taken.")]
    assert table["reasons"] == {
        "guest.unique": 1,
        "letter.check": 1,
        "paid_twice": 1,
        "refused": 1,
        "row.check": 1,
        "taken": 1,
    }
    [listed] = any_shop.manage("rejects", "show", "--reason=paid_twice").stdout.splitlines()[2:]
    assert listed == "  paid_twice: Nobody pays for\\u000atwo seats."


@pytest.mark.parametrize("mode", MODES)
def test_a_dry_run_names_the_constraints_that_it_cannot_ask(any_shop: Shop, mode: str) -> None:
    seats = any_shop.file("seats.csv", SEATS)
    options = ("-n", f"--mode={mode}", "--no-progress")
    table = any_shop.load(f"shop.Seat={seats}", *options)["tables"]["shop_seat"]
    assert (table["inserted"], table["reasons"], table["unasked_constraints"]) == (5, DRY, UNASKED)
    line = f"shop_seat: a dry run cannot ask {', '.join(UNASKED)}; the database may refuse more records"
    assert line in any_shop.manage("insert_data", f"shop.Seat={seats}", *options).stdout.splitlines()
    many = any_shop.file("many.csv", "row,letter\n" + "".join(f"{row},A\n" for row in range(101)))
    done = any_shop.manage("insert_data", f"shop.Seat={many}", "--append=shop.Seat", *options)
    assert line in done.stdout.splitlines()


def test_a_dry_run_says_nothing_of_what_the_loader_asks_itself(any_shop: Shop) -> None:
    """Keys, unique columns, numbers that are not negative, JSON, and what is asked of rows that are deleted."""
    customers = any_shop.file("c.csv", "name,email,seen\nA,a@example.com,\n")
    report = any_shop.load(f"shop.Customer={customers}", "--append=shop.Customer", "-n")
    assert report["tables"]["shop_customer"]["unasked_constraints"] == []


def test_workers_say_what_a_dry_run_cannot_ask(new_served_shop: ServedShop, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    shop = new_served_shop.copy_to(tmp_path)
    seats = shop.file("seats.csv", SEATS)
    table = shop.load(f"shop.Seat={seats}", "-n", "--mode=dask", "--workers=1")["tables"]["shop_seat"]
    assert table["unasked_constraints"] == UNASKED
    loaded = shop.load(f"shop.Seat={seats}", "--mode=dask", "--workers=1")["tables"]["shop_seat"]
    assert (loaded["inserted"], loaded["unasked_constraints"]) == (3, [])
    assert loaded["reasons"] == DRY | {"refused": 1, "paid_twice": 1}


def test_triggers_and_conditions_that_only_the_database_has_are_named(shop: Shop) -> None:
    shop.query(
        'CREATE TRIGGER "a ) trigger" BEFORE INSERT ON shop_product WHEN new.price > 5 '
        "BEGIN SELECT RAISE(ABORT, 'dear'); END"
    )
    shop.query("CREATE TRIGGER gone AFTER DELETE ON shop_product BEGIN SELECT 1; END")
    shop.query("CREATE UNIQUE INDEX folded ON shop_product (sku COLLATE NOCASE)")
    shop.query("CREATE TABLE checked (id INTEGER PRIMARY KEY, n INTEGER -- CHECK (n)\n CHECK ( n <> ')' ))")
    products = shop.file("p.csv", "sku,price\na,1\n")
    table = shop.load(f"shop.Product={products}", "-n")["tables"]["shop_product"]
    assert table["unasked_constraints"] == ["unique constraint folded", "trigger a ) trigger"]


def test_exclusion_constraints_and_triggers_of_a_server_are_named(new_served_shop: ServedShop, tmp_path: Path) -> None:
    shop = new_served_shop.copy_to(tmp_path)
    shop.query("ALTER TABLE shop_product ADD CONSTRAINT apart EXCLUDE USING btree (price WITH =)")
    shop.query("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'")
    for name, when in (("looks", "BEFORE INSERT OR UPDATE"), ("gone", "AFTER DELETE")):
        shop.query(f"CREATE TRIGGER {name} {when} ON shop_product FOR EACH ROW EXECUTE FUNCTION nothing()")
    products = shop.file("p.csv", "sku,price\na,1\nb,1\n")
    table = shop.load(f"shop.Product={products}", "-n")["tables"]["shop_product"]
    assert table["unasked_constraints"] == ["exclusion constraint apart", "trigger looks"]


DAYS, ROOMS, PRICES, TYPES = ["", "2024-01-01", "2024-01-02"], ["", "0", "3"], ["", "0.49", "100.00"], ["suite", "none"]
STAYS = [
    {"first": first, "last": last, "rooms": rooms, "price": price, "kind": kind, "paid": paid}
    for first, last, rooms, price, kind, paid in itertools.product(DAYS, DAYS, ROOMS, PRICES, TYPES, ["True", "False"])
]


@EVERY_STORE
def test_check_constraints_are_judged_as_django_judges_them_and_a_dry_run_says_so(
    oracle: Oracle, tmp_path: Path
) -> None:
    path = tmp_path / "stays.csv"
    lines = [",".join([str(number), *each.values()]) for number, each in enumerate(STAYS)]
    path.write_text("\n".join(["id," + ",".join(STAYS[0]), *lines, ""]))
    given = [{name: value or None for name, value in each.items()} for each in STAYS]
    problems = oracle.ask("judge", "shop.Stay", given)["problems"]
    wanted = {number for number, problem in enumerate(problems) if problem is not None}
    for options in (["--dry-run"], []):
        report = oracle.manage("insert_data", f"shop.Stay={path}", f"--report-rejects={len(STAYS)}", *options)
        table = report["tables"]["shop_stay"]
        assert {int(reject["record"]["id"]) for reject in table["rejects"]} == wanted
        assert (set(table["reasons"]), table["unasked_constraints"]) == ({"check", "unfair"}, [])
    assert {"code": "unfair", "column": None, "message": "That is no fair price."} in table["rejects"][0]["reasons"]
