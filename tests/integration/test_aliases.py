"""Databases that are one database under several names share one connection and one transaction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from async_loader import ReferenceCheck, RejectFilter, StoredRejects, StoreError, Verification, init
from tests.sample import ORDERS, PRODUCTS, USERS, Place
from tests.stores import Databases

SOURCES = {
    "users": "id,name,email\n1,Ann,a@x.org\n2,,b@x.org\n3,Cy,c@x.org\n",
    "products": "id,name,price\n7,Pen,1.5\n",
    "orders": "id,user_id,product_id,quantity\n1,1,7,1\n2,2,7,1\n3,3,7,2\n",
}


@pytest.fixture
def one(tmp_path: Path, store: Databases) -> Place:
    """Give the sample's tables in one database, each under a name of its own for it; the target's name comes first."""
    tables = tuple(
        replace(table, database=f"{place} {table.name}") for place, table in enumerate([USERS, PRODUCTS, ORDERS])
    )
    place = Place(tmp_path, tables[:1], store=store)
    place.tables, [where] = tables, place.databases.values()
    place.databases = {table.database: where for table in tables}
    init(tables, place.databases)
    return place


def sources_of(place: Place, *names: str) -> dict[str, str]:
    """Write sources; their paths by table."""
    return {name: place.file(f"{name}.csv", SOURCES[name]) for name in names}


@pytest.mark.parametrize("commit_every", [0, 1])
def test_they_are_loaded_together(one: Place, mode: str, commit_every: int) -> None:
    report = one.load(mode, sources_of(one, *SOURCES), lock_timeout=1, commit_every=commit_every)
    assert {name: table.database for name, table in report.tables.items()} == {
        "users": "0 users",
        "products": "1 products",
        "orders": "2 orders",
    }
    assert report.tables["orders"].reasons == {"user_id.exists_in": 1}
    assert [row[0] for row in one.rows("orders")] == [1, 3]
    assert one.load(mode, sources_of(one, *SOURCES), lock_timeout=1).tables["orders"].unchanged == 2


def test_a_dry_run_reads_one_state(one: Place, mode: str) -> None:
    report = one.load(mode, sources_of(one, *SOURCES), lock_timeout=1, dry_run=True)
    assert report.tables["orders"].inserted == 2
    assert one.rows("users") == []


def test_one_that_is_only_read_comes_first(one: Place, mode: str) -> None:
    one.load(mode, sources_of(one, "users", "products"), lock_timeout=1)
    one.load(mode, sources_of(one, "orders"), lock_timeout=1)
    assert [row[0] for row in one.rows("orders")] == [1, 3]


def test_what_is_stored_is_looked_at_under_each_name(one: Place, mode: str) -> None:
    one.load(mode, sources_of(one, *SOURCES), lock_timeout=1)
    assert Verification(one.tables, one.databases, lock_timeout=1).perform().findings == 0
    assert ReferenceCheck(one.tables, one.databases, lock_timeout=1).perform().rejected == 0


def test_a_reject_is_listed_and_discarded_once(one: Place, mode: str) -> None:
    one.load(mode, sources_of(one, *SOURCES), lock_timeout=1)
    stored = StoredRejects(one.tables, one.databases, lock_timeout=1)
    assert [[table.stored for table in run.tables] for run in stored.overview()] == [[1, 0, 1]]
    assert stored.count(RejectFilter()) == {"users": 1, "orders": 1}
    assert stored.discard(RejectFilter(table="users"), lambda _: True) == 1
    assert stored.count(RejectFilter()) == {"orders": 1}


@pytest.mark.only("postgresql")
def test_two_names_that_use_it_in_different_ways_are_one_line(one: Place, mode: str) -> None:
    first, *_, last = one.databases
    one.databases[last] = f"{one.databases[first]}%2Cpublic"
    with pytest.raises(StoreError, match="database 2 orders: is the database of 0 users too, with another role"):
        one.load(mode, sources_of(one, *SOURCES), lock_timeout=1)
    one.load(mode, sources_of(one, "users", "products"), lock_timeout=1)
    assert one.load(mode, sources_of(one, "orders"), lock_timeout=1).tables["orders"].inserted == 2
