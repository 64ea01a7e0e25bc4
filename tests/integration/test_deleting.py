"""Rows that no record of a run names are deleted, unless something else names them; or they are marked."""

from __future__ import annotations

from typing import Any

from tests.sample import Place

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
