"""In which order tables and databases are read and committed: a table after those that it references."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from async_loader.columns import KEY_TYPES
from async_loader.errors import ConfigurationError
from async_loader.tables import Links, Reference, Table


def in_reference_order(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Return the tables, each after all others that it references, otherwise as given: the order to load and to commit.

    Raises ConfigurationError for a name used twice, an undeclared target, a key of another type, or a cycle.
    """
    tables = tuple(tables)
    by_name = {table.name: table for table in tables}
    if len(by_name) < len(tables):
        raise ConfigurationError("two tables have the same name")
    for table in tables:
        for reference in table.references:
            _check_reference(table, reference, by_name)
        for links in table.links:
            if not links.problem and links.reference.table in by_name:
                _check_reference(links.rows, links.reference, by_name)
    graph = {
        table.name: [name for name in (*table.targets, *table.after) if name != table.name and name in by_name]
        for table in tables
    }
    names = _sorted(graph, "tables", lambda cycle: _way_out(cycle, by_name))
    return tuple(_bound(by_name[name], by_name) for name in names)


def _way_out(cycle: Sequence[str], by_name: Mapping[str, Table]) -> str:
    """Return how tables in a circle can be loaded one after the other, as the end of a line; nothing where each row
    needs another one. In the cycle, each table is referenced by the next.
    """
    for target, name in pairwise(cycle):
        table = by_name[name]
        for reference in table.references:
            if reference.table == target and table.column(reference.column).nullable:
                first = f"load {name} first, without {reference.column} (--ignore)"
                return f"; {first}, then the others, then {name} once more with --on-conflict update"
    return ""


def _bound(table: Table, by_name: Mapping[str, Table]) -> Table:
    """Return the table with references and links that know their targets."""
    if not (table.references or table.links):
        return table
    references = [replace(each, targets=by_name[each.table].columns) for each in table.references]
    links = tuple(_bound_links(each, by_name) for each in table.links)
    return replace(table, references=tuple(references), links=links)


def _bound_links(links: Links, by_name: Mapping[str, Table]) -> Links:
    if links.problem:
        return links
    target = links.reference.table
    if target not in by_name:
        return replace(links, problem=f"table {target}, whose rows it names, is not declared")
    return replace(links, target=by_name[target])


def databases_in_commit_order(tables: Iterable[Table]) -> tuple[str, ...]:
    """Return the names of the tables' databases, each after all that its tables reference.

    Raises ConfigurationError where two databases reference each other: no order of commits would then keep every
    reference whole at every instant.
    """
    tables = tuple(tables)
    home = {table.name: table.database for table in tables}
    graph: dict[str, list[str]] = {table.database: [] for table in tables}
    for table in tables:
        targets = [home[target] for target in (*table.targets, *table.after) if target in home]
        graph[table.database] += [target for target in targets if target != table.database]
    return _sorted(graph, "databases")


def databases_in_reading_order(tables: Iterable[Table]) -> tuple[str, ...]:
    """Return the names of the tables' databases in the order of commits, or by name where there is no such order:
    whatever is only read can be read in any.
    """
    tables = tuple(tables)
    try:
        return databases_in_commit_order(tables)
    except ConfigurationError:
        return tuple(sorted({table.database for table in tables}))


def _sorted(
    graph: Mapping[str, Iterable[str]], kind: str, way_out: Callable[[Sequence[str]], str] = lambda _: ""
) -> tuple[str, ...]:
    try:
        return tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        cycle = error.args[1]
        problem = f"{kind} that reference each other in a circle cannot be loaded: {' -> '.join(cycle)}"
        raise ConfigurationError(f"{problem}{way_out(cycle)}") from error


def _check_reference(table: Table, reference: Reference, by_name: dict[str, Table]) -> None:
    target = by_name.get(reference.table)
    if target is None:
        raise ConfigurationError(f"table {table.name}: {reference.column} references undeclared {reference.table}")
    key, column = target.column(reference.to or target.key), table.column(reference.column)
    if reference.to and key.type not in KEY_TYPES:
        problem = f"which {column.name} references, is {key.type.value}, which no key can be"
        raise ConfigurationError(f"table {table.name}: {target.name}.{key.name}, {problem}")
    if key.type is not column.type:
        raise ConfigurationError(
            f"table {table.name}: {column.name} is {column.type.value}, but {target.name}.{key.name}, "
            f"which it references, is {key.type.value}"
        )
    if key.dtype != column.dtype:
        others = f"has other places or another kind of time zone than {target.name}.{key.name}, which it references"
        raise ConfigurationError(f"table {table.name}: {column.name} {others}")
