"""Spellings mean the same in text of every format that has text: what they say is read so, and nothing else is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import date, time
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
import xlsxwriter

from async_loader import Column, ConfigurationError, Format, Source, Table, Type
from tests.sample import Place
from tests.stores import Databases

pytestmark = pytest.mark.turns("mode", "store")

VISITS = Table(
    "visits",
    "visits",
    (
        Column("id", Type.INTEGER),
        Column("name", Type.TEXT, nullable=True, default=None),
        Column("amount", Type.DECIMAL, nullable=True, default=None, digits=12, places=2),
        Column("weight", Type.REAL, nullable=True, default=None),
        Column("paid", Type.BOOLEAN, nullable=True, default=None),
        Column("day", Type.DATE, nullable=True, default=None),
        Column("hour", Type.TIME, nullable=True, default=None),
        Column("code", Type.TEXT, default=""),
    ),
)
GERMAN = Format(
    decimal=",",
    thousands=".",
    true=["Ja"],
    false=["Nein"],
    date_format=["%d.%m.%Y", "%H.%M Uhr"],
    null={"": ["-"], "name": ["k.A."]},
    trim=True,
)
RECORDS = [
    {
        "id": "1.000",
        "name": " Süd ",
        "amount": "1.488,50",
        "weight": "0,5",
        "paid": "Ja",
        "day": "31.12.2024",
        "hour": "07.30 Uhr",
        "code": " a ",
    },
    {
        "id": "2",
        "name": "k.A.",
        "amount": "-",
        "weight": " ",
        "paid": "Nein",
        "day": "-",
        "hour": "-",
        "code": "k.A.",
    },
    {
        "id": "3",
        "name": "x",
        "amount": "1.5",
        "weight": "1,5 kg",
        "paid": "true",
        "day": "2024-12-31",
        "hour": "07:30",
        "code": "c",
    },
]
ROWS = [
    (2, None, None, None, False, None, None, "k.A."),
    (1000, "Süd", 1488.5, 0.5, True, date(2024, 12, 31), time(7, 30), "a"),
]
REASONS = ["amount.not_number", "day.not_date", "hour.not_time", "paid.not_boolean", "weight.not_number"]


def _csv(records: list[dict[str, str]]) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue().encode()


def _parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()


def _arrow(records: list[dict[str, str]]) -> bytes:
    file = io.BytesIO()
    table = pa.Table.from_pylist(records)
    with pyarrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def _xlsx(records: list[dict[str, str]]) -> bytes:
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file)
    sheet = book.add_worksheet()
    for row, cells in enumerate([list(records[0]), *(each.values() for each in records)]):
        for column, cell in enumerate(cells):
            sheet.write_string(row, column, cell)
    book.close()
    return file.getvalue()


KINDS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    "csv": _csv,
    "jsonl": lambda records: "".join(json.dumps(record) + "\n" for record in records).encode(),
    "json": lambda records: json.dumps(records, indent=1).encode(),
    "parquet": lambda records: _parquet(pa.Table.from_pylist(records)),
    "arrow": _arrow,
    "xlsx": _xlsx,
}


@pytest.fixture
def visits(tmp_path: Any, store: Databases) -> Place:
    return Place(tmp_path, (VISITS,), store=store)


def stored(place: Place) -> list[tuple[Any, ...]]:
    """Return the rows; SQLite keeps decimals, booleans, dates and times as what it has."""
    rows = place.query("visits", "SELECT id, name, amount, weight, paid, day, hour, code FROM visits ORDER BY id")
    return [
        (
            *row[:2],
            None if row[2] is None else float(row[2]),
            row[3],
            None if row[4] is None else bool(row[4]),
            date.fromisoformat(row[5]) if isinstance(row[5], str) else row[5],
            time.fromisoformat(row[6]) if isinstance(row[6], str) else row[6],
            row[7],
        )
        for row in rows
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_spelled_alike_in_every_format(visits: Place, mode: str, kind: str) -> None:
    path = visits.file(f"visits.{kind}", KINDS[kind](RECORDS))
    report = visits.load(mode, {"visits": Source(path, GERMAN)}).tables["visits"]
    assert stored(visits) == ROWS
    [reject] = report.rejects
    assert sorted(reason.name for reason in reject.reasons) == REASONS
    assert "day must be a date, not '2024-12-31', written as %d.%m.%Y" in [each.message for each in reject.reasons]
    assert reject.record == RECORDS[2]


def test_what_is_no_text_in_json_is_what_json_says(visits: Place, mode: str) -> None:
    content = b'{"id": 1, "weight": 1.5, "paid": true, "amount": 2}\n{"id": "1.002", "weight": null, "paid": 0}\n'
    path = visits.file("v.jsonl", content + b'{"id": "3", "weight": true}\n')
    report = visits.load(mode, {"visits": Source(path, GERMAN)}).tables["visits"]
    assert [row[:5] for row in stored(visits)] == [(1, None, 2.0, 1.5, True), (1002, None, None, None, False)]
    assert [reason.name for reason in report.rejects[0].reasons] == ["weight.not_number"]


def test_a_text_that_must_be_there_may_be_of_blanks_alone(visits: Place, mode: str) -> None:
    for kind in ("csv", "jsonl", "parquet", "xlsx"):
        path = visits.file(f"v.{kind}", KINDS[kind]([{"id": "7", "code": "  "}, {"id": " ", "code": "x"}]))
        report = visits.load(mode, {"visits": Source(path, GERMAN)}).tables["visits"]
        assert [row[-1] for row in stored(visits)] == [""]
        assert [reason.name for reason in report.rejects[0].reasons] == ["id.missing"]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            {"date_format": {"weight": ["%d"]}},
            "--date-format visits.weight=%d: the column is real, and no date or time",
        ),
        ({"date_format": {"dya": ["%d"]}}, "table visits has no column 'dya'; did you mean day"),
        ({"null": {"nam": ["-"]}}, "table visits has no column 'nam'; did you mean name"),
    ],
)
def test_what_is_said_of_no_column_is_refused(visits: Place, mode: str, said: dict[str, Any], problem: str) -> None:
    path = visits.file("v.csv", b"id\n1\n")
    with pytest.raises(ConfigurationError, match=problem):
        visits.load(mode, {"visits": Source(path, Format(**said))})


COMMAS = [
    {"id": "1", "amount": "-236,48", "weight": "1.5"},
    {"id": "2", "amount": "1.488,69", "weight": "2,5"},
    {"id": "3", "amount": "-1.000", "weight": "1,234"},
    {"id": "4", "amount": "0,125", "weight": "1,234"},
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_most_commas_before_decimals_are_warned_of(visits: Place, mode: str, kind: str) -> None:
    """Three digits after the only comma may be a thousand as English has it, and a point is no comma."""
    records = [{name: text for name, text in each.items() if name != "weight" or kind != "parquet"} for each in COMMAS]
    content = KINDS[kind](records)
    if kind == "parquet":
        content = _parquet(pa.Table.from_pylist([{**each, "id": int(each["id"])} for each in records]))
    if kind == "jsonl":
        content = content.replace(b'"id": "', b'"id": ').replace(b'", "amount"', b', "amount"')
    path = visits.file(f"v.{kind}", content)
    report = visits.load(mode, {"visits": path}, max_rejects=None, batch_size=2).tables["visits"]
    assert report.rejected == 4
    [warning] = report.warnings
    assert warning.startswith("most values of amount have a comma before their decimals: --decimal , reads them")
    again = visits.load(mode, {"visits": Source(path, Format(decimal=",", thousands="."))}).tables["visits"]
    assert again.warnings == ()


def test_a_few_commas_are_rejects_without_a_warning(visits: Place, mode: str) -> None:
    content = "id,weight\n" + "".join(f'{key},"{key},5"\n' if key < 10 else f"{key},{key}.5\n" for key in range(20))
    content += "20,\n21,\n"
    path = visits.file("v.csv", content.encode())
    assert visits.load(mode, {"visits": path}, batch_size=3).tables["visits"].warnings == ()
