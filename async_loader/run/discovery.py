"""What open databases say of themselves: which of them are one database, and the foreign keys of their tables. Steps.

A plan is made before anything is opened. Once databases are open, tables of aliases that lead to one database get its
first name, so that one connection and one transaction serve them; and a foreign key that a table itself has becomes a
reference as any other, also of a table that was declared without it.
"""

from __future__ import annotations

from dataclasses import replace

from async_loader.effects import Steps
from async_loader.errors import ConfigurationError, StoreError
from async_loader.run.plan import Plan
from async_loader.stores.store import ForeignKey, Store
from async_loader.tables import KEY_TYPES, Column, Reference, Table, in_reference_order


def complete(plan: Plan) -> Steps[Plan]:
    """Return the plan with what its databases say, which are connected to."""
    merged = yield from _with_one_name_each(plan)
    tables = merged.tables
    for table in merged.loaded:
        database = merged.databases[table.database]
        for key in (yield from database.foreign_keys(table)):
            tables = yield from _with_reference(database, tables, table.name, key)
    return merged if tables == merged.tables else replace(merged, tables=tables)


def _with_one_name_each(plan: Plan) -> Steps[Plan]:
    """Return the plan with one name for each database."""
    names: dict[str, str] = {}
    first: dict[object, tuple[str, object]] = {}
    written = {table.database for table in plan.loaded}
    for name in sorted({table.database for table in plan.loaded + plan.referenced_only}):
        identity, role = yield from plan.databases[name].identity()
        known, other_role = first.setdefault(identity, (name, role))
        if role == other_role:
            names[name] = known
        elif {name, known} <= written:
            problem = f"is the database of {known} too, as another role, and both are written to"
            raise StoreError(name, f"{problem}; load their tables one after the other, or give both one role")
    if all(name == known for name, known in names.items()):
        return plan
    return replace(
        plan, tables=tuple(replace(table, database=names.get(table.database, table.database)) for table in plan.tables)
    )


def _with_reference(database: Store, tables: tuple[Table, ...], name: str, key: ForeignKey) -> Steps[tuple[Table, ...]]:
    """Return the tables with a reference for a foreign key; as they are where it cannot be one, since then the database
    itself refuses rows.
    """
    by_name = {table.name: table for table in tables}
    table, target = by_name[name], by_name.get(key.table)
    column = next((column for column in table.columns if column.name == key.column), None)
    if column is None or column.type not in KEY_TYPES or key.table == name:
        return tables
    if any((each.column, each.table) == (key.column, key.table) for each in table.references):
        return tables
    is_new = target is None
    if target is None:
        target = Table(key.table, table.database, (Column(key.key, column.type),), key.key)
    if target.database != table.database or target.key != key.key:
        return tables
    by_name |= {
        target.name: target,
        name: replace(table, references=(*table.references, Reference(key.column, key.table))),
    }
    try:
        ordered = in_reference_order(by_name.values())
        if is_new:
            yield from database.check(target)
    except (ConfigurationError, StoreError):
        # Such as a circle of references.
        return tables
    return ordered
