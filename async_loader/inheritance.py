"""Tables with parents, taken apart: each part is a table without parents, with the columns that lie in it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from async_loader.constraints import Unique

if TYPE_CHECKING:
    from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Parent:
    """A table in which a part of each row lies, under the same key; it may have other rows as well.

    name, key: of the table and of its key column. columns: those of the declared table that lie there, but for the key.
    """

    name: str
    key: str
    columns: tuple[str, ...]


def parts_of(table: Table, *, with_rules: bool = False) -> tuple[Table, ...]:
    """Return the parts of a table, from its first parent to itself; a table without parents is its own part.

    with_rules: also the rules about columns of a part. Each rule is tried once more then, which takes longer.
    """
    if not table.parents:
        return (table,)
    inherited = {name for parent in table.parents for name in parent.columns}
    own = tuple(name for name in table.column_names if name not in inherited and name != table.key)
    every = [*table.parents, Parent(table.name, table.own_key, own)]
    known = table if with_rules else replace(table, rules=())
    return tuple(_part(known, each, every[number - 1] if number else None) for number, each in enumerate(every))


def part_of(table: Table, columns: Collection[str]) -> Table:
    """Return the part in which all of these columns lie; the table's own where none has them all."""
    parts = parts_of(table)
    return next((part for part in parts if set(columns) <= set(part.column_names)), parts[-1])


def _part(table: Table, parent: Parent, above: Parent | None) -> Table:
    from async_loader.tables import Reference, Table

    key = replace(table.column(table.key), name=parent.key, aliases=())
    columns = (key, *map(table.column, parent.columns))
    names = {column.name for column in columns}
    references = [each for each in table.references if each.column in names]
    if above is not None:
        references.append(Reference(parent.key, above.name))
    sets = (each if isinstance(each, Unique) else Unique(tuple(each)) for each in table.unique_together)
    return Table(
        name=parent.name,
        database=table.database,
        columns=columns,
        key=parent.key,
        rules=tuple(rule for rule in table.rules if set(rule.columns) <= names),
        references=tuple(references),
        unique_together=tuple(each for each in sets if set(each.needed) <= names),
        constraints=table.constraints,
    )
