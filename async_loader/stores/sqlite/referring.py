"""References in a database of SQLite. Steps."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from async_loader.columns import Column
from async_loader.effects import Query, Steps
from async_loader.stores.names import bare_name, quoted
from async_loader.stores.referring import Referring
from async_loader.stores.sqlite import images
from async_loader.stores.sqlite.statements import BATCH, as_stored, in_main
from async_loader.stores.store import integers
from async_loader.tables import Table

# Of each foreign key of one column that names the table: the table that has it, its column, and the column named, if
# the foreign key says which.
_FOREIGN_KEYS_TO = """\
SELECT tables.name, keys."from", keys."to"
FROM main.sqlite_master AS tables, pragma_foreign_key_list(tables.name) AS keys
WHERE tables.type = 'table' AND keys."table" = ? COLLATE NOCASE
AND NOT EXISTS (SELECT 1 FROM pragma_foreign_key_list(tables.name) AS more WHERE more.id = keys.id AND more.seq > 0)
ORDER BY tables.name, keys.id DESC"""


@dataclass(frozen=True, slots=True)
class References(Referring):
    """Do what `Referring` says. zone: in which the database keeps times."""

    zone: str

    def naming(self, table: str, column: Column, values: pl.Series) -> Steps[pl.Series]:
        """Do what `Referring.naming` says, by an index: SQLite makes one where the column has none."""
        held = f"SELECT {quoted(column.name)} FROM {in_main(table)}"
        sql = f"SELECT group_concat(_rowid_) FROM {BATCH} AS batch WHERE c0 IN ({held})"
        rows = yield Query(self.database, sql, batch=images.images(as_stored(values.to_frame(), self.zone)))
        return values.gather(integers(places for (places,) in rows))

    def foreign_keys_to(self, table: Table) -> Steps[list[tuple[str, str, str]]]:
        """Do what `Referring.foreign_keys_to` says."""
        rows = yield Query(self.database, _FOREIGN_KEYS_TO, (bare_name(table.name),))
        return [(name, column, "" if to in {None, table.key} else to) for name, column, to in rows]

    def has_column(self, table: str, column: str) -> Steps[bool]:
        """Do what `Referring.has_column` says."""
        sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
        return bool((yield Query(self.database, sql, (bare_name(table), column))))
