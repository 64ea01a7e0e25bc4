"""Unique constraints with conditions: asked by the load itself, as Django asks them, in every mode and store."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle, ServedShop, Shop
from tests.sample import MODES

pytestmark = pytest.mark.turns("mode", "any_shop", "oracle", "size")

Record = dict[str, str | None]
NAMES = ("flat", "tenant", "status", "ended", "rent", "main")
TENANTS, STATES, ENDS, RENTS, MAIN = (None, "Ann"), (None, "draft", "let"), (None, "2024-01-01"), (None, "99.51"), "TF"
KINDS = [
    {"tenant": tenant, "status": status, "ended": ended, "rent": rent, "main": {"T": "True", "F": "False"}[main]}
    for tenant, status, ended, rent, main in itertools.product(TENANTS, STATES, ENDS, RENTS, MAIN)
]
# Each kind beside itself and beside some others, in a flat, and of a tenant, of the pair's own.
PAIRS = [(one, KINDS[(place + step) % len(KINDS)]) for place, one in enumerate(KINDS) for step in (0, 1, 2, 5, 12, 23)]


def in_flat(number: int, record: Record) -> Record:
    tenant = record["tenant"] and f"{record['tenant']}{number}"
    return {"flat": str(number), **record, "tenant": tenant}


FIRST = [in_flat(number, one) for number, (one, _) in enumerate(PAIRS)]
SECOND = [in_flat(number, other) for number, (_, other) in enumerate(PAIRS)]


def lines(records: Sequence[Record], start: int = 1) -> str:
    rows = [[str(number), *(each[name] or "" for name in NAMES)] for number, each in enumerate(records, start)]
    return "\n".join(map(",".join, [["id", *NAMES], *rows])) + "\n"


def rejected(report: dict[str, Any]) -> set[int]:
    [table] = report["tables"].values()
    assert len(table["rejects"]) == table["rejected"]
    return {int(reject["record"]["id"]) for reject in table["rejects"]}


ONLY_DEAR = "ValidationError: {'__all__': ['Constraint “dear” is violated.']}"


def is_unknown(record: Record, problem: str) -> bool:
    """Return whether a record breaks a constraint only for Django, which takes a condition of null for a true one. In
    the index of the database there are rows alone of which the condition is true.
    """
    is_true = record["status"] == "let" and record["main"] == "False"
    return problem == ONLY_DEAR and record["rent"] is None and not is_true


@EVERY_STORE
@pytest.mark.parametrize("size", [10, 1000])
def test_they_are_judged_as_django_judges_them(oracle: Oracle, size: int) -> None:
    """In one load, against rows that are there, and in a dry run."""
    shop, most = oracle.shop, f"--report-rejects={2 * len(PAIRS)}"
    problems = oracle.ask("judge", "estate.Lease", [*FIRST, *SECOND])["problems"]
    judged = zip([*FIRST, *SECOND], problems, strict=True)
    wanted = {number for number, each in enumerate(judged, 1) if each[1] is not None and not is_unknown(*each)}
    assert 50 < len(wanted) < len(PAIRS)
    both = shop.file("both.csv", lines([*FIRST, *SECOND]))
    options = [f"--batch-size={size}", most]
    dry = oracle.manage("insert_data", f"estate.Lease={both}", "-n", *options)
    assert (rejected(dry), dry["tables"]["estate_lease"]["unasked_constraints"]) == (wanted, [])
    report = oracle.manage("insert_data", f"estate.Lease={both}", *options)
    assert rejected(report) == wanted
    # What was stored is unchanged, and what was rejected is so again, now because of rows.
    again = oracle.manage("insert_data", f"estate.Lease={both}", *options)
    assert rejected(again) == wanted
    assert again["tables"]["estate_lease"]["unchanged"] == 2 * len(PAIRS) - len(wanted)
    assert again["tables"]["estate_lease"]["reasons"] == report["tables"]["estate_lease"]["reasons"]
    oracle.ask("empty", "estate.Lease")


@pytest.fixture(params=["new_shop", "new_served_shop"])
def any_shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Give a user's project with databases of its own, of each kind."""
    made: Shop = request.getfixturevalue(request.param)
    return made.copy_to(tmp_path_factory.mktemp("shop"))


LEASES = """\
id,flat,tenant,status,ended,main
1,1,Ann,let,,True
2,2,Bob,let,,True
3,3,Cid,draft,,False
4,3,Cid,draft,,False
"""


@pytest.mark.parametrize("mode", MODES)
def test_reasons_have_the_words_of_the_constraint(any_shop: Shop, mode: str) -> None:
    old, new = any_shop.file("old.csv", LEASES), any_shop.file("new.csv", "id,flat,tenant,main\n5,1,Ann,True\n")
    first = any_shop.load(f"estate.Lease={old}", f"--mode={mode}")
    assert first["tables"]["estate_lease"]["inserted"] == 4
    [reject] = any_shop.load(f"estate.Lease={new}", f"--mode={mode}")["tables"]["estate_lease"]["rejects"]
    assert [tuple(each.values()) for each in reject["reasons"]] == [
        ("unique", "flat", "Constraint “running” is violated."),
        ("signed_twice", None, "This is signed already."),
    ]


MOVES = {
    # The first lease ends, and the flat is free.
    "id,ended,flat,main\n1,2024-05-01,1,True\n9,,1,True\n": ({1, 2, 3, 4, 9}, []),
    "id,ended,flat,main\n9,,1,True\n1,2024-05-01,1,True\n": ({1, 2, 3, 4, 9}, []),
    # The two swap flats.
    "id,flat\n1,2\n2,1\n": ({1, 2, 3, 4}, []),
    # What was a draft is one no more, as another one, whose row keeps its flat and tenant.
    "id,status\n3,let\n4,let\n": ({1, 2, 3, 4}, [4]),
    "id,main\n3,True\n4,True\n": ({1, 2, 3, 4}, [4]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [(), ("--batch-size=1",)], ids="".join)
@pytest.mark.parametrize("number", range(len(MOVES)))
def test_rows_move_in_and_out_of_the_condition(
    any_shop: Shop, mode: str, options: tuple[str, ...], number: int
) -> None:
    """Also where the source lacks columns of the constraint or of its condition, which are taken as rows have them."""
    content, (keys, wanted) = list(MOVES.items())[number]
    any_shop.load(f"estate.Lease={any_shop.file('old.csv', LEASES)}")
    moved = any_shop.file("new.csv", content)
    given = [f"estate.Lease={moved}", "--match=estate.Lease=id", "--on-conflict=update", f"--mode={mode}", *options]
    if "flat" not in content:
        given.append("--on-missing=reject")
    for extra in (["-n"], []):
        table = any_shop.load(*given, *extra)["tables"]["estate_lease"]
        assert [int(reject["record"]["id"]) for reject in table["rejects"]] == wanted
        assert table["unasked_constraints"] == []
    assert {key for (key,) in any_shop.query("SELECT id FROM estate_lease")} == keys


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("columns", ["id,name,within_id", "id,name,within__name"])
def test_names_are_unique_at_the_top_of_a_tree(any_shop: Shop, mode: str, columns: str) -> None:
    """Rooms within others are not compared, also where these come later and are looked up."""
    is_lookup = columns.endswith("name")
    hall, attic = ("hall", "attic") if is_lookup else ("2", "4")
    content = f"{columns}\n1,niche,{hall}\n2,hall,\n3,niche,{attic}\n4,attic,\n5,attic,\n6,niche,{hall}\n"
    rooms = any_shop.file("rooms.csv", content)
    table = any_shop.load(f"estate.Room={rooms}", f"--mode={mode}")["tables"]["estate_room"]
    assert table["reasons"] == {"name.unique": 1}
    assert [key for (key,) in any_shop.query("SELECT id FROM estate_room ORDER BY id")] == [1, 2, 3, 4, 6]


def test_without_its_index_a_constraint_is_not_asked(any_shop: Shop) -> None:
    """As by a database to which a migration has yet to be applied."""
    any_shop.query("DROP INDEX running")
    any_shop.load(f"estate.Lease={any_shop.file('old.csv', LEASES)}")
    more = any_shop.file("more.csv", "id,flat,main\n5,1,True\n6,2,False\n")
    table = any_shop.load(f"estate.Lease={more}")["tables"]["estate_lease"]
    assert (table["inserted"], table["rejected"]) == (2, 0)


def test_workers_ask_them_too(new_served_shop: ServedShop, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("distributed")
    shop = new_served_shop.copy_to(tmp_path_factory.mktemp("shop"))
    source = shop.file("both.csv", lines([*FIRST, *SECOND]))
    options = [f"estate.Lease={source}", f"--report-rejects={2 * len(PAIRS)}"]
    plain = shop.load(*options, "-n")["tables"]["estate_lease"]
    spread = shop.load(*options, "--mode=dask", "--workers=2")["tables"]["estate_lease"]
    assert (spread["rejects"], spread["reasons"]) == (plain["rejects"], plain["reasons"])
    assert spread["rejected"] > 50
