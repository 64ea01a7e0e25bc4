"""Which columns may name rows that are to be deleted: of the run's tables, of others, and of those that databases know.

A link row goes with the row that it is a link of, so the column that says which row that is does not keep it. Steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from async_loader.effects import Connect, Steps
from async_loader.run.deletions import Referrer
from async_loader.run.plan import Plan
from async_loader.stores.names import table_sql
from async_loader.stores.store import Store
from async_loader.tables import Links, Table


@dataclass(frozen=True, slots=True)
class Referrers:
    """What may name rows of the tables of which rows are deleted.

    by_target: by name of such a table, the columns. links: by name of such a table, the links that go with its rows.
    read: the databases, besides those of the run, that some of the columns are in.
    """

    by_target: Mapping[str, tuple[Referrer, ...]]
    links: Mapping[str, tuple[Links, ...]]
    read: frozenset[str]


def find_referrers(plan: Plan, names: Iterable[str]) -> Steps[Referrers]:
    """Find what may name rows of the tables of these names. Databases that are not open yet are connected to."""
    targets = {table.name: table for table in plan.loaded if table.name in set(names)}
    opened = {table.database for table in plan.loaded + plan.referenced_only}
    stated = [each for each in _stated(plan) if each.target in targets]
    first = yield from _first_names(plan, sorted({each.database for each in stated} - opened), opened)
    found = [replace(each, database=first.get(each.database, each.database)) for each in stated]
    for table in targets.values():
        for name, column, to in (yield from plan.databases[table.database].referring.foreign_keys_to(table)):
            found.append(Referrer(table.database, name, column, table.name, to))
    links = {name: tuple(_own_links(plan, table, found)) for name, table in targets.items()}
    own = {
        _place(Referrer(targets[name].database, each.rows.name, each.column, name))
        for name, several in links.items()
        for each in several
    }
    distinct = {_place(each): each for each in reversed(found) if _place(each) not in own}
    present = yield from _present(plan, reversed(distinct.values()))
    by_target = {name: tuple(each for each in present if each.target == name) for name in targets}
    return Referrers(by_target, links, frozenset(each.database for each in present) - opened)


def _stated(plan: Plan) -> Iterator[Referrer]:
    """Yield the columns that declarations and options say reference others."""
    for table in plan.tables:
        yield from _references(table.database, table)
        for links in table.links:
            if links.table is not None:
                yield from _references(table.database, links.table)
    yield from plan.options.referrers


def _references(database: str, table: Table) -> Iterator[Referrer]:
    for each in table.references:
        yield Referrer(database, table.name, each.column, each.table, each.to)


def _own_links(plan: Plan, table: Table, referrers: Iterable[Referrer]) -> Iterator[Links]:
    """Yield the links that go with rows of a table. Those of which the run loads the table itself do not, nor those
    whose link rows other tables reference.
    """
    loaded = {table_sql(each.name) for each in plan.loaded}
    referenced = {table_sql(each.target) for each in (*referrers, *plan.options.referrers)}
    for links in table.links:
        if links.table is not None and table_sql(links.table.name) not in loaded | referenced:
            yield links


def _place(each: Referrer) -> tuple[str, str, str, str]:
    return each.database, table_sql(each.table).lower(), each.column.lower(), each.target


def _first_names(plan: Plan, names: Iterable[str], opened: Iterable[str]) -> Steps[dict[str, str]]:
    """Connect to databases; by name of one that is open already under another name, return that name."""
    first: dict[str, str] = {}
    known: dict[object, str] = {}
    for name in names:
        if not known:
            for other in opened:
                known[(yield from plan.databases[other].identity())] = other
        database = plan.databases[name]
        yield Connect(database, plan.options.lock_timeout, writable=False)
        yield from database.begin_reading()
        identity = yield from database.identity()
        yield from database.roll_back()
        first[name] = known.setdefault(identity, name)
    return first


def _present(plan: Plan, several: Iterable[Referrer]) -> Steps[list[Referrer]]:
    """Return the columns that are there: a model may have no table yet."""
    present = []
    for each in several:
        database: Store = plan.databases[each.database]
        if (yield from database.referring.has_column(each.table, each.column)):
            present.append(each)
    return present
