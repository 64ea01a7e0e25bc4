"""The references to rows that are to be deleted, as a store is asked about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import polars as pl

from async_loader.columns import Column
from async_loader.effects import Steps
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Referring(ABC):
    """Answers about the references in one database."""

    database: str

    @abstractmethod
    def naming(self, table: str, column: Column, values: pl.Series) -> Steps[pl.Series]:
        """Return those of some values, none of them null, that rows of a table have in a column."""

    @abstractmethod
    def foreign_keys_to(self, table: Table) -> Steps[list[tuple[str, str, str]]]:
        """Return the foreign keys of one column by which tables of the database reference a table: the referencing
        table, its column, and the column of the table that it names; empty where that is the primary key.
        """

    @abstractmethod
    def has_column(self, table: str, column: str) -> Steps[bool]:
        """Return whether there is a table, or a view, that has this column."""
