"""How the fields of a source's records become the columns of a table: under which names, and what fills the others.

Values only. A name of the source is that of a column, or it is unknown: nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import polars as pl

from async_loader.columns import REQUIRED, Column
from async_loader.errors import ConfigurationError
from async_loader.formats import EVERY_COLUMN, Spellings
from async_loader.records.batches import MARKS
from async_loader.records.parsing import parse_text
from async_loader.records.reasons import SHOWN, fault_message
from async_loader.records.respelling import has_date_formats, read_text
from async_loader.sources.source import EVERYTHING
from async_loader.tables import Links, Table

if TYPE_CHECKING:
    from async_loader.sources.source import Source


# Stands between the values of a list that is given as text, where nothing else is said.
SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Fields:
    """The columns that a source has, or may have.

    candidates: by column that is no constant, the names under which the source may have it; the column's own last.
    names: by column that is read, its name in the source. As `fields_of` gives it, the first candidate of each; after
        `matched`, the one that is there. Columns that the source does not have, and need not, are missing then.
    constants: by column, its one value in all records.
    means_null: text that stands for null.
    spellings: how values are spelled; those of constants are spelled as everywhere.
    known: every name that a column has, read or not.
    mapped: the columns whose names the user gave, so that the source must have them.
    ignore: names that are not read unless they are mapped; with `*`, also all that no column has.
    lookups: by column that references another table, by name in the source, the columns of that table whose values
        the source gives instead of the reference. They are read like columns of the table, under those names.
    links: by name of the table's links that the source gives, by its name in the source, the column of the target whose
        values stand in lists.
    separators: what stands between the values of a list that is given as text, by name of the links, and "" for all.
    mapped_links: the links whose names the user gave.
    """

    table: Table
    candidates: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    constants: Mapping[str, pl.Series]
    means_null: tuple[str, ...]
    spellings: Spellings
    known: frozenset[str]
    mapped: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    lookups: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)
    mapped_links: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are read: the table's, then those by which references are looked up."""
        return self._read_of(self.names)

    @property
    def possible_columns(self) -> tuple[Column, ...]:
        """The columns that any record may have, whichever the source was seen to have."""
        return self._read_of(name for name in self.candidates if name not in self.lookups)

    def _read_of(self, names: Iterable[str]) -> tuple[Column, ...]:
        chosen = set(names)
        own = tuple(self._as_read(column) for column in self.table.columns if column.name in chosen)
        return own + tuple(
            dataclasses.replace(column, name=name, nullable=True, generated=False)
            for columns in self.lookups.values()
            for name, column in columns.items()
        )

    @property
    def list_columns(self) -> tuple[tuple[Column, str], ...]:
        """The columns of lists that are read, as each value of a list is, with what separates values in text."""
        return tuple(
            (
                dataclasses.replace(column, name=header, nullable=False, default=REQUIRED, generated=False, stamp=None),
                self.separators.get(name, self.separators.get("", SEPARATOR)),
            )
            for name, parts in self.links.items()
            for header, column in parts.items()
        )

    def _as_read(self, column: Column) -> Column:
        """Return the column as the source may give it: a key that can be made may be missing in a record."""
        may_lack = column.generated and not self.table.finds_by_key
        return dataclasses.replace(column, nullable=True) if may_lack else column

    @property
    def nullable(self) -> set[str]:
        """The source's names of the columns that may be null."""
        return {self.names[column.name] for column in self.columns if column.nullable}

    @property
    def absent(self) -> tuple[str, ...]:
        """The columns that are filled by their defaults."""
        filled = {*self.names, *self.constants, *self.lookups}
        return tuple(name for name in self.table.column_names if name not in filled)

    def is_made(self, name: str) -> bool:
        """Return whether the loader makes the values of an absent column itself: new keys, and stamps."""
        column = self.table.column(name)
        return column.stamp is not None or (column.generated and not self.table.finds_by_key)

    @property
    def required(self) -> frozenset[str]:
        """The columns that the source must have."""
        required = {column.name for column in self.table.columns if column.is_required}
        if self.table.on_missing == "reject":
            required &= {*self.table.match}
        if not self.table.finds_by_key:
            required -= {self.table.key}
        return self.mapped | required | {*self.table.match}

    def matched(self, header: Collection[str]) -> Fields:
        """Return the fields of only those columns that the source has, or must have, under the names in its header."""
        lookups = self._lookups_in(header)
        names = {}
        for column in self.table.column_names:
            if column not in self.candidates or column in lookups:
                continue
            if present := self.present(column, header):
                names[column] = present[0]
            elif column in self.required:
                names[column] = self.candidates[column][0]
        links = self._links_in(header)
        parts = {name: name for columns in (*lookups.values(), *links.values()) for name in columns}
        return dataclasses.replace(self, names=names | parts, lookups=lookups, links=links)

    def with_links_of(self, header: Collection[str]) -> Fields:
        """Return the fields with the links that a record has which comes later than those that were matched."""
        links = self._links_in(header) if self.table.links else self.links
        if links == self.links:
            return self
        names = {name: name for columns in links.values() for name in columns}
        return dataclasses.replace(self, names={**self.names, **names}, links=links)

    def unmarked(self, header: Iterable[str]) -> list[str]:
        """Return the names but for those that files of rejects add, unless columns of the table are called so."""
        read = set(self.names.values())
        return [name for name in header if name not in MARKS or name in read]

    def present(self, column: str, header: Collection[str]) -> list[str]:
        """Return the names under which the source has a column: none, one, or by mistake several."""
        candidates = self.candidates.get(column, ()) or (column,)
        present = [name for name in candidates if name in header]
        if not self.ignore or column in self.mapped:
            return present
        return [name for name in present if name not in self.ignore]

    def missing(self, header: Collection[str]) -> list[str]:
        """Return the columns that the source must have and does not have; to be asked of matched fields."""
        return [column for column in self.names if not self.present(column, header)]

    def _lookups_in(self, header: Collection[str]) -> dict[str, dict[str, Column]]:
        """Return the references that are given by other columns of their targets; a constant or a map comes first."""
        names = [name for name in header if name not in self.ignore]
        lookups = {column: dict(parts) for column, parts in self.lookups.items()}
        for reference in self.table.references:
            if reference.column in self.mapped or reference.column in self.constants:
                continue
            columns = reference.looked_up(names)
            if not columns and reference.to and reference.column not in lookups:
                # A reference to no key is looked up by the column that it holds.
                columns = dict.fromkeys(self.present(reference.column, header)[:1], reference.held)
            if columns:
                lookups[reference.column] = columns | lookups.get(reference.column, {})
        return lookups

    def _links_in(self, header: Collection[str]) -> dict[str, dict[str, Column]]:
        """Return the links that the source gives, with those that it was seen to give before."""
        found = {name: dict(parts) for name, parts in self.links.items()}
        for links in self.table.links:
            for name in header:
                if name in self.ignore or name in self.known or links.problem or links.name in self.mapped_links:
                    continue
                if (column := links.given_by(name)) is not None:
                    found.setdefault(links.name, {})[name] = column
        return found

    def refusal(self, header: Collection[str]) -> str | None:
        """Return why records of a source that has these names cannot find their rows; None where they can."""
        table, key = self.table, self.table.column(self.table.key)
        has_key = key.name in self.constants or bool(self.present(key.name, header))
        if table.append and has_key:
            return (
                f"has {key.name}, the key of {table.name}, and --append gives every record a new one; load without it"
            )
        if (table.finds_by_key or key.name in table.match) and key.generated and not has_key:
            return f"lacks {key.name}, the key of {table.name}; {_ways_without_key(self, header)}"
        for column, parts in self.lookups.items():
            # In JSON, what is looked up may stand within a member that has the field's name.
            known = {*parts, *(part.partition(".")[0] for part in parts)}
            both = [name for name in self.present(column, header) if name not in known]
            if both:
                return f"has {both[0]} beside {', '.join(parts)}, which say the same; leave one of them out"
        return self.wrong_links(header)

    def wrong_links(self, header: Collection[str]) -> str | None:
        """Return why a source cannot give links as it does; None where it can, and where it gives none."""
        for links in self.table.links:
            parts = self.links.get(links.name, {})
            columns = {column.name for column in parts.values()}
            if len(parts) > 1 and (len(columns) < len(parts) or links.held.name in columns):
                first, second, *_ = parts
                return f"has {second} beside {first}, which say the same; leave one of them out"
            names = [name for name in header if name == links.name and name not in {*self.ignore, *self.known}]
            if links.problem and names:
                return f"has {names[0]}, and {links.problem}; leave it out with --ignore {self.table.name}.{names[0]}"
        return None

    def for_key_alone(self) -> Fields:
        """Return the fields of the key and of no other column; it must come from the source."""
        key = self.table.key
        table = self.table.narrowed([key])
        return dataclasses.replace(
            self,
            table=table,
            candidates={key: self.candidates[key]},
            names={key: self.names[key]},
            constants={},
            mapped=self.mapped & {key},
            lookups={},
            links={},
        )

    def unknown(self, header: Iterable[str]) -> list[str]:
        """Return the names that no column has, and that the user has not said to ignore."""
        if EVERYTHING in self.ignore:
            return []
        known = self.known.union(self.names.values(), self.ignore)
        return [name for name in header if name not in known]

    def is_left_out(self, name: str) -> bool:
        """Return whether the user has said to ignore a name, and no column is read under it."""
        if name in self.names.values():
            return False
        return name in self.ignore or (EVERYTHING in self.ignore and name not in self.known)

    def nulls(self, column: str) -> tuple[str, ...]:
        """Return the texts that stand for null in a column."""
        return (*self.means_null, *self.spellings.nulls(column))

    def read_text(self, text: pl.Series, column: Column, *, nul: bool = True) -> tuple[pl.Series, pl.DataFrame | None]:
        """Return values and faults of a column's text, as `parse_text` does."""
        return read_text(text, column, self.spellings, nul=nul, means_null=self.means_null)

    def complete(self, read: Mapping[str, pl.Series], size: int) -> pl.DataFrame:
        """Return that many records with all of the table's columns, made of those that were read."""
        columns = {column.name: self._values(column, read, size) for column in self.table.columns}
        parts = {name: read[name] for parts in self.lookups.values() for name in parts}
        lists = {column.name: read[column.name] for column, _ in self.list_columns}
        return pl.DataFrame(columns | parts | lists)

    def _values(self, column: Column, read: Mapping[str, pl.Series], size: int) -> pl.Series:
        if column.name in read:
            return read[column.name]
        if column.name in self.constants:
            return self.constants[column.name].new_from_index(0, size)
        if column.name in self.lookups or column.generated or column.is_required:
            # Filled in when the record's row is found, or when it gets a key.
            return pl.Series(column.name, [None], dtype=column.dtype).new_from_index(0, size)
        return column.defaults(size)


def fields_of(source: Source, table: Table) -> Fields:
    """Return the fields of a source that is to have all of the table's columns, but for constants.

    Raises ConfigurationError for a constant that is no value, and for a column that the table does not have.
    """
    lookups, links = _mapped_lookups(source.names, table), _mapped_links(source, table)
    _check_spellings(source.spellings, table)
    own = {column: name for column, name in source.names.items() if column in table.column_names}
    for name in source.constants:
        if name not in table.column_names:
            raise _unknown(table, name)
    aliases = {
        column.name: tuple(dict.fromkeys([*source.aliases.get(column.name, ()), *column.aliases]))
        for column in table.columns
    }
    candidates = {
        column: (own[column],) if column in own else _candidates(column, aliases)
        for column in table.column_names
        if column not in source.constants
    }
    return Fields(
        table=table,
        candidates=candidates,
        names={name: names[0] for name, names in candidates.items()},
        constants={name: _constant(table, name, source) for name in source.constants},
        means_null=source.means_null,
        spellings=source.spellings,
        known=frozenset([*table.column_names, *chain.from_iterable(aliases.values())]),
        mapped=frozenset(own) - frozenset(source.constants),
        ignore=frozenset(source.ignore),
        lookups=lookups,
        links=links,
        mapped_links=frozenset(links),
        separators=source.separators,
    )


def _check_spellings(spellings: Spellings, table: Table) -> None:
    """Raise ConfigurationError for what is said of columns that the table does not have, or that have no dates."""
    for name, _ in (*spellings.null, *spellings.date_format):
        if name != EVERY_COLUMN and name not in table.column_names:
            raise _unknown(table, name)
    for name, (first, *_) in spellings.date_format:
        if name != EVERY_COLUMN and not has_date_formats(kind := table.column(name).type):
            problem = f"--date-format {table.name}.{name}={first}: the column is {kind.value}, and no date or time"
            raise ConfigurationError(problem)


def _candidates(column: str, aliases: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names under which a source may have a column. One that is another's alias belongs to that one."""
    is_another = any(column in names for other, names in aliases.items() if other != column)
    own = () if is_another else (column,)
    return tuple(dict.fromkeys([*aliases[column], *own])) or (column,)


def _mapped_lookups(names: Mapping[str, str], table: Table) -> dict[str, dict[str, Column]]:
    """Return the lookups among the names that a map gives. ConfigurationError for what is neither lookup nor column."""
    lookups: dict[str, dict[str, Column]] = {}
    for left, name in names.items():
        if left in table.column_names or _links_called(table, left) is not None:
            continue
        columns = {each.column: column for each in table.references for column in each.looked_up([left]).values()}
        if not columns:
            raise _unknown(table, left)
        for reference, column in columns.items():
            lookups.setdefault(reference, {})[name] = column
    return lookups


def _mapped_links(source: Source, table: Table) -> dict[str, dict[str, Column]]:
    """Return the links among the names that a map gives. ConfigurationError for a separator of what is none."""
    known = {links.name for links in table.links}
    if others := sorted({*source.separators} - {"", *known}):
        problem = f"--separator: table {table.name} has no many-to-many field {others[0]!r}"
        raise ConfigurationError(f"{problem}; it has {', '.join(sorted(known)) or 'none'}")
    mapped: dict[str, dict[str, Column]] = {}
    for left, name in source.names.items():
        links = None if left in table.column_names else _links_called(table, left)
        if links is None:
            continue
        if links.problem:
            raise ConfigurationError(f"table {table.name}: --map names {left}, and {links.problem}")
        column = links.given_by(left)
        assert column is not None
        mapped.setdefault(links.name, {})[name] = column
    return mapped


def _links_called(table: Table, left: str) -> Links | None:
    """Return the links of which the left side of a map speaks, as a header does; None where it speaks of others."""
    for links in table.links:
        if left == links.name or (not links.problem and links.given_by(left) is not None):
            return links
    return None


def _unknown(table: Table, name: str) -> ConfigurationError:
    near = difflib.get_close_matches(name, table.column_names, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(table.column_names)}"
    return ConfigurationError(f"table {table.name} has no column {name!r}; {hint}")


def _constant(table: Table, name: str, source: Source) -> pl.Series:
    text = pl.Series([source.constants[name]])
    values, faults = parse_text(text, table.column(name), means_null=source.means_null)
    if faults is None:
        return values
    message = fault_message(faults["code"][0], name).replace(SHOWN, faults["shown"][0])
    raise ConfigurationError(f"table {table.name}: a constant cannot be stored: {message}")


def _ways_without_key(fields: Fields, header: Collection[str]) -> str:
    """Return what to write for a source that has no key: the columns by which its records may find their rows."""
    table = fields.table
    given = [_given_names(fields, each.columns, header) for each in table.unique_sets]
    options = [f"--match {table.name}={','.join(names)}" for names in given if names]
    ways = " or ".join([*options, f"--match {table.name}=COLUMN,..."][:3])
    return f"find rows with {ways}, or make new ones with --append {table.name}"


def _given_names(fields: Fields, columns: Iterable[str], header: Collection[str]) -> list[str]:
    """Return the names under which a source has all of these columns, or looks them up; none where it lacks one."""
    found: list[str] = []
    for column in columns:
        names = list(fields.lookups.get(column, ())) or fields.present(column, header)[:1]
        if not names and column not in fields.constants:
            return []
        found += names or [column]
    return found
