"""What a source calls a table's columns, and what fills those that it does not have. Values only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from async_loader.errors import ConfigurationError
from async_loader.records.parsing import parse_text
from async_loader.records.reasons import FAULT_MESSAGES, SHOWN
from async_loader.tables import Column, Reference, Table

if TYPE_CHECKING:
    from async_loader.sources import Source


@dataclass(frozen=True, slots=True)
class Fields:
    """names: by column, what the source calls it; columns that it does not have are missing here.
    constants: by column, its one value in all records.
    means_null: text that stands for null.
    mapped: the columns whose names somebody has given, so that the source must have them.
    lookups: by column that references another table, by name in the source, the columns of that table whose values
        the source gives instead of the reference. They are read like columns of the table, under those names.
    """

    table: Table
    names: Mapping[str, str]
    constants: Mapping[str, pl.Series]
    means_null: tuple[str, ...]
    mapped: frozenset[str] = frozenset()
    lookups: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are read: the table's, then those by which references are looked up."""
        own = tuple(self._as_read(column) for column in self.table.columns if column.name in self.names)
        return own + tuple(
            dataclasses.replace(column, name=name, nullable=True, generated=False)
            for columns in self.lookups.values()
            for name, column in columns.items()
        )

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
        filled = {*self.names, *self.constants, *self.lookups}
        return tuple(name for name in self.table.column_names if name not in filled)

    def of(self, found: Collection[str]) -> Fields:
        """With those columns only that are found, or that must be. A column that is not found under the name that it is
        expected to have may have its own.
        """
        lookups = self._lookups_in(found)
        own = [column for column in self.table.columns if column.name in self.names and column.name not in lookups]
        names = {column.name: self._name_in(found, column) for column in own}
        kept = {column: name for column, name in names.items() if name in found or column in self._required}
        parts = {name: name for columns in lookups.values() for name in columns}
        return dataclasses.replace(self, names=kept | parts, lookups=lookups)

    def _as_read(self, column: Column) -> Column:
        """Return the column as the source may give it: a key that can be made may be missing in a record."""
        may_lack = column.generated and not self.table.finds_by_key
        return dataclasses.replace(column, nullable=True) if may_lack else column

    @property
    def _required(self) -> frozenset[str]:
        """The columns that the source must have."""
        required = {column.name for column in self.table.columns if column.is_required}
        if self.table.on_missing == "reject":
            required &= {*self.table.match}
        if not self.table.finds_by_key:
            required -= {self.table.key}
        return self.mapped | required

    def _lookups_in(self, found: Collection[str]) -> dict[str, dict[str, Column]]:
        """Return the references that are given by other columns of their targets; a constant or a map comes first."""
        lookups = {column: dict(parts) for column, parts in self.lookups.items()}
        for reference in self.table.references:
            if reference.column in self.mapped or reference.column in self.constants:
                continue
            columns = reference.looked_up(found)
            if not columns and reference.to and reference.column not in lookups:
                columns = self._looked_up_itself(reference, found)
            if columns:
                lookups[reference.column] = columns | lookups.get(reference.column, {})
        return lookups

    def _looked_up_itself(self, reference: Reference, found: Collection[str]) -> dict[str, Column]:
        """Return the column that a reference to no key holds itself, under its name in the source."""
        name = self._name_in(found, self.table.column(reference.column))
        return {name: reference.held} if name in found else {}

    def refusal(self, found: Collection[str]) -> str | None:
        """Return why records of a source that has these names cannot find their rows; None where they can."""
        table, key = self.table, self.table.column(self.table.key)
        has_key = key.name in self.constants or self.names.get(key.name) in found
        if table.append and has_key:
            return (
                f"has {key.name}, the key of {table.name}, and --append gives every record a new one; load without it"
            )
        if table.finds_by_key and key.generated and not has_key:
            return f"lacks {key.name}, the key of {table.name}; {_ways_without_key(table)}"
        for column, parts in self.lookups.items():
            names = {column, *table.column(column).aliases} - set(parts)
            if both := sorted(names.intersection(found)):
                return f"has {both[0]} beside {', '.join(parts)}, which say the same; leave one of them out"
        return None

    def missing(self, found: Collection[str]) -> list[str]:
        """What the source must have and has not, by its own names: of what `of` has left, all that is not found."""
        return [name for name in self.names.values() if name not in found]

    def alone(self, name: str) -> Fields:
        """Of that column and no other; it must be the key, and come from the source."""
        table = dataclasses.replace(self.table, columns=(self.table.column(name),), rules=(), references=())
        return dataclasses.replace(
            self, table=table, names={name: self.names[name]}, constants={}, mapped=self.mapped & {name}, lookups={}
        )

    def ignored(self, found: Sequence[str]) -> list[str]:
        """What of that no column takes."""
        taken = set(self.names.values())
        return [name for name in found if name not in taken]

    def complete(self, read: Mapping[str, pl.Series], size: int) -> pl.DataFrame:
        """So many records with all of the table's columns, from those that were read."""
        columns = {column.name: self._values(column, read, size) for column in self.table.columns}
        return pl.DataFrame(columns | {name: read[name] for parts in self.lookups.values() for name in parts})

    def _values(self, column: Column, read: Mapping[str, pl.Series], size: int) -> pl.Series:
        if column.name in read:
            return read[column.name]
        if column.name in self.constants:
            return self.constants[column.name].new_from_index(0, size)
        if column.name in self.lookups or column.generated or column.is_required:
            # Filled in when the record's row is found, or when it gets a key.
            return pl.Series(column.name, [None], dtype=column.dtype).new_from_index(0, size)
        return column.defaults(size)

    def _name_in(self, found: Collection[str], column: Column) -> str:
        expected = self.names[column.name]
        if expected in found or column.name in self.mapped:
            return expected
        return next((name for name in (column.name, *column.aliases) if name in found), expected)


def fields_of(source: Source, table: Table) -> Fields:
    """All of the table's columns as the source is to have them. ConfigurationError for a constant that is no value, or
    for a column that the table does not have.
    """
    lookups = _mapped_lookups(source.names, table)
    own = {column: name for column, name in source.names.items() if column in table.column_names}
    for name in source.constants:
        if name not in table.column_names:
            raise _unknown(table, name)
    return Fields(
        table=table,
        names={
            name: own.get(name) or source.expected.get(name, name)
            for name in table.column_names
            if name not in source.constants
        },
        mapped=frozenset(own) - frozenset(source.constants),
        lookups=lookups,
        constants={name: _constant(table, name, source) for name in source.constants},
        means_null=source.means_null,
    )


def _mapped_lookups(names: Mapping[str, str], table: Table) -> dict[str, dict[str, Column]]:
    """Return the lookups among the names that a map gives. ConfigurationError for what is neither lookup nor column."""
    lookups: dict[str, dict[str, Column]] = {}
    for left, name in names.items():
        if left in table.column_names:
            continue
        columns = {each.column: column for each in table.references for column in each.looked_up([left]).values()}
        if not columns:
            raise _unknown(table, left)
        for reference, column in columns.items():
            lookups.setdefault(reference, {})[name] = column
    return lookups


def _unknown(table: Table, name: str) -> ConfigurationError:
    known = ", ".join(table.column_names)
    return ConfigurationError(f"table {table.name} has no column {name!r}; it has {known}")


def _constant(table: Table, name: str, source: Source) -> pl.Series:
    text = pl.Series([source.constants[name]])
    values, faults = parse_text(text, table.column(name), means_null=source.means_null)
    if faults is None:
        return values
    message = FAULT_MESSAGES[faults["code"][0]].replace("{column}", name).replace(SHOWN, faults["shown"][0])
    raise ConfigurationError(f"table {table.name}: a constant cannot be stored: {message}")


def _ways_without_key(table: Table) -> str:
    """Return what to write for a source that has no key: the columns by which its records may find their rows."""
    sets = [(column.name,) for column in table.unique] + list(table.unique_together)
    options = [f"--match {table.name}={','.join(columns)}" for columns in sets]
    ways = " or ".join([*options, f"--match {table.name}=COLUMN,..."][:3])
    return f"find rows with {ways}, or make new ones with --append {table.name}"
