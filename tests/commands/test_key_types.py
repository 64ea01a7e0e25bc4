"""Models whose primary keys are dates, times, decimals, addresses, flags, bytes, or of a field of the project's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle
from tests.sample import MODES

TABLES = {
    "shop.Day": "day,name\n2024-02-29,leap\n1999-12-31,eve\n",
    "shop.Shift": "start\n2024-05-01 12:00:00+02:00\n1969-07-20 20:17:40+00:00\n",
    "shop.Host": "ip,name\n1.2.3.4,four\n2001:DB8::0:1,six\n",
    "shop.Tariff": "amount,name\nEUR 1.5,low\n20,high\n",
    "shop.Span": "lasting\n1 00:00:00\n00:00:00.5\n",
    "shop.Answer": "yes\ntrue\n",
    "shop.Digest": "digest\nAAEC\n/w==\n",
    "shop.Keyed": (
        "id,day,shift,host,tariff,span,answer,digest,days,hosts__name,tariffs\n"
        "1,2024-02-29,2024-05-01 10:00:00+00:00,2001:db8::1,EUR 1.50,P1D,true,AAEC,1999-12-31|2024-02-29,six|four,20\n"
        "2,,,,,,,,,,\n"
        "3,2024-03-01,2024-05-01 10:00:01+00:00,1.2.3.5,3,P2D,false,AA==,2000-01-01,seven,EUR 2\n"
    ),
}
REASONS = {
    f"{name}.exists_in": 1
    for name in (
        *(f"{name}_id" for name in ("day", "shift", "host", "tariff", "span", "answer", "digest")),
        *("days", "hosts", "tariffs"),
    )
}


@EVERY_STORE
@pytest.mark.turns("mode")
@pytest.mark.parametrize("mode", MODES)
def test_rows_are_found_by_keys_of_any_type(oracle: Oracle, mode: str, tmp_path: Path) -> None:
    given = []
    for label, content in TABLES.items():
        path = tmp_path / f"{label}.csv"
        path.write_text(content)
        given.append(f"{label}={path}")
        oracle.ask("empty", label)
    report = oracle.manage("insert_data", *given, f"--mode={mode}")
    tables = report["tables"]
    assert tables["shop_keyed"]["reasons"] == REASONS
    assert tables["shop_keyed"]["inserted"] == 2
    assert oracle.ask("values", "shop.Keyed", ["day_id", "tariff_id", "span_id", "answer_id"]) == [
        ["datetime.date(2024, 2, 29)", "Decimal('1.50')", "datetime.timedelta(days=1)", "True"],
        ["None"] * 4,
    ]
    again = oracle.manage("insert_data", *given, f"--mode={mode}", "--on-conflict=update", "--batch-size=1")
    assert all(table["inserted"] + table["updated"] == 0 for table in again["tables"].values())
    path = tmp_path / "names.csv"
    path.write_text("id,day__name,host__name,tariff__name\n2,eve,four,high\n")
    updated = oracle.manage("insert_data", f"shop.Keyed={path}", f"--mode={mode}", "--on-conflict=update")
    assert updated["tables"]["shop_keyed"]["updated"] == 1
    assert oracle.ask("values", "shop.Keyed", ["day_id", "host_id", "tariff_id"])[1] == [
        "datetime.date(1999, 12, 31)",
        "'1.2.3.4'",
        "Decimal('20.00')",
    ]
    checked = oracle.manage("check_references", "shop.Keyed")
    assert checked["tables"]["shop_keyed"]["rejected"] == 0
