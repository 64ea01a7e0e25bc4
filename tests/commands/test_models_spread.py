"""Workers judge by a project's own models as one process does: its validators, choices, limits and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands.project import ServedShop

pytest.importorskip("distributed")

# By model, what is given of it: by column, values of which some are refused by the field's own rules.
GIVEN: dict[str, dict[str, list[str]]] = {
    "number": {
        "ranged": ["1000", "1001", "-6", ""],
        "even": ["1", "2", "x"],
        "stepped": ["6", "7"],
        "size": ["1", "3"],
        "half": ["0.5", "0.51"],
        "grade": ["1.5", "2", "2.5"],
        "chosen_flag": ["true", "false"],
    },
    "text": {
        "short": ["five5", "six666"],
        "quiet": ["quiet", "LOUD"],
        "pattern": ["ab1", "AB", "ab"],
        "local_email": ["a@here", "a@there"],
        "colour": ["r", "b"],
        "grouped": ["a", "3", "c"],
        "between": ["c", "a"],
    },
    "moment": {
        "odd_day": ["2024-01-02", "2024-01-03"],
        "ranged_day": ["2000-02-28", "2030-01-01", "2030-01-02"],
        "chosen_day": ["2024-01-01", "2024-01-02"],
    },
    "other": {"chosen_mark": [f"{1:032x}", f"{2:032x}", "x"]},
}


def write(shop: ServedShop, model: str) -> str:
    """Write a source with a record for each value."""
    columns = GIVEN[model]
    records = [(name, value) for name, values in columns.items() for value in values]
    lines = [
        ",".join([str(number), *(value if name == each else "" for each in columns)])
        for number, (name, value) in enumerate(records, 1)
    ]
    return shop.file(f"{model}.csv", "\n".join([",".join(["id", *columns]), *lines, ""]))


def reported(shop: ServedShop, *arguments: str) -> dict[str, Any]:
    """Return what a load reports of each table, without what differs from run to run."""
    tables: dict[str, Any] = shop.load(*arguments)["tables"]
    for table in tables.values():
        del table["seconds"]
    return tables


def test_models_are_judged_by_workers_as_by_one_process(new_served_shop: ServedShop, tmp_path: Path) -> None:
    shop = new_served_shop.copy_to(tmp_path)
    sources = [f"shop.{model}={write(shop, model)}" for model in GIVEN]
    spread = reported(shop, *sources, "--mode=dask", "--workers=1", "--share-size=0.0001", "--no-progress")
    assert spread == reported(new_served_shop.copy_to(tmp_path), *sources, "--mode=sequential")
    reasons = {reason for table in spread.values() for reason in table["reasons"]}
    assert reasons > {"even.even", "quiet.no_shouting", "odd_day.<lambda>", "ranged.at_most", "size.one_of"}
