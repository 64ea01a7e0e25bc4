"""A table of things with a column of every type, and tables of PostgreSQL that a user has made."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from async_loader import (
    Column,
    Table,
    Type,
)
from tests.sample import Place
from tests.stores import Databases

EVERY = (
    Column("id", Type.INTEGER),
    Column("whole", Type.INTEGER, nullable=True),
    Column("real", Type.REAL, nullable=True),
    Column("text", Type.TEXT, nullable=True),
    Column("price", Type.DECIMAL, digits=38, places=10, nullable=True),
    Column("yes", Type.BOOLEAN, nullable=True),
    Column("day", Type.DATE, nullable=True),
    Column("at", Type.DATETIME, zone="UTC", nullable=True),
    Column("local", Type.DATETIME, nullable=True),
    Column("name", Type.UUID, nullable=True),
    Column("more", Type.JSON, nullable=True),
)
THINGS = Table("things", "things", EVERY)
NAME = uuid.UUID("00000000-0000-0000-0000-00000000000a")


def table_with(*columns: Column) -> Table:
    return Table("things", "things", (Column("id", Type.INTEGER), *columns))


def made(directory: Path, store: Databases, declaration: str, *columns: Column) -> Place:
    """Create a table as its user has declared it."""
    place = Place(directory, (table_with(*columns),), store=store)
    place.query("things", "DROP TABLE things")
    place.query("things", f"CREATE TABLE things (id bigint PRIMARY KEY, {declaration})")
    return place


def messages(place: Place, lines: str, **options: Any) -> list[tuple[int, str]]:
    """Return by line why records were not stored."""
    report = place.load("sequential", {"things": place.file("t.csv", lines)}, **options)
    return [(reject.line, reason.message) for reject in report.tables["things"].rejects for reason in reject.reasons]


TEXT = Column("x", Type.TEXT)
