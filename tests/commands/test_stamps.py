"""Times that Django stamps: `auto_now` on rows that are inserted or changed, `auto_now_add` on inserted ones; and times
that the database computes for inserted ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle, ServedShop, Shop
from tests.sample import MODES

pytestmark = pytest.mark.turns("mode", "kind", "oracle")

LABEL = "shop.Customer"
KEYS = [f"{number:032x}" for number in (1, 2, 3)]
OLD = "2020-01-01T00:00:00+00:00"
MATCHED = f"--match={LABEL}=email"


@pytest.fixture
def customers(oracle: Oracle) -> Iterator[Oracle]:
    """Give the project in one process, with two customers that were last changed long ago."""
    path = write(oracle.shop, "csv", [record(key, f"n{key[-1]}", created=OLD, changed=OLD) for key in KEYS[:2]])
    assert load(oracle, path)["inserted"] == 2
    yield oracle
    oracle.ask("empty", LABEL)


def record(key: str, name: str, **others: str) -> dict[str, str]:
    return {"id": key, "name": name, "email": f"{key[-1]}@example.com", "seen": OLD, **others}


def write(shop: Shop, kind: str, records: list[dict[str, str]]) -> str:
    path = Path(shop.directory) / f"customers.{kind}"
    if kind == "jsonl":
        path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    else:
        path.write_text("".join(f"{','.join(row)}\n" for row in [list(records[0]), *(r.values() for r in records)]))
    return str(path)


def load(oracle: Oracle, path: str, *options: str) -> dict[str, Any]:
    report = oracle.manage("insert_data", f"{LABEL}={path}", "--on-conflict=update", *options)
    table: dict[str, Any] = report["tables"]["shop_customer"]
    return table


def outcomes(counts: dict[str, Any]) -> list[int]:
    return [counts[name] for name in ("inserted", "updated", "unchanged", "rejected")]


def stamps(oracle: Oracle) -> dict[str, tuple[bool, bool]]:
    """Return by name whether a customer's time of making, and that of the last change, are the old ones."""
    sql = "SELECT name, CAST(created AS text), CAST(changed AS text) FROM shop_customer"
    return {
        name: (made.startswith("2020"), changed.startswith("2020")) for name, made, changed in oracle.shop.query(sql)
    }


@EVERY_STORE
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("options", [(), (MATCHED,), ("--commit-every=1",)], ids=["key", "match", "checkpoints"])
def test_a_row_is_stamped_when_it_is_inserted_or_changed(
    customers: Oracle, kind: str, mode: str, options: tuple[str, ...]
) -> None:
    records = [record(KEYS[0], "n1"), record(KEYS[1], "other"), record(KEYS[2], "new")]
    if MATCHED in options:
        records = [{name: value for name, value in each.items() if name != "id"} for each in records]
    counts = load(customers, write(customers.shop, kind, records), f"--mode={mode}", *options)
    assert outcomes(counts) == [1, 1, 1, 0]
    assert stamps(customers) == {"n1": (True, True), "other": (True, False), "new": (False, False)}
    before = customers.ask("rows", LABEL)
    again = load(customers, write(customers.shop, kind, records), f"--mode={mode}", *options)
    assert outcomes(again) == [0, 0, 3, 0]
    assert customers.ask("rows", LABEL) == before


@EVERY_STORE
def test_all_rows_of_a_run_have_one_time(customers: Oracle) -> None:
    records = [record(KEYS[1], "other"), *(record(f"{number:032x}", f"n{number}") for number in range(3, 9))]
    assert outcomes(load(customers, write(customers.shop, "csv", records), "--batch-size=1"))[:2] == [6, 1]
    new = "FROM shop_customer WHERE CAST(changed AS text) NOT LIKE '2020%'"
    assert customers.shop.query(f"SELECT count(*), count(DISTINCT changed) {new}") == [(7, 1)]
    assert customers.shop.query(f"SELECT count(*) {new} AND created = changed") == [(6,)]


@EVERY_STORE
def test_a_stamp_in_the_source_is_stored_as_it_is(customers: Oracle) -> None:
    records = [record(KEYS[0], "other", changed="2020-02-02T00:00:00+00:00")]
    assert load(customers, write(customers.shop, "csv", records))["updated"] == 1
    assert stamps(customers)["other"] == (True, True)


@EVERY_STORE
def test_a_record_that_lacks_the_stamp_gets_one_beside_others_that_have_it(customers: Oracle) -> None:
    records = [record(KEYS[0], "a", changed=OLD), record(KEYS[1], "b"), record(KEYS[2], "c")]
    assert outcomes(load(customers, write(customers.shop, "jsonl", records))) == [1, 2, 0, 0]
    assert stamps(customers) == {"a": (True, True), "b": (True, False), "c": (False, False)}
    assert outcomes(load(customers, write(customers.shop, "jsonl", records))) == [0, 0, 3, 0]


@EVERY_STORE
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("options", [(), (MATCHED,), ("--commit-every=1",)], ids=["key", "match", "checkpoints"])
def test_a_default_of_the_database_is_computed_for_new_rows_alone(
    customers: Oracle, kind: str, mode: str, options: tuple[str, ...]
) -> None:
    """`Customer.seen` has the `db_default` Now(); a record may lack it beside others that have it, also as null."""
    records = [record(KEYS[1], "other"), record(KEYS[2], "new"), *(record(f"{n:032x}", f"n{n}") for n in (4, 5))]
    lacking = [{name: value for name, value in each.items() if name != "seen"} for each in records]
    if kind == "jsonl":
        lacking[3] = {**records[3], "seen": None}  # type: ignore[dict-item]
    path = write(customers.shop, kind, lacking)
    dry = load(customers, path, "--dry-run")
    began = datetime.now(UTC)
    counts = load(customers, path, f"--mode={mode}", *options)
    assert outcomes(counts) == outcomes(dry) == [3, 1, 0, 0]
    times = {name: seen for name, seen in seen_by_name(customers).items() if name != "n1"}
    assert times["other"] == datetime.fromisoformat(OLD)
    assert (times.pop("n5") is None) == (kind == "jsonl")
    assert all(began <= times[name] for name in ("new", "n4"))
    assert outcomes(load(customers, path, f"--mode={mode}", *options)) == [0, 0, 4, 0]


def seen_by_name(oracle: Oracle) -> dict[str, Any]:
    """Return by name when customers were seen."""
    texts = oracle.shop.query("SELECT name, CAST(seen AS text) FROM shop_customer")
    times = {name: None if seen is None else datetime.fromisoformat(seen) for name, seen in texts}
    return {name: seen and (seen if seen.tzinfo else seen.replace(tzinfo=UTC)) for name, seen in times.items()}


@EVERY_STORE
def test_a_database_that_refuses_one_row_stamps_the_others(customers: Oracle) -> None:
    """Rows of a batch that the database refuses in part are written one by one."""
    same_email = record(KEYS[2], "late") | {"email": "1@example.com"}
    records = [record(KEYS[0], "other"), same_email]
    counts = load(customers, write(customers.shop, "csv", records))
    assert (counts["updated"], counts["rejected"]) == (1, 1)
    assert stamps(customers)["other"] == (True, False)


@EVERY_STORE
def test_a_date_is_that_of_the_projects_time_zone(customers: Oracle) -> None:
    before = datetime.now(UTC)
    load(customers, write(customers.shop, "csv", [record(KEYS[2], "new")]))
    dates = {str(moment.astimezone(ZoneInfo("Europe/Berlin")).date()) for moment in (before, datetime.now(UTC))}
    [(day,)] = customers.shop.query("SELECT CAST(created_on AS text) FROM shop_customer WHERE name = 'new'")
    assert day in dates


@pytest.mark.parametrize("made", ["new_shop", pytest.param("new_served_shop", marks=pytest.mark.wide)])
def test_without_time_zones_a_stamp_is_local_time(made: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    shop = type(request.getfixturevalue(made))(*_parts(request, made, tmp_path), PROJECT_USE_TZ="0")
    shop.create()
    path = write(shop, "csv", [{"id": KEYS[0], "name": "a", "email": "a@example.com", "seen": "2020-01-01T00:00:00"}])
    before = datetime.now(UTC)
    shop.load(f"{LABEL}={path}")
    [(stored,)] = shop.query("SELECT CAST(changed AS text) FROM shop_customer")
    zone = ZoneInfo("Europe/Berlin")
    stamp = datetime.fromisoformat(stored)
    instant = stamp if stamp.tzinfo else stamp.replace(tzinfo=zone)
    assert before <= instant <= datetime.now(UTC)


def _parts(request: pytest.FixtureRequest, made: str, directory: Path) -> tuple[Any, ...]:
    return (directory, request.getfixturevalue("server")) if made == "new_served_shop" else (directory,)


def test_workers_stamp_as_one_process_does(new_served_shop: ServedShop, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    shop = new_served_shop.copy_to(tmp_path)
    shop.load(f"{LABEL}={write(shop, 'csv', [record(KEYS[0], 'n1', changed=OLD), record(KEYS[1], 'n2', changed=OLD)])}")
    records = [record(KEYS[0], "n1"), record(KEYS[1], "other"), record(KEYS[2], "new")]
    report = shop.load(f"{LABEL}={write(shop, 'csv', records)}", "--mode=dask", "--workers=2", "--on-conflict=update")
    assert outcomes(report["tables"]["shop_customer"]) == [1, 1, 1, 0]
    sql = "SELECT name FROM shop_customer WHERE changed > '2021-01-01' ORDER BY name"
    assert shop.query(sql) == [("new",), ("other",)]
    assert shop.query("SELECT count(DISTINCT changed) FROM shop_customer WHERE changed > '2021-01-01'") == [(1,)]
