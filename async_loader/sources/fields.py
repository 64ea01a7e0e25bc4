"""What a source calls a table's columns, and what fills those that it does not have. Values only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from async_loader.errors import ConfigurationError
from async_loader.records.parsing import parse_text
from async_loader.records.reasons import FAULT_MESSAGES, SHOWN
from async_loader.tables import Column, Table

if TYPE_CHECKING:
    from async_loader.sources import Source


@dataclass(frozen=True, slots=True)
class Fields:
    """names: by column, what the source calls it; columns that it does not have are missing here.
    constants: by column, its one value in all records.
    means_null: text that stands for null.
    mapped: the columns whose names somebody has given, so that the source must have them.
    """

    table: Table
    names: Mapping[str, str]
    constants: Mapping[str, pl.Series]
    means_null: tuple[str, ...]
    mapped: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that are read."""
        return tuple(column for column in self.table.columns if column.name in self.names)

    @property
    def given_names(self) -> set[str]:
        """The names that somebody has given."""
        return {self.names[column] for column in self.mapped}

    @property
    def nullable(self) -> set[str]:
        """What the source calls the columns that may be null."""
        return {self.names[column.name] for column in self.columns if column.nullable}

    @property
    def absent(self) -> tuple[str, ...]:
        """The columns that are filled by their defaults."""
        filled = {*self.names, *self.constants}
        return tuple(name for name in self.table.column_names if name not in filled)

    def of(self, found: Collection[str]) -> Fields:
        """With those columns only that are found, or that must be. A column that is not found under the name that it is
        expected to have may have its own.
        """
        names = {column.name: self._name_in(found, column) for column in self.columns}
        must_be = {column.name for column in self.columns if column.is_required} | self.mapped
        kept = {column: name for column, name in names.items() if name in found or column in must_be}
        return dataclasses.replace(self, names=kept)

    def missing(self, found: Collection[str]) -> list[str]:
        """What the source must have and has not, by its own names: of what `of` has left, all that is not found."""
        return [name for name in self.names.values() if name not in found]

    def alone(self, name: str) -> Fields:
        """Of that column and no other; it must be the key, and come from the source."""
        table = dataclasses.replace(self.table, columns=(self.table.column(name),), rules=(), references=())
        return dataclasses.replace(
            self, table=table, names={name: self.names[name]}, constants={}, mapped=self.mapped & {name}
        )

    def ignored(self, found: Sequence[str]) -> list[str]:
        """What of that no column takes."""
        taken = set(self.names.values())
        return [name for name in found if name not in taken]

    def complete(self, read: Mapping[str, pl.Series], size: int) -> pl.DataFrame:
        """So many records with all of the table's columns, from those that were read."""
        return pl.DataFrame({column.name: self._values(column, read, size) for column in self.table.columns})

    def _values(self, column: Column, read: Mapping[str, pl.Series], size: int) -> pl.Series:
        if column.name in read:
            return read[column.name]
        if column.name in self.constants:
            return self.constants[column.name].new_from_index(0, size)
        return column.defaults(size)

    def _name_in(self, found: Collection[str], column: Column) -> str:
        expected = self.names[column.name]
        may_have_its_own = expected not in found and column.name not in self.mapped
        return column.name if may_have_its_own and column.name in found else expected


def fields_of(source: Source, table: Table) -> Fields:
    """All of the table's columns as the source is to have them. ConfigurationError for a constant that is no value, or
    for a column that the table does not have.
    """
    for name in (*source.names, *source.constants):
        if name not in table.column_names:
            known = ", ".join(table.column_names)
            raise ConfigurationError(f"table {table.name} has no column {name!r}; it has {known}")
    return Fields(
        table=table,
        names={
            name: source.names.get(name) or source.expected.get(name, name)
            for name in table.column_names
            if name not in source.constants
        },
        mapped=frozenset(source.names) - frozenset(source.constants),
        constants={name: _constant(table, name, source) for name in source.constants},
        means_null=source.means_null,
    )


def _constant(table: Table, name: str, source: Source) -> pl.Series:
    text = pl.Series([source.constants[name]])
    values, faults = parse_text(text, table.column(name), means_null=source.means_null)
    if faults is None:
        return values
    message = FAULT_MESSAGES[faults["code"][0]].replace("{column}", name).replace(SHOWN, faults["shown"][0])
    raise ConfigurationError(f"table {table.name}: a constant cannot be stored: {message}")
