"""What open databases say of themselves: which of them are one database, and the foreign keys of their tables. Steps.

A plan is made before anything is opened. Once databases are open, tables of aliases that lead to one database get its
first name, so that one connection and one transaction serve them; and a foreign key that a table itself has becomes a
reference as any other, also of a table that was declared without it. Unique sets of some rows get the conditions of
their indexes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from async_loader.columns import KEY_TYPES, Column
from async_loader.constraints import Unique
from async_loader.effects import Steps
from async_loader.errors import ConfigurationError, StoreError
from async_loader.run.plan import Plan
from async_loader.stores.answers import ForeignKey
from async_loader.stores.store import Store
from async_loader.table_order import in_reference_order
from async_loader.tables import Reference, Table


def complete(plan: Plan) -> Steps[Plan]:
    """Return the plan with what its databases say, which are connected to."""
    merged = yield from _with_one_name_each(plan)
    tables = merged.tables
    for table in merged.loaded:
        database = merged.databases[table.database]
        for key in (yield from database.foreign_keys(table)):
            tables = yield from _with_reference(database, tables, table.name, key)
        if any(isinstance(each, Unique) and each.where is not None for each in table.unique_together):
            conditions = yield from database.conditions(table)
            tables = tuple(each.with_conditions(conditions) if each.name == table.name else each for each in tables)
    return merged if tables == merged.tables else replace(merged, tables=tables)


def _with_one_name_each(plan: Plan) -> Steps[Plan]:
    """Return the plan with one name for each database: one whose connection can write where that is needed."""
    written = {table.database for table in plan.loaded}
    opened = {table.database for table in plan.loaded + plan.referenced_only}
    names = sorted(opened, key=lambda name: (name not in written, name))
    first = yield from first_names(plan.databases, names, written)
    tables = with_first_names(plan.tables, first)
    return plan if tables == plan.tables else replace(plan, tables=tables)


def first_names(
    databases: Mapping[str, Store], names: Sequence[str], written: Collection[str] = ()
) -> Steps[dict[str, str]]:
    """Return, for each name of an open database, the first of the names under which it is used in the same way.

    written: names of databases that are written to. StoreError where one connection cannot write for two of them.
    """
    first: dict[object, tuple[str, object]] = {}
    merged: dict[str, str] = {}
    for name in names if len(names) > 1 else ():
        identity, use = yield from databases[name].identity()
        known, other_use = first.setdefault(identity, (name, use))
        if use == other_use:
            merged[name] = known
        elif {name, known} <= set(written):
            problem = f"is the database of {known} too, with another role or search path, and both are written to"
            raise StoreError(name, f"{problem}; load their tables one after the other, or give both the same")
    return merged


def with_first_names(tables: Iterable[Table], first: Mapping[str, str]) -> tuple[Table, ...]:
    """Return tables with the first name of the database of each."""
    return tuple(
        table
        if (name := first.get(table.database, table.database)) == table.database
        else replace(table, database=name)
        for table in tables
    )


def _with_reference(database: Store, tables: tuple[Table, ...], name: str, key: ForeignKey) -> Steps[tuple[Table, ...]]:
    """Return the tables with a reference for a foreign key; as they are where it cannot be one, since then the database
    itself refuses rows.
    """
    by_name = {table.name: table for table in tables}
    table, target = by_name[name], next((each for each in tables if key.leads_to(each.name)), None)
    column = next((column for column in table.columns if column.name == key.column), None)
    if column is None or column.type not in KEY_TYPES:
        return tables
    if any(each.column == key.column and key.leads_to(each.table) for each in table.references):
        return tables
    if target is not None and (target.database, target.key) != (table.database, key.key):
        return tables
    try:
        if target is None:
            target = Table(key.table, table.database, (Column(key.key, column.type),), key.key)
            yield from database.check(target)
        referencing = replace(table, references=(*table.references, Reference(key.column, target.name)))
        return in_reference_order((by_name | {target.name: target, name: referencing}).values())
    except (ConfigurationError, StoreError):
        # Such as a circle of references, or a column of another type.
        return tables
