"""A table with a column of each type that has spellings, and loads of it."""

from __future__ import annotations

from datetime import date
from typing import Any

from async_loader import Column, Format, Source, Table, Type
from tests.sample import Place

SALES = Table(
    "sales",
    "sales",
    (
        Column("id", Type.INTEGER),
        Column("name", Type.TEXT, nullable=True, default=None),
        Column("amount", Type.DECIMAL, nullable=True, default=None, digits=12, places=2),
        Column("weight", Type.REAL, nullable=True, default=None),
        Column("paid", Type.BOOLEAN, nullable=True, default=None),
        Column("day", Type.DATE, nullable=True, default=None),
        Column("at", Type.DATETIME, nullable=True, default=None, zone="Europe/Berlin"),
    ),
)


def load(place: Place, mode: str, content: bytes, form: Format, **options: Any) -> Any:
    path = place.file("sales.csv", content)
    return place.load(mode, {"sales": Source(path, form, ignore=("*",))}, **options).tables["sales"]


def stored(place: Place, *columns: str) -> list[tuple[Any, ...]]:
    return place.query("sales", f"SELECT {', '.join(columns)} FROM sales ORDER BY id")


def as_date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
