"""Workers find rows by keys of types that few tables have, also keys that stand in several shares."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from async_loader import Options, Run, Type
from tests.cluster import Workers
from tests.integration.test_key_types import tables
from tests.integration.test_workers import cluster
from tests.sample import Place, comparable
from tests.stores import Databases

pytest.importorskip("distributed")

pytestmark = pytest.mark.only("postgresql")

__all__ = ["cluster"]

FIRST = date(1999, 12, 1)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Of each type, the text of a key by its number.
TEXTS: dict[Type, Callable[[int], str]] = {
    Type.DATE: lambda number: str(FIRST + timedelta(days=number)),
    Type.DATETIME: lambda number: f"{FIRST + timedelta(days=number)} 12:00:00+00:00",
    Type.DECIMAL: lambda number: f"{number - 20}.{number % 100:02d}",
    Type.DURATION: lambda number: f"{number} 00:00:00",
    Type.BINARY: lambda number: f"AA{LETTERS[number // 26]}{LETTERS[number % 26]}",
}


# A plain run takes the first.
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, id=kind.value, marks=pytest.mark.wide if place else ()) for place, kind in enumerate(TEXTS)],
)
def test_shares_agree_about_keys_of_any_type(tmp_path: Path, store: Databases, cluster: Workers, *, kind: Type) -> None:
    (tmp_path / "spread").mkdir()
    one, many = Place(tmp_path, tables(kind), store), Place(tmp_path / "spread", tables(kind), store)
    text = TEXTS[kind]
    parents = "id,name\n" + "".join(f"{text(number % 90)},n{number}\n" for number in range(100))
    children = "id,parent_id\n" + "".join(f"{number},{text(number)}\n" for number in range(120))
    sources = {"parents": one.file("p.csv", parents), "children": one.file("c.csv", children)}
    for _ in range(2):
        alone = one.load("sequential", sources)
        where = cluster.cluster(many.databases, share_size=200)
        options = Options()
        spread = Run(many.tables, sources, many.databases, options, mode="dask", cluster=where).perform()
        reports = [comparable(report)["tables"] for report in (alone, spread)]
        for report in reports:
            for table in report.values():
                table.pop("accepted", None)
        assert reports[0] == reports[1]
        assert many.rows("parents") == one.rows("parents")
        assert many.rows("children") == one.rows("children")
    assert (spread.tables["parents"].rejected, spread.tables["children"].rejected) == (10, 30)
