"""Rejects of a source in a format of its own are written, mended and tried again as the source was read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from async_loader import Format, RejectFilter, Retry, Run, Source, StoredRejects, Table, less_than
from tests.integration.sales import SALES, as_date, stored
from tests.sample import Place, reject_names

BANK = Format(
    "bank",
    "csv",
    encoding="cp1252",
    delimiter=";",
    quote="'",
    skip_lines=2,
    decimal=",",
    thousands=".",
    date_format=["%d.%m.%Y"],
    true=["Ja"],
    false=["Nein"],
    null=["k.A."],
    names={"amount": "Betrag"},
)
BANK_WITHOUT_HEAD = replace(BANK, skip_lines=0, names={})
STATEMENT = """Bänk
Konto;1
id;name;Betrag;paid;day
1;Bäcker;1.488,69;Ja;31.12.2024
2;'d''Or';-x;Nein;01.01.2024
3;'a;b';1,00;vielleicht;k.A.
"""


@pytest.mark.parametrize("is_named", [True, False], ids=["by its format", "by its run"])
def test_rejects_are_written_and_read_as_their_source_is(sales: Place, mode: str, *, is_named: bool) -> None:
    path = sales.file("statement.csv", STATEMENT.encode("cp1252"))
    sales.load(mode, {"sales": Source(path, BANK)})
    assert stored(sales, "id", "name") == [(1, "Bäcker")]
    exported = StoredRejects((SALES,), sales.databases).export(RejectFilter(), sales.directory / "rejects.csv")
    assert exported is not None
    [(file, count, _)] = exported.files
    text = Path(file).read_bytes().decode("cp1252")
    assert (count, text.splitlines()[0]) == (2, "id;name;Betrag;paid;day;_line;_reasons;_reject")
    assert ";'d''Or';" in text
    mended = text.replace("-x", "-1.000,50").replace("vielleicht", "Ja")
    Path(file).write_bytes(mended.encode("cp1252"))
    report = sales.load(mode, {"sales": Source(str(file), BANK) if is_named else str(file)})
    assert reject_names(report, "sales") == []
    assert [(name, Decimal(str(amount))) for name, amount in stored(sales, "name", "amount")] == [
        ("Bäcker", Decimal("1488.69")),
        ("d'Or", Decimal("-1000.50")),
        ("a;b", Decimal(1)),
    ]


def test_rejects_are_tried_again_as_they_were_read(sales: Place, mode: str) -> None:
    strict = Table("sales", "sales", SALES.columns, rules=(less_than("weight", 10),))
    path = sales.file("s.csv", b"id;weight;day\n1;1.000,5;31.12.2024\n")
    first = Run((strict,), {"sales": Source(path, BANK_WITHOUT_HEAD)}, sales.databases, mode=mode).perform()
    assert first.tables["sales"].rejected == 1
    Retry((SALES,), RejectFilter(), sales.databases, mode=mode).perform()
    [(weight, day)] = stored(sales, "weight", "day")
    assert (weight, as_date(day)) == (1000.5, date(2024, 12, 31))
