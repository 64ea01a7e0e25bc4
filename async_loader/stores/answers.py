"""Answers of stores about tables: rows, part after part, foreign keys, and rows that break these. Values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from async_loader.effects import Steps
from async_loader.stores.names import table_sql
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Part:
    """n rows of a table that follow each other.

    after, last: the place after which they begin (None is the beginning), and the place of the last one.
    keys: for each column asked for, its n values; null where there is none or one that the column's type cannot read.
    unreadable: for each column asked for, whether there is a value that its type cannot read.
    """

    after: Any
    last: Any
    size: int
    keys: tuple[pl.Series, ...]
    unreadable: tuple[pl.Series, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of one column that a table has in its database: a column, and the table and key that it names.

    qualified: the name of that table with its schema, where the database has schemas.
    """

    column: str
    table: str
    key: str
    qualified: str = ""

    def leads_to(self, table: str) -> bool:
        """Return whether it is the table of this name that it names."""
        return table_sql(table) in {table_sql(self.table), self.qualified}


@dataclass(frozen=True, slots=True)
class BrokenRows:
    """Rows of a table that break its foreign keys: their number, the last of them, and the table that it names."""

    number: int = 0
    row: int | None = None
    target: str | None = None

    def __str__(self) -> str:
        row = "a row" if self.row is None else f"row {self.row}"
        problem = f"{row} references a row of {self.target} that is not there"
        return f"{problem}; its foreign key is asked at the commit only, so mend the source"


class StoredRows(Protocol):
    """All rows of a table in the order of their places."""

    @property
    def table(self) -> Table:
        """The table that has the rows."""

    @property
    def extent(self) -> tuple[Any, Any] | None:
        """The first and the last place; None where there are no rows."""

    def read(self, columns: Sequence[str], after: Any, most: int) -> Steps[Part | None]:
        """Return the next rows, `most` of them or what is left, with their values of these columns; None at the end."""

    def whole(self, after: Any, numbers: Sequence[int]) -> Steps[list[tuple[Any, ...]]]:
        """Return the rows of these numbers, ascending and counted from 0, among the rows after a place: in the table's
        columns, each value as Python has it.
        """
