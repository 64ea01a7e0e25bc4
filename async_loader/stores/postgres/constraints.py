"""The constraints and triggers of a table of PostgreSQL that only the server asks."""

from __future__ import annotations

from async_loader.effects import Query, Steps
from async_loader.stores.conditions import in_parentheses, is_asked_by_loader, tokens
from async_loader.stores.names import table_sql
from async_loader.tables import Table

_UNIQUE = """\
SELECT relname, indpred IS NOT NULL OR indexprs IS NOT NULL, ARRAY(SELECT attname::text FROM pg_attribute
    WHERE attrelid = indrelid AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1]))
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = to_regclass($1) AND indisunique AND NOT indisexclusion ORDER BY relname"""
_PARTIAL = """\
SELECT relname, pg_get_expr(indpred, indrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = to_regclass($1) AND indisunique AND indpred IS NOT NULL"""
_CONSTRAINTS = """\
SELECT conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = to_regclass($1) AND contype IN ('c', 'x') ORDER BY conname"""
# Those that fire when a row is inserted (4) or updated (16), and not on replicas alone.
_TRIGGERS = """\
SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal
AND tgenabled IN ('O', 'A') AND tgtype & 20 <> 0 ORDER BY tgname"""


def conditions(database: str, table: Table) -> Steps[dict[str, str]]:
    """Do what `Store.conditions` says."""
    return dict((yield Query(database, _PARTIAL, (table_sql(table.name),))))


def unasked(database: str, table: Table) -> Steps[list[str]]:
    """Return in words the constraints and triggers that a dry run cannot ask."""
    name = (table_sql(table.name),)
    unique = yield Query(database, _UNIQUE, name)
    found = [
        f"unique constraint {index}"
        for index, is_special, columns in unique
        if index not in table.partial_indexes and (is_special or frozenset(columns) not in table.unique_columns)
    ]
    for constraint, kind, definition in (yield Query(database, _CONSTRAINTS, name)):
        if kind == "x":
            found.append(f"exclusion constraint {constraint}")
        elif constraint not in table.constraints_in_rules and not is_asked_by_loader(
            in_parentheses(tokens(definition)[1:]), table
        ):
            found.append(f"check constraint {constraint}")
    triggers = yield Query(database, _TRIGGERS, name)
    return [*found, *(f"trigger {trigger}" for (trigger,) in triggers)]
