"""References in a database of PostgreSQL. Steps."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from async_loader.columns import Column
from async_loader.effects import Call, Query, Steps
from async_loader.stores.names import quoted, table_sql
from async_loader.stores.postgres.statements import BATCH, cast_of, placed
from async_loader.stores.referring import Referring
from async_loader.stores.store import integers
from async_loader.tables import Table

# Of each foreign key of one column that names the table: the table that has it, with its schema and whether it is found
# without it, its column, and the column named.
_FOREIGN_KEYS_TO = """\
SELECT nspname, own.relname, pg_table_is_visible(own.oid), referencing.attname, named.attname
FROM pg_constraint JOIN pg_class AS own ON own.oid = conrelid
JOIN pg_namespace ON pg_namespace.oid = own.relnamespace
JOIN pg_attribute AS referencing ON referencing.attrelid = conrelid AND referencing.attnum = conkey[1]
JOIN pg_attribute AS named ON named.attrelid = confrelid AND named.attnum = confkey[1]
WHERE contype = 'f' AND confrelid = to_regclass($1) AND conparentid = 0 AND cardinality(conkey) = 1
ORDER BY own.relname, conname"""
_HAS_COLUMN = """\
SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND attnum > 0 AND NOT attisdropped"""


@dataclass(frozen=True, slots=True)
class References(Referring):
    """Do what `Referring` says."""

    def naming(self, table: str, column: Column, values: pl.Series) -> Steps[pl.Series]:
        """Do what `Referring.naming` says."""
        held = f"SELECT {quoted(column.name)} FROM {table_sql(table)}"
        sql = f"SELECT string_agg(c1::text, ',') FROM {BATCH} WHERE c0{cast_of(column)} IN ({held})"
        rows = yield Query(self.database, sql, batch=(yield Call(placed, (values.to_frame("value"), "value"))))
        return values.gather(integers(places for (places,) in rows).sort())

    def foreign_keys_to(self, table: Table) -> Steps[list[tuple[str, str, str]]]:
        """Do what `Referring.foreign_keys_to` says. A table that is not found by its name alone has its schema."""
        rows = yield Query(self.database, _FOREIGN_KEYS_TO, (table_sql(table.name),))
        return [
            (name if is_visible else f'"{schema}"."{name}"', column, "" if named == table.key else named)
            for schema, name, is_visible, column, named in rows
        ]

    def has_column(self, table: str, column: str) -> Steps[bool]:
        """Do what `Referring.has_column` says."""
        return bool((yield Query(self.database, _HAS_COLUMN, (table_sql(table), column))))
