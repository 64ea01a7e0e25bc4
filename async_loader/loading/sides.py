"""What a load needs of the things around it: sources, files of rejects, and the number of rejects that is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from async_loader.columns import Column
from async_loader.errors import OverLimitError


class HasName(Protocol):
    """A source, as far as its name is needed."""

    @property
    def name(self) -> str:
        """The source's name, as reports have it."""


class Readable(Protocol):
    """An open source, as a load sees it."""

    @property
    def source(self) -> HasName:
        """The source that is read."""

    @property
    def ignored(self) -> Sequence[str]:
        """Columns that the table does not have."""

    @property
    def lookups(self) -> Mapping[str, Mapping[str, Column]]:
        """By column that references another table, the columns that stand in its place."""

    @property
    def links(self) -> Sequence[str]:
        """The names of the table's links that it gives, or may give in records to come."""

    @property
    def blank_lines(self) -> int:
        """How many lines met so far hold fields with nothing in them, so that they are no records."""

    @property
    def size(self) -> int | None:
        """The size in bytes; None where unknown."""

    @property
    def delivered(self) -> int:
        """The number of records that it has given."""


class TakesRejects(Protocol):
    """A place for rejects besides the database."""

    def write(self, source: Any, rejects: pl.DataFrame) -> None:
        """Add a batch's rejects of a source."""

    def close(self) -> None:
        """Finish it: no more rejects will come."""


class RejectFile(TakesRejects, Protocol):
    """A place for rejects that is checked before a run begins."""

    def check(self) -> None:
        """Raise OutputError where rejects cannot be written there."""


class RejectAllowance:
    """How many rejects a whole run may have, all its tables together. None is any number."""

    def __init__(self, limit: int | None, tables: Iterable[str]) -> None:
        self._limit = limit
        # A count for each table, which its load alone sets: so loads side by side cannot lose one another's.
        self._rejected = dict.fromkeys(tables, 0)

    def check(self, table: str, rejected: int) -> None:
        """Raise OverLimitError once there are too many; `rejected` is the number of this table's so far."""
        self._rejected[table] = rejected
        total = sum(self._rejected.values())
        if self._limit is not None and total > self._limit:
            raise OverLimitError(total, self._limit)
