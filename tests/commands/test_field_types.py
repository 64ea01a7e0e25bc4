"""Fields of every type, those that only the project knows among them: loaded from every format, mended, updated."""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import xlsxwriter
from django.utils.duration import duration_iso_string

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle
from tests.sample import MODES

Record = dict[str, Any]

# The last record of each is rejected.
CLOCKS: list[Record] = [
    {"id": 1, "time": time(10, 0, 0, 5), "needed_time": time(0), "lasting": timedelta(days=-2, microseconds=1)},
    {"id": 2, "time": None, "needed_time": time(23, 59, 59), "lasting": None},
    {"id": 3, "time": time(9, 30), "needed_time": time(12), "lasting": timedelta(days=400, hours=25)},
    {"id": 4, "time": time(9, 30), "needed_time": None, "lasting": timedelta()},
]
SITES: list[Record] = [
    {"id": 1, "ip": "1.2.3.4", "unpacked": "::ffff:1.2.3.4", "file": "a/b.txt", "path": "", "content": b"\0\xff" * 8},
    {"id": 2, "ip": "2001:DB8::0:1", "unpacked": None, "file": "ä", "path": "x", "content": None},
    {"id": 3, "ip": None, "unpacked": "::1", "file": "", "path": "", "content": b""},
    {"id": 4, "ip": "1.2.3", "unpacked": None, "file": "", "path": "", "content": b"\n"},
]
OWN: list[Record] = [
    {"id": 1, "money": "EUR 1.5", "backwards": "abc", "short_backwards": "é", "shade": "d", "packed": "ü"},
    {"id": 2, "money": "2", "backwards": None, "short_backwards": None, "shade": None, "packed": None},
    {"id": 3, "money": "-0.25", "backwards": "abc", "short_backwards": "aé", "shade": "l", "packed": "abc"},
    {"id": 4, "money": "EUR x", "backwards": "x", "short_backwards": "SHOUT", "shade": "x", "packed": "x"},
]
TABLES = {"shop.Clock": CLOCKS, "shop.Site": SITES, "shop.Own": OWN}
READ: dict[str, dict[str, list[Any]]] = {
    "shop.Clock": {name: [each[name] for each in CLOCKS[:3]] for name in CLOCKS[0]},
    "shop.Site": {name: [each[name] for each in SITES[:3]] for name in SITES[0]}
    | {"ip": ["1.2.3.4", "2001:db8::1", None], "unpacked": ["1.2.3.4", None, "::1"]},
    "shop.Own": {name: [each[name] for each in OWN[:3]] for name in OWN[0]}
    | {"money": [Decimal("1.50"), Decimal("2.00"), Decimal("-0.25")]},
}
REASONS = {
    "shop_clock": {"needed_time.missing": 1},
    "shop_site": {"ip.invalid": 1},
    "shop_own": {"money.invalid": 1, "short_backwards.max_length": 1, "shade.no_shade": 1},
}


def as_text(value: Any) -> str | None:
    match value:
        case bytes():
            return b64encode(value).decode()
        case timedelta():
            return duration_iso_string(value)
    return None if value is None else str(value)


def write_csv(path: Path, records: Sequence[Record]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NOTNULL) if hasattr(csv, "QUOTE_NOTNULL") else csv.writer(file)
        writer.writerow(records[0])
        writer.writerows([as_text(value) for value in each.values()] for each in records)


def write_json_lines(path: Path, records: Sequence[Record]) -> None:
    def known(value: Any) -> Any:
        return value if isinstance(value, int) else as_text(value)

    lines = (json.dumps({name: known(value) for name, value in each.items()}) for each in records)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_parquet(path: Path, records: Sequence[Record]) -> None:
    pa.parquet.write_table(pa.table({name: [each[name] for each in records] for name in records[0]}), path)


def write_spreadsheet(path: Path, records: Sequence[Record]) -> None:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for row, values in enumerate([list(records[0]), *(list(each.values()) for each in records)]):
            for column, value in enumerate(values):
                if value is not None:
                    sheet.write(row, column, value if isinstance(value, int) else as_text(value))


WRITERS = {"csv": write_csv, "jsonl": write_json_lines, "parquet": write_parquet, "xlsx": write_spreadsheet}


def sources(directory: Path, kind: str, tables: Mapping[str, Sequence[Record]] = TABLES) -> list[str]:
    """Write a file for each table, and return the arguments that name them."""
    arguments = []
    for label, records in tables.items():
        path = directory / f"{label}.{kind}"
        WRITERS[kind](path, records)
        arguments.append(f"{label}={path}")
    return arguments


@pytest.fixture
def emptied(oracle: Oracle) -> Iterator[Oracle]:
    yield oracle
    for label in [*TABLES, "odd.Device"]:
        oracle.ask("empty", label)


def reasons(report: dict[str, Any]) -> dict[str, Any]:
    return {name: table["reasons"] for name, table in report["tables"].items()}


def counts(report: dict[str, Any]) -> list[list[int]]:
    names = ("inserted", "updated", "unchanged", "rejected")
    return [[table[name] for name in names] for table in report["tables"].values()]


def check_rows(oracle: Oracle, kind: str) -> None:
    """Hold what the ORM reads against what was given; CSV and spreadsheets have no empty text beside nothing."""
    for label, columns in READ.items():
        found = oracle.ask("values", label, list(columns))
        wanted = [[repr(value) for value in row] for row in zip(*columns.values(), strict=True)]
        if kind in {"csv", "xlsx"}:
            wanted = [["None" if value == "b''" else value for value in row] for row in wanted]
        assert found == wanted


@EVERY_STORE
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WRITERS)
def test_fields_of_every_type_go_through_every_format_and_mode(
    emptied: Oracle, kind: str, mode: str, tmp_path: Path
) -> None:
    """Loaded, loaded again, loaded from the files of rejects, retried, updated."""
    given, rejects = sources(tmp_path, kind), tmp_path / "rejects"
    report = emptied.manage("insert_data", *given, f"--mode={mode}", f"--rejects-dir={rejects}")
    assert reasons(report) == REASONS
    check_rows(emptied, kind)
    again = emptied.manage("insert_data", *given, f"--mode={mode}", "--batch-size=2", "--commit-every=2")
    assert counts(again) == [[0, 0, 3, 1]] * 3
    unmended = [f"{path.stem}={path}" for path in sorted((rejects / report["run"]).iterdir())]
    still = emptied.manage("insert_data", *unmended, f"--mode={mode}")
    assert counts(still) == [[0, 0, 0, 1]] * 3
    assert reasons(still) == {name: REASONS[name] for name in reasons(still)}
    changed = {"shop.Clock": [{**each, "time": time(1), "lasting": timedelta(1)} for each in CLOCKS[:3]]}
    changed |= {"shop.Site": [{**each, "ip": "::2", "content": b"new"} for each in SITES[:3]]}
    changed |= {"shop.Own": [{**each, "backwards": "new", "packed": "new"} for each in OWN[:3]]}
    updated = emptied.manage("insert_data", *sources(tmp_path, kind, changed), f"--mode={mode}", "--on-conflict=update")
    assert counts(updated) == [[0, 3, 0, 0]] * 3
    assert emptied.ask("values", "shop.Clock", ["time", "lasting"]) == [[repr(time(1)), repr(timedelta(1))]] * 3
    assert emptied.ask("values", "shop.Site", ["ip", "content"]) == [["'::2'", "b'new'"]] * 3
    assert emptied.ask("values", "shop.Own", ["backwards", "packed"]) == [["'new'", "'new'"]] * 3


def test_a_field_that_only_the_project_knows_is_asked_once_for_each_distinct_value(
    emptied: Oracle, tmp_path: Path
) -> None:
    path = tmp_path / "own.csv"
    path.write_text("id,shade\n" + "".join(f"{number},{'dlx'[number % 3]}\n" for number in range(300)))
    report = emptied.manage("insert_data", f"shop.Own={path}")
    assert counts(report) == [[200, 0, 0, 100]]
    [message] = {reject["reasons"][0]["message"] for reject in report["tables"]["shop_own"]["rejects"]}
    assert message == "shade: No shade."
    assert emptied.ask("calls", "shop.models.Enumerated.to_python", str(path), "shop.Own") <= 6


def test_a_column_that_cannot_be_loaded_bars_the_sources_that_have_it_and_no_others(
    emptied: Oracle, tmp_path: Path
) -> None:
    path = tmp_path / "devices.csv"
    path.write_text("id,name,mac,ports\n1,a,08:00:2b:01:02:03,2\n")
    refusal = emptied.ask("refusal", ["insert_data", f"odd.Device={path}"])
    problem = "the header has 'mac', which cannot be loaded: odd.Device.mac is a Mac, which is stored as macaddr"
    assert f"{problem}; --ignore odd_device.mac leaves it out" in refusal
    lines = tmp_path / "devices.jsonl"
    lines.write_text('{"id": 1, "name": "a", "ports": 2}\n{"id": 2, "name": "b", "ports": 2, "mac": null}\n')
    assert "line 2: the record has 'mac', which cannot be loaded" in emptied.ask(
        "refusal", ["insert_data", f"odd.Device={lines}"]
    )
    emptied.manage("insert_data", f"odd.Device={path}", "--ignore=odd_device.mac")
    assert emptied.ask("values", "odd.Device", ["name", "mac", "ports", "loud"]) == [["'a'", "None", "2", "'A'"]]


@EVERY_STORE
def test_a_column_that_the_database_computes_is_ignored_with_a_warning(emptied: Oracle, tmp_path: Path) -> None:
    """Also beside absent columns: a file that was exported from the table has it."""
    path = tmp_path / "devices.csv"
    path.write_text("id,name,loud\n1,a,x\n")
    report = emptied.manage("insert_data", f"odd.Device={path}")
    assert report["tables"]["odd_device"]["ignored_columns"] == ["loud"]
    assert emptied.ask("values", "odd.Device", ["name", "ports", "loud"]) == [["'a'", "None", "'A'"]]
