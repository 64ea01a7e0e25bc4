"""`table_of(Model, clean=True)`: each record is asked of `full_clean()`, with what its row holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.project import ServedShop, Shop
from tests.sample import MODES

RECORDS = [
    {"code": "a", "first": 5, "last": 9},
    {"code": "b", "first": 5, "last": 4},
    {"code": "xa", "last": 0},
    {"code": "f", "extra": ["fail"]},
    {"code": "old"},
    {"code": "far too long a code", "last": 0},
]


def cleaning(shop: Shop) -> Shop:
    shop.environment["PROJECT_TABLES"] = "press.tables.tables"
    return shop


def reasons(report: dict[str, Any]) -> list[list[tuple[str, str | None, str]]]:
    rejects = report["tables"]["press_leaflet"]["rejects"]
    return [[(each["code"], each["column"], each["message"]) for each in reject["reasons"]] for reject in rejects]


REASONS = [
    [("order", "last", "4 is before 5.")],
    [("order", "last", "0 is before 1.")],
    [("rule_failed", None, "full_clean() failed: RuntimeError: f fails")],
    [("invalid", None, "Nothing old is added.")],
    [("max_length", "code", "code must have at most 10 characters")],
]


@pytest.mark.turns("mode")
@pytest.mark.parametrize("mode", MODES)
def test_each_record_is_cleaned_with_what_its_row_holds(shop: Shop, mode: str) -> None:
    own = cleaning(shop)
    lines = own.file("new.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS))
    assert reasons(own.load(f"press.Leaflet={lines}", f"--mode={mode}")) == REASONS
    own.query("INSERT INTO press_leaflet (code, first, extra) VALUES ('old', 3, '[]')", "archive")
    changes = own.file("changes.csv", "last,code\n4,a\n6,a\n2,old\n3,old\n3,xb\n")
    report = own.load(f"press.Leaflet={changes}", f"--mode={mode}", "--on-conflict=update")
    assert reasons(report) == [
        [("order", "last", "4 is before 5.")],
        [("order", "last", "2 is before 3.")],
        [("no_x", None, "No x. Not at all.")],
    ]
    assert own.query("SELECT code, first, last FROM press_leaflet ORDER BY code", "archive") == [
        ("a", 5, 6),
        ("old", 3, 3),
    ]
    assert own.load(f"press.Leaflet={changes}", "--on-conflict=update")["tables"]["press_leaflet"]["unchanged"] == 2


def test_workers_clean_records_too(new_served_shop: ServedShop, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    own = cleaning(new_served_shop.copy_to(tmp_path))
    lines = own.file("new.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS))
    assert reasons(own.load(f"press.Leaflet={lines}", "--mode=dask", "--workers=1", "--no-progress")) == REASONS
