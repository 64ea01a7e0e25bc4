"""A library whose records know no primary keys: people, shelves and loans."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from async_loader import (
    Column,
    Reference,
    Report,
    Table,
    Type,
    not_empty,
)
from tests.sample import Place

KEY = Column("id", Type.INTEGER, generated=True)
PEOPLE = Table(
    "people",
    "users",
    (
        KEY,
        Column("name", Type.TEXT),
        Column("email", Type.TEXT),
        Column("age", Type.INTEGER, nullable=True, default=None),
    ),
    rules=(not_empty("name"),),
)
SHELVES = Table("shelves", "products", (KEY, Column("hall", Type.TEXT), Column("code", Type.INTEGER)))
LOANS = Table(
    "loans",
    "orders",
    (
        KEY,
        Column("person_id", Type.INTEGER),
        Column("shelf_id", Type.INTEGER, nullable=True, default=None),
        Column("day", Type.DATE),
    ),
    references=(Reference("person_id", "people", name="person"), Reference("shelf_id", "shelves", name="shelf")),
)
TABLES = (PEOPLE, SHELVES, LOANS)
MATCH = {"people": ("email",), "shelves": ("hall", "code"), "loans": ("person_id", "day")}


def text_of(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def outcome(report: Report, table: str) -> tuple[int, int, int, int]:
    counts = report.tables[table]
    return counts.inserted, counts.updated, counts.unchanged, counts.rejected


def names_and_emails(place: Place) -> list[tuple[Any, ...]]:
    return place.query("users", 'SELECT id, name, email FROM "people" ORDER BY id')
