"""Models of a project that has the package installed: every type in every format and mode, and what is refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
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
from tests.commands.project import Oracle, ServedShop, Shop
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


_OF_DATABASES = ("odd.Elsewhere", "odd.Nowhere", "shop.Regular")
REFUSED = {
    "odd.Derived": "odd.Derived: its fields lie in several tables",
    "odd.Category": "odd.Category.parent: references its own table",
    "odd.Hen": None,
    "odd.Blob": "odd.Blob.content: cannot load a BinaryField",
    "odd.Address": "odd.Address.ip: cannot load a GenericIPAddressField",
    "odd.Lasting": "odd.Lasting.time: cannot load a DurationField",
    "odd.OwnToPython": "odd.OwnToPython.word: cannot load a Shouted, which has its own methods for values",
    "odd.OwnPrepared": "odd.OwnPrepared.word: cannot load a Secret, which has its own methods for values",
    "odd.OwnReading": "odd.OwnReading.word: cannot load a Rotated, which has its own methods for values",
    "odd.OwnValidation": "odd.OwnValidation.word: cannot load a Lax, which has its own methods for values",
    "odd.OwnReference": "odd.OwnReference.customer: cannot load a Loose, which has its own methods for values",
    "odd.TwoKeys": "odd.TwoKeys: a key of several columns",
    "odd.DateKey": "key day must be integer, text or uuid",
    "odd.BadDefault": "odd.BadDefault.number: its default 'none' is no value of it",
    "odd.One": "table shared is of several models, odd.One, odd.Another",
    "odd.Elsewhere": "database elsewhere: is of oracular; only SQLite and PostgreSQL can be loaded into",
    "odd.Nowhere": "database nowhere: ",
    "shop.Regular": "no table is called 'shop.Regular'",
}


@pytest.mark.parametrize("label", REFUSED)
def test_a_model_that_cannot_be_loaded_is_refused_in_one_line(oracle: Oracle, label: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,egg_id\n1,1\n")
    refusal = oracle.ask("refusal", ["insert_data", f"{label}={path}"])
    expected = REFUSED[label]
    if expected is None:
        # In a circle with another model, which is only looked up.
        assert refusal is None
    else:
        assert expected in refusal
        assert len(refusal.splitlines()) == 1


def test_models_that_cannot_be_loaded_are_in_no_ones_way(shop: Shop) -> None:
    for command in (["check_references"], ["verify"], ["rejects"], ["rejects", "show"], ["rejects", "retry"]):
        done = shop.manage(*command)
        assert (done.returncode, done.stderr) == (0, "")
    for asked in (
        ["insert_data", "odd.Blob=x.csv"],
        ["check_references", "odd.Blob"],
        ["rejects", "show", "--table=odd.Blob"],
    ):
        refused = shop.manage(*asked)
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: odd.Blob.content: cannot load a BinaryField")
        assert len(refused.stderr.splitlines()) == 1


def test_the_check_reports_in_one_warning_the_models_that_cannot_be_loaded(shop: Shop) -> None:
    done = shop.manage("check")
    assert done.returncode == 0
    [warning] = [line for line in done.stderr.splitlines() if "async_loader.W003" in line and "HINT" not in line]
    [told] = warning.split(" models cannot be loaded: ")[1:]
    reported = told.removesuffix(".").split("; ")
    of_models = {label: line for label, line in REFUSED.items() if line and label not in _OF_DATABASES}
    for line in of_models.values():
        assert [each for each in reported if line.partition(";")[0] in each], line
    assert [each for each in reported if each == "odd.Hen: its references lead back to it"]
    silenced = shop.manage("check", "--settings=silent")
    assert "W003" not in silenced.stderr


UNFINISHED = {
    "Lost": "broken.Lost.there: its foreign key leads to no field",
    "Aside": "broken.Aside.lost: its foreign key leads to no field",
    "OfPair": "broken.OfPair.pair: its foreign key leads to no field",
    "Left": "broken.Left.right: its foreign key leads to no field",
    "Endless": "broken.Endless.number: declares no max_digits and decimal_places",
    "OddDay": "broken.OddDay.day: its default 5 is no value of it",
}


def test_models_that_django_finds_fault_with_break_no_check(shop: Shop) -> None:
    done = shop.manage("check", "--settings=unfinished")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "broken.Lost.there: (fields.E300)" in done.stderr
    # What Django says is not said once more.
    [warning] = [line for line in done.stderr.splitlines() if "async_loader.W003)" in line]
    assert "broken.OddDay.day: its default 5 is no value of it" in warning
    assert "broken.Lost" not in warning
    for model, line in UNFINISHED.items():
        refused = shop.manage("insert_data", f"broken.{model}=x.csv", "--settings=unfinished")
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"error: {line}")
    assert shop.manage("rejects", "--settings=unfinished").returncode == 0


DOES_NOT_IMPORT = """
import django, sys
django.setup()
from django.core.checks import run_checks
assert any(message.id == "async_loader.W003" for message in run_checks())
print({"polars", "numpy", "pyarrow"} & set(sys.modules))
"""


def test_a_check_without_declarations_imports_nothing_heavy(shop: Shop) -> None:
    environment = shop.environment
    done = subprocess.run(
        [sys.executable, "-c", DOES_NOT_IMPORT], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("shop.Custmer", "shop.Customer"),
        ("SHOP.orders", "shop.Order"),
        ("shop_produkt", "shop_product"),
        ("Card", "shop.Card"),
    ],
)
def test_an_unknown_table_is_answered_with_the_nearest_name(oracle: Oracle, given: str, meant: str) -> None:
    refusal = oracle.ask("refusal", ["insert_data", f"{given}=x.csv"])
    assert refusal == f"no table is called {given!r}; did you mean {meant}?"


def test_a_name_that_is_like_no_other_is_answered_with_the_tables(oracle: Oracle) -> None:
    refusal = oracle.ask("refusal", ["insert_data", "zzzz=x.csv"])
    assert refusal.startswith("no table is called 'zzzz'; there are auth_group, ")
    assert refusal.endswith(" more")


QUERIES_OF_ALL_TABLES = """
import django
django.setup()
from contextlib import ExitStack
from django.db import connections
from django.test.utils import CaptureQueriesContext
from async_loader.contrib.django.models.tables import ProjectTables
with ExitStack() as stack:
    seen = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in ("default", "archive")]
    found = ProjectTables().all_tables()
    print(len(found) > len(seen), *map(len, seen))
"""


def test_a_database_is_asked_once_which_of_its_tables_are_made(shop: Shop) -> None:
    with shop.start("-c", QUERIES_OF_ALL_TABLES) as process:
        out, error = process.communicate()
    assert (out, error) == ("True 1 1\n", "")


def test_init_db_creates_and_empties_no_tables_but_unmanaged_ones_that_are_named(shop: Shop) -> None:
    shop.query("INSERT INTO auth_user VALUES (1, '', NULL, 0, 'a', '', '', 0, 1, '2024-01-01', '')")
    shop.query("INSERT INTO legacy VALUES (1, 5, 1)")
    assert shop.manage("init_db", "--fresh").returncode == 0
    assert shop.query("SELECT count(*) FROM legacy") == [(1,)]
    done = shop.manage("init_db", "shop.Legacy", "--fresh")
    assert done.returncode == 0, done.stderr
    assert shop.query("SELECT count(*) FROM auth_user") == [(1,)]
    assert shop.query("SELECT count(*) FROM legacy") == [(0,)]
    [(sql,)] = shop.query("SELECT sql FROM sqlite_master WHERE name = 'legacy'")
    assert '"number" INTEGER NOT NULL UNIQUE' in sql


RELATIONS = "SELECT type, name FROM sqlite_master WHERE name IN ('summary', 'imported') ORDER BY name"


@pytest.mark.parametrize("declared", [False, True])
def test_init_db_leaves_a_view_and_the_place_of_a_missing_one_alone(shop: Shop, *, declared: bool) -> None:
    assert shop.manage("init_db").returncode == 0
    assert shop.query(RELATIONS) == []
    shop.query("CREATE VIEW summary AS SELECT 1 AS id, 2 AS total")
    if declared:
        shop.environment["PROJECT_TABLES"] = "odd.models.tables"
    for names in ([], ["odd.Summary", "imported"]):
        done = shop.manage("init_db", *names, "--fresh")
        assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
        made = [("table", "imported")] if declared or names else []
        assert shop.query(RELATIONS) == [*made, ("view", "summary")]


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_init_db_leaves_a_view_of_a_server_alone(new_served_shop: ServedShop, tmp_path: Path, kind: str) -> None:
    shop = new_served_shop.copy_to(tmp_path)
    shop.query(f"CREATE {kind} summary AS SELECT 1::bigint AS id, 2 AS total")
    shop.environment["PROJECT_TABLES"] = "odd.models.tables"
    for names in ([], ["odd.Summary", "imported"]):
        done = shop.manage("init_db", *names, "--fresh")
        assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    kinds = "SELECT relname, relkind::text FROM pg_class WHERE relname IN ('summary', 'imported') ORDER BY 1"
    assert shop.query(kinds) == [("imported", "r"), ("summary", "v" if kind == "VIEW" else "m")]


def test_init_db_makes_no_table_of_a_model_that_migrations_create(shop: Shop) -> None:
    done = shop.manage("init_db", "shop.Order")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "error: table shop_order: migrations create it; run manage.py migrate"


def test_an_app_that_is_called_as_the_samples_is_loaded_like_any_other(shop: Shop) -> None:
    path = shop.file("notes.csv", "id,text\n1,x\n")
    report = shop.load(f"core.Note={path}")
    assert counts(report, "inserted") == {"core_note": [1]}
    assert shop.query("SELECT * FROM core_note", "archive") == [(1, "x")]


def test_check_references_finds_uuids_and_texts_that_do_not_exist(shop: Shop) -> None:
    columns = "id, at, amount, customer_id, article"
    shop.query(f"INSERT INTO shop_order ({columns}) VALUES (1, '2024-01-01', 1, '{'0' * 32}', 'a-1')", "archive")
    done = shop.manage("check_references", "shop.Order", "--format=json")
    assert done.returncode == 3
    [table] = json.loads(done.stdout)["tables"].values()
    assert table["reasons"] == {"article.exists_in": 1, "customer_id.exists_in": 1}
