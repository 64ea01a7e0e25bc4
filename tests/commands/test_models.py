"""Models of a project that has the package installed: every type in every format and mode, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle, Shop
from tests.sample import MODES

ANN, BOB, CID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "0" * 31 + "1", "0" * 31 + "2"
AT = datetime(2024, 7, 1, 10, 0, 0, 5, UTC)
Record = dict[str, Any]

CUSTOMERS: list[Record] = [
    {"id": ANN, "name": "Ann", "email": "ann@a.de", "nickname": "ann", "status": "old", "level": 5, "seen": AT},
    {"id": BOB, "name": "Bob", "email": "bob@a.de", "nickname": None, "status": "new", "level": -5, "seen": None},
    {"id": CID, "name": "Cid", "email": "ann@a.de", "nickname": None, "status": "new", "level": 0, "seen": None},
    {"id": "x", "name": "", "email": "cid", "nickname": "cid", "status": "new", "level": 1, "seen": None},
]
PRODUCTS: list[Record] = [
    {
        "sku": "a-1",
        "price": Decimal("1.10"),
        "introduced": date(2024, 2, 29),
        "tags": ["x", {"y": 1.5}],
        "active": True,
    },
    {"sku": "A-1", "price": Decimal("-0.05"), "introduced": None, "tags": [], "active": False},
    {"sku": "a-1", "price": Decimal("2.00"), "introduced": None, "tags": [], "active": False},
    {"sku": "=1+1", "price": Decimal("2.00"), "introduced": date(1, 1, 1), "tags": {}, "active": False},
    {"sku": "a-3", "price": Decimal("999999.99"), "introduced": date(9999, 12, 31), "tags": "é", "active": True},
]
ORDERS: list[Record] = [
    {"id": 1, "customer_id": ANN, "product_id": "a-1", "taken_by_id": None, "at": AT, "amount": 1},
    {"id": 2, "customer_id": BOB, "product_id": None, "taken_by_id": 1, "at": AT.replace(year=9999), "amount": 0},
    {"id": 3, "customer_id": CID, "product_id": "a-2", "taken_by_id": 2, "at": AT, "amount": -1},
    {"id": 4, "customer_id": BOB, "product_id": "A-1", "taken_by_id": None, "at": AT.replace(year=1), "amount": 2},
]
CARDS: list[Record] = [
    {"customer_id": ANN, "number": 1, "product_id": "a-1"},
    {"customer_id": BOB, "number": 1, "product_id": None},
    {"customer_id": BOB, "number": 2, "product_id": "a-1"},
    {"customer_id": BOB, "number": 2, "product_id": None},
    {"customer_id": CID, "number": 3, "product_id": None},
]
TABLES: dict[str, list[Record]] = {
    "shop.Customer": CUSTOMERS,
    "shop.Product": PRODUCTS,
    "shop.Order": ORDERS,
    "shop.Card": CARDS,
}


def as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def write_csv(path: Path, records: Sequence[Record]) -> None:
    texts = [
        {name: json.dumps(value) if name == "tags" else as_text(value) for name, value in each.items()}
        for each in records
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(texts)


def write_json_lines(path: Path, records: Sequence[Record]) -> None:
    def known(value: Any) -> Any:
        if isinstance(value, Decimal):
            return float(value)
        return str(value) if isinstance(value, date) else value

    path.write_text(
        "".join(json.dumps({name: known(value) for name, value in each.items()}) + "\n" for each in records)
    )


def write_parquet(path: Path, records: Sequence[Record]) -> None:
    columns = {
        name: [json.dumps(each[name]) if name == "tags" else each[name] for each in records] for name in records[0]
    }
    pa.parquet.write_table(pa.table(columns), path)


WRITERS = {"csv": write_csv, "jsonl": write_json_lines, "parquet": write_parquet}


def sources(directory: Path, kind: str, tables: Mapping[str, list[Record]] = TABLES) -> list[str]:
    """Write a file for each table, and return the arguments that name them."""
    arguments = []
    for label, records in tables.items():
        path = directory / f"{label}.{kind}"
        WRITERS[kind](path, records)
        arguments.append(f"{label}={path}")
    return arguments


@pytest.fixture
def emptied(oracle: Oracle) -> Iterator[Oracle]:
    """Give the project, with empty tables but for one user."""
    oracle.add("auth.User", [{"id": 1, "username": "clerk"}])
    yield oracle
    for label in ["shop.Order", "shop.Card", "shop.Customer", "shop.Product", "auth.User"]:
        oracle.ask("empty", label)


def counts(report: dict[str, Any], *names: str) -> dict[str, list[int]]:
    return {table: [facts[name] for name in names] for table, facts in report["tables"].items()}


def stored(oracle: Oracle) -> dict[str, list[list[str]]]:
    """Return all that the ORM reads, except when a customer was stored."""
    found: dict[str, list[list[str]]] = {label: oracle.ask("rows", label)["read"] for label in TABLES}
    return found | {"shop.Customer": [[row[0], *row[4:]] for row in found["shop.Customer"]]}


def as_read(*rows: Sequence[Any]) -> list[list[str]]:
    return [[repr(value) for value in row] for row in rows]


STORED = {
    "shop.Customer": as_read(
        [UUID(BOB), "Bob", "bob@a.de", None, "BOB", "new", -5, None],
        [UUID(ANN), "Ann", "ann@a.de", "ann", "ANN", "old", 5, AT],
    ),
    "shop.Product": as_read(
        ["A-1", Decimal("-0.05"), None, [], False],
        ["a-1", Decimal("1.10"), date(2024, 2, 29), ["x", {"y": 1.5}], True],
        ["a-3", Decimal("999999.99"), date(9999, 12, 31), "é", True],
    ),
    "shop.Order": as_read(
        [1, UUID(ANN), "a-1", None, AT, 1],
        [2, UUID(BOB), None, 1, AT.replace(year=9999), 0],
        [4, UUID(BOB), "A-1", None, AT.replace(year=1), 2],
    ),
    "shop.Card": as_read([UUID(BOB), 2, None], [UUID(ANN), 1, "a-1"]),
}
REASONS = {
    "shop_customer": {"email.email": 1, "email.unique": 1, "id.not_uuid": 1, "name.not_empty": 1},
    "shop_product": {"sku.regex": 1, "sku.duplicate": 1},
    "shop_order": {
        "amount.at_least": 1,
        "article.exists_in": 1,
        "customer_id.exists_in": 1,
        "taken_by_id.exists_in": 1,
    },
    "shop_card": {"number.unique": 1, "product_id.unique": 1, "customer_id.exists_in": 1},
}
KINDS = ("given", "inserted", "updated", "unchanged", "rejected")


@EVERY_STORE
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WRITERS)
def test_every_type_goes_through_every_format_and_mode(emptied: Oracle, kind: str, mode: str, tmp_path: Path) -> None:
    """Loaded, loaded again, loaded from the files of rejects, updated, checked."""
    given, rejects = sources(tmp_path, kind), tmp_path / "rejects"
    report = emptied.manage("insert_data", *given, f"--mode={mode}", f"--rejects-dir={rejects}")
    assert {name: table["reasons"] for name, table in report["tables"].items()} == REASONS
    assert stored(emptied) == STORED

    again = emptied.manage("insert_data", *given, f"--mode={mode}", "--batch-size=2", "--commit-every=2")
    assert counts(again, *KINDS) == {
        "shop_customer": [4, 0, 0, 2, 2],
        "shop_product": [5, 0, 0, 3, 2],
        "shop_order": [4, 0, 0, 3, 1],
        "shop_card": [5, 0, 0, 2, 3],
    }
    unmended = [f"{path.stem}={path}" for path in sorted((rejects / report["run"]).iterdir())]
    assert len(unmended) == 4
    still = emptied.manage("insert_data", *unmended, f"--mode={mode}")
    assert counts(still, "given", "rejected") == {
        "shop_customer": [2, 2],
        "shop_product": [2, 2],
        "shop_order": [1, 1],
        "shop_card": [3, 3],
    }
    assert stored(emptied) == STORED

    changed = {"shop.Product": [{**each, "price": Decimal("7.5"), "introduced": date(2000, 1, 1)} for each in PRODUCTS]}
    updated = emptied.manage("insert_data", *sources(tmp_path, kind, changed), f"--mode={mode}", "--on-conflict=update")
    assert counts(updated, *KINDS) == {"shop_product": [5, 0, 3, 0, 2]}
    assert [row[1:3] for row in stored(emptied)["shop.Product"]] == as_read(*[[Decimal("7.50"), date(2000, 1, 1)]] * 3)

    found = emptied.manage("check_references", "shop.Order", "shop.Card")
    assert counts(found, "given", "rejected") == {"shop_order": [3, 0], "shop_card": [2, 0]}


@EVERY_STORE
@pytest.mark.parametrize("kind", WRITERS)
def test_columns_that_a_source_lacks_get_defaults_in_new_rows_and_stay_in_others(
    emptied: Oracle, kind: str, tmp_path: Path
) -> None:
    emptied.manage("insert_data", *sources(tmp_path, kind, {"shop.Customer": CUSTOMERS[:1]}))
    before = emptied.ask("rows", "shop.Customer")["stored"]
    part = [{name: each[name] for name in ("id", "name", "email", "seen")} for each in CUSTOMERS[:2]]
    part[0]["name"] = "Anna"
    given = sources(tmp_path, kind, {"shop.Customer": part})
    report = emptied.manage("insert_data", *given, "--on-conflict=update")
    assert counts(report, *KINDS) == {"shop_customer": [2, 1, 1, 0, 0]}
    [bob, ann] = stored(emptied)["shop.Customer"]
    assert ann == as_read([UUID(ANN), "Anna", "ann@a.de", "ann", "ANNA", "old", 5, AT])[0]
    assert bob == as_read([UUID(BOB), "Bob", "bob@a.de", None, "BOB", "new", 1000, None])[0]
    created, created_on, changed = emptied.ask("rows", "shop.Customer")["stored"][1][1:4]
    assert [created, created_on] == before[0][1:3]
    assert changed != before[0][3]
    assert counts(emptied.manage("insert_data", *given), *KINDS) == {"shop_customer": [2, 0, 0, 2, 0]}


def test_check_references_finds_uuids_and_texts_that_do_not_exist(shop: Shop) -> None:
    columns = "id, at, amount, customer_id, article"
    shop.query(f"INSERT INTO shop_order ({columns}) VALUES (1, '2024-01-01', 1, '{'0' * 32}', 'a-1')", "archive")
    done = shop.manage("check_references", "shop.Order", "--format=json")
    assert done.returncode == 3
    [table] = json.loads(done.stdout)["tables"].values()
    assert table["reasons"] == {"article.exists_in": 1, "customer_id.exists_in": 1}


def test_a_proxy_model_goes_by_the_table_of_its_parent(emptied: Oracle, tmp_path: Path) -> None:
    report = emptied.manage("insert_data", *sources(tmp_path, "csv", {"shop.Regular": CUSTOMERS[:1]}))
    assert counts(report, *KINDS) == {"shop_customer": [1, 1, 0, 0, 0]}
    again = emptied.manage("insert_data", *sources(tmp_path, "csv", {"shop.Customer": CUSTOMERS[:1]}))
    assert counts(again, *KINDS) == {"shop_customer": [1, 0, 0, 1, 0]}
