"""Tables, their columns and references: what is loaded, as declarations that check themselves.

Values only: nothing here reads, writes or knows a database beyond its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import polars as pl

from async_loader.columns import KEY_TYPES, REQUIRED, Column, Type
from async_loader.constraints import Constraint, Unique
from async_loader.errors import ConfigurationError, one_line
from async_loader.inheritance import Parent
from async_loader.rules import Rule

# The loader's own tables, in every database.
OWN_PREFIX = "loader_"
# Stands in a header between the name of a reference and a column of its target.
LOOKUP = "__"


@dataclass(frozen=True, slots=True)
class Reference:
    """`column` holds keys of `table`, which may live in another database.

    by: where a source gives other values of the target than its key, by column of the target what the source calls it.
    name: the first part of headers that do so without being declared: `customer__email` gives the target's `email`.
    to: the column of the target whose values `column` holds, which is unique; by default its key.
    targets: the columns of the target, filled in by `in_reference_order`.
    """

    column: str
    table: str
    by: Mapping[str, str] = field(default_factory=dict, hash=False)
    name: str = ""
    to: str = ""
    targets: tuple[Column, ...] = field(default=(), repr=False, compare=False)

    def looked_up(self, headers: Collection[str]) -> dict[str, Column]:
        """Return, by header, the column of the target whose values a source gives under it; empty where it gives the
        reference itself.
        """
        if self.by:
            return {header: self._target(name) for name, header in self.by.items()}
        prefix = f"{self.name}{LOOKUP}"
        names = [header for header in headers if self.name and header.startswith(prefix)]
        found = {header: _column_named(self.targets, header.removeprefix(prefix)) for header in names}
        return {header: column for header, column in found.items() if column is not None}

    @property
    def may_be_looked_up(self) -> bool:
        """Whether a source may give other columns of the target than its key."""
        return bool(self.by or self.name or self.to)

    @property
    def held(self) -> Column:
        """The column of the target whose values the reference holds, where that is not its key."""
        return self._target(self.to)

    def _target(self, name: str) -> Column:
        column = _column_named(self.targets, name)
        if column is None:
            raise ConfigurationError(
                f"{self.column} is looked up in {self.table} by {name!r}, which is no column there"
            )
        return column


@dataclass(frozen=True, slots=True)
class Links:
    """Many-to-many: with each record a source may give the set of rows of a target to which the record's row is linked.

    name: what sources call the set: of values that the link table holds; `name__column` is of another column's values.
    table: the link table, in the same database, one row for each pair. It has a key that is generated, and references.
    column, target_column: those of its columns that reference this table, and the target.
    problem: why no source can have it, as a line about it ends; empty where one can. With it, no more need be said; a
        table that is said besides has links that go with a row which is deleted.
    is_used: whether a source of the run has it, or may have it; filled in by the run.
    target: the target's declaration, filled in by `in_reference_order`.
    """

    name: str
    table: Table | None = None
    column: str = ""
    target_column: str = ""
    problem: str = ""
    is_used: bool = False
    target: Table | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.table is None and not self.problem:
            raise ConfigurationError(f"links {self.name!r}: have no table")

    @property
    def rows(self) -> Table:
        """The table of the link rows."""
        assert self.table is not None
        return self.table

    @property
    def own(self) -> Reference:
        """The reference of the link table to this table."""
        return self.rows.reference_of(self.column)

    @property
    def reference(self) -> Reference:
        """The reference of the link table to the target."""
        return self.rows.reference_of(self.target_column)

    @property
    def held(self) -> Column:
        """The column of the target whose values the link table holds."""
        assert self.target is not None
        return self.target.column(self.reference.to or self.target.key)

    def given_by(self, header: str) -> Column | None:
        """Return the column of the target of which a source gives values under a header; None where it gives none."""
        if header == self.name:
            return self.held
        assert self.target is not None
        name = header.removeprefix(f"{self.name}{LOOKUP}")
        return None if name == header else _column_named(self.target.columns, name)


# The code, the column or None, and the message of each reason against a record; see `Table.examine`.
Reasons: TypeAlias = "Sequence[tuple[str, str | None, str]]"
Examine: TypeAlias = "Callable[[pl.DataFrame, pl.Series], Sequence[Reasons]]"


class Listener(Protocol):
    """What wants to know of loads of a table, once they are committed."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything comes of calling it."""

    def __call__(self, loaded: Any) -> None:
        """Take note of what was loaded: a `Loaded`."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of `database` (a name, not a path), with one key column, its rules and its references.

    match: the columns by which records find their rows; without any, by the key.
    append: whether every record is a new row, so that none finds one.
    unique_together: sets of columns of which no two rows may have the same values: names, or a `Unique` that says more.
    on_missing: what becomes of a record that finds no row by its match columns, or by the key: insert or reject.
    constraints: those of the database that have codes or messages of their own.
    links: the sets of rows of other tables that a source may give with each record.
    refused: by names of columns that no source may have, why that is so.
    computed: names of columns that the database computes; a source may have them, and they are ignored.
    examine: a function that is asked about whole records with which nothing else is wrong. It gets n of them in the
        table's columns, and n flags: whether a row is there. It returns the reasons against each.
    on_loaded: what is called after each load of the table that has committed anything.
    parents: the tables of the database in which parts of each row lie, the one that makes keys first. All other columns
        lie in the table itself, where `own_key` is the key column. `key` is that of the first parent.
    after: names of tables that are loaded first, because rows of theirs are also rows of tables that this one
        references; filled in by the run.

    Raises ConfigurationError where the parts do not fit together.
    """

    name: str
    database: str
    columns: tuple[Column, ...]
    key: str = "id"
    rules: tuple[Rule, ...] = ()
    references: tuple[Reference, ...] = ()
    match: tuple[str, ...] = ()
    append: bool = False
    unique_together: tuple[tuple[str, ...] | Unique, ...] = ()
    on_missing: str = "insert"
    constraints: tuple[Constraint, ...] = ()
    links: tuple[Links, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)
    computed: frozenset[str] = frozenset()
    examine: Examine | None = field(default=None, repr=False)
    on_loaded: Listener | None = field(default=None, repr=False, compare=False)
    parents: tuple[Parent, ...] = ()
    own_key: str = ""
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = self.column_names
        if len(set(names)) < len(names):
            raise ConfigurationError(f"table {self.name}: a column is declared twice")
        for name in names:
            if name.startswith("^") and name.endswith("$"):
                raise ConfigurationError(f"table {self.name}: column {name!r} reads like a pattern; rename it")
        used = [("key", self.key)]
        used += [(f"rule {rule.code}", column) for rule in self.rules for column in rule.columns]
        used += [(f"reference to {reference.table}", reference.column) for reference in self.references]
        used += [("match", column) for column in self.match]
        used += [("unique_together", column) for each in self._stated_sets for column in each.needed]
        for part, column in used:
            if column not in names:
                raise ConfigurationError(f"table {self.name}: {part} names the unknown column {column!r}")
        for name in self.match:
            if self.column(name).type is Type.JSON:
                raise ConfigurationError(f"table {self.name}: match names {name}, which is json and finds no rows")
        for rule in self.rules:
            self._try_rule(rule)
        for links in self.links:
            self._check_links(links)
        if self.name.lower().startswith(OWN_PREFIX):
            raise ConfigurationError(f"table {self.name}: names that begin with {OWN_PREFIX} are the loader's own")
        for parent in self.parents:
            self._check_parent(parent)
        key = self.column(self.key)
        may_lack = key.generated and (key.is_required or callable(key.default))
        if key.type not in KEY_TYPES or key.nullable or not (key.is_required or may_lack):
            problem = "must not be json, not nullable, and without a default that is no function"
            raise ConfigurationError(f"table {self.name}: key {self.key} {problem}")

    def _try_rule(self, rule: Rule) -> None:
        """Try a rule on no records, which shows one that cannot be asked about its columns at all."""
        none = pl.DataFrame(schema={column.name: column.dtype for column in self.columns})
        try:
            answers = none.select(rule.holds).to_series()
        except (Exception, pl.exceptions.PanicException) as error:
            raise ConfigurationError(f"table {self.name}: rule {rule.code}: {one_line(error)}") from error
        if answers.dtype != pl.Boolean or len(answers):
            given = "one answer for all records" if len(answers) else str(answers.dtype)
            raise ConfigurationError(
                f"table {self.name}: rule {rule.code} gives {given}, not a boolean for each record"
            )

    def _check_links(self, links: Links) -> None:
        """Raise ConfigurationError for links that this table cannot have."""
        if links.name in self.column_names:
            raise ConfigurationError(f"table {self.name}: links are named like column {links.name!r}")
        if not links.problem and links.own.table != self.name:
            problem = f"{links.rows.name}.{links.column} references {links.own.table}"
            raise ConfigurationError(f"table {self.name}: links {links.name!r}: {problem}, not this table")

    def _check_parent(self, parent: Parent) -> None:
        """Raise ConfigurationError for a parent that this table cannot have."""
        if unknown := [name for name in parent.columns if name not in self.column_names or name == self.key]:
            raise ConfigurationError(f"table {self.name}: its parent {parent.name} has no column {unknown[0]!r} of it")
        for reference in self.references:
            if reference.table == parent.name:
                problem = f"{reference.column} references {parent.name}, its own parent"
                raise ConfigurationError(f"table {self.name}: {problem}; that is not loaded")

    @property
    def used_links(self) -> tuple[Links, ...]:
        """The links that sources of the run have, or may have."""
        return tuple(links for links in self.links if links.is_used)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the tables whose rows its rows may name in a run, each once."""
        linked = [links.reference.table for links in self.used_links if links.reference.table != self.name]
        return tuple(dict.fromkeys([*(reference.table for reference in self.references), *linked]))

    def reference_of(self, column: str) -> Reference:
        """Return the reference of a column. ConfigurationError where it references nothing."""
        for reference in self.references:
            if reference.column == column:
                return reference
        raise ConfigurationError(f"table {self.name}: {column} references no table")

    @property
    def own_references(self) -> tuple[Reference, ...]:
        """The references that lead back to the table itself, such as from employees to their managers."""
        return tuple(reference for reference in self.references if reference.table == self.name)

    @property
    def finds_by_key(self) -> bool:
        """Whether records find their rows by the primary key, which the source must have then."""
        return not (self.match or self.append)

    def find_by(self, match: tuple[str, ...], *, append: bool, on_missing: str | None) -> Table:
        """Return the table whose records find their rows in this way, or, where nothing is said, as it is declared.
        Without match columns, a record that must find a row finds it by the primary key.
        """
        appends = append or (self.append and not match)
        missing = "insert" if appends else on_missing or self.on_missing
        chosen = () if appends else tuple(dict.fromkeys(map(self._matched, match))) or self.match
        if missing != "insert" and not chosen:
            chosen = (self.key,)
        return replace(self, match=chosen, append=appends, on_missing=missing)

    @property
    def constraints_in_rules(self) -> frozenset[str]:
        """The names of constraints of the database that rules say as well."""
        return frozenset(each.name for each in self.constraints if each.is_rule)

    @property
    def partial_indexes(self) -> frozenset[str]:
        """The names of the partial unique indexes that a load itself looks at."""
        return frozenset(each.where.index for each in self._stated_sets if each.where is not None and each.where.sql)

    def with_conditions(self, conditions: Mapping[str, str]) -> Table:
        """Return the table with the conditions, in SQL, of the partial unique indexes that its database has, by name;
        without the sets of others.
        """
        sets: list[tuple[str, ...] | Unique] = []
        for each in self.unique_together:
            if not isinstance(each, Unique) or each.where is None:
                sets.append(each)
            elif each.where.index in conditions:
                sets.append(replace(each, where=replace(each.where, sql=conditions[each.where.index])))
        return replace(self, unique_together=tuple(sets))

    @property
    def unique_columns(self) -> frozenset[frozenset[str]]:
        """The sets of columns of which a load itself sees that no two rows have the same values."""
        return frozenset([frozenset([self.key]), *(frozenset(each.columns) for each in self.unique_sets)])

    @property
    def stamps(self) -> tuple[Column, ...]:
        """The columns that the load fills with times of its own, where the source does not have them."""
        return tuple(column for column in self.columns if column.stamp is not None)

    def stamped_at(self, moment: datetime) -> Table:
        """Return the table whose stamps are of that moment."""
        columns = (each if each.stamp is None else replace(each, default=each.stamp(moment)) for each in self.columns)
        return replace(self, columns=tuple(columns))

    def _matched(self, name: str) -> str:
        """Return the column that a match column means: a reference goes by the names by which it is looked up, too."""
        if name in self.column_names:
            return name
        first = name.partition(LOOKUP)[0] if LOOKUP in name else None
        columns = (each.column for each in self.references if name in each.by.values() or first == each.name)
        return next(columns, name)

    def narrowed(self, names: Collection[str]) -> Table:
        """Return the table with these columns alone, in this order; the key is among them."""
        columns = tuple(self.column(name) for name in names)
        bare = replace(self, rules=(), references=(), match=(), unique_together=(), links=(), examine=None, parents=())
        return replace(bare, columns=columns)

    def identified_by(self, name: str) -> Table:
        """Return the table as one whose key is another column, which identifies its rows too."""
        key = replace(self.column(name), nullable=False, default=REQUIRED, generated=False)
        elsewhere = {self.key if self.parents else "", *(each for parent in self.parents for each in parent.columns)}
        if name in elsewhere:
            raise ConfigurationError(f"table {self.name}: {name} lies in a parent, and cannot be referenced here")
        columns = tuple(key if each.name == name else each for each in self.columns if each.name not in elsewhere)
        bare = replace(self, rules=(), references=(), match=(), links=(), unique_together=(), parents=(), examine=None)
        return replace(bare, columns=columns, key=name)

    @property
    def unique(self) -> tuple[Column, ...]:
        """The columns, apart from the key, of which no two rows may have the same value."""
        return tuple(column for column in self.columns if column.unique and column.name != self.key)

    @property
    def unique_sets(self) -> tuple[Unique, ...]:
        """The sets of columns, apart from the key, of which no two rows whatever may have the same values."""
        by_columns = {each.columns: each for each in [Unique((column.name,)) for column in self.unique]}
        by_columns |= {each.columns: each for each in self._stated_sets if each.where is None}
        return tuple(by_columns.values())

    @property
    def _stated_sets(self) -> tuple[Unique, ...]:
        stated = (each if isinstance(each, Unique) else Unique(tuple(each)) for each in self.unique_together)
        return tuple(each for each in stated if self.key not in each.columns)

    @property
    def judged_sets(self) -> tuple[Unique, ...]:
        """The unique sets that a load looks at by itself, also those of some rows alone. One that has all match columns
        is kept by these alone: what has its values finds its row, or is a duplicate. In a parent others may have them.
        """
        inherited = {name for parent in self.parents for name in parent.columns}
        sets = (*self.unique_sets, *(each for each in self._stated_sets if each.where is not None))
        kept = [{*each.columns} for each in sets if self.match and {*self.match} <= {*each.columns} - inherited]
        return tuple(each for each in sets if {*each.columns} not in kept)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Their names in the order of the declaration."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def _column_named(columns: Iterable[Column], name: str) -> Column | None:
    """Return the column of that name or alias."""
    return next((column for column in columns if name in (column.name, *column.aliases)), None)
