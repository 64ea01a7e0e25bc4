"""Where a database is, as a value: to be made and passed on without whatever it takes to connect. Imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database of a PostgreSQL server.

    parameters: what libpq calls them, from https://www.postgresql.org/docs/current/libpq-connect.html. They may have a
        password, so they are shown nowhere.
    zone: the time zone in which the database takes times that name none.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    zone: str = "UTC"
