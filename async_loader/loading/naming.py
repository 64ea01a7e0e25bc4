"""Which rows of a table the records of a run name, so that the rows that none of them names can be deleted. Pure.

A record that is rejected names its row too. One that cannot be read, or tied to a single row, might name any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from async_loader.columns import Column
from async_loader.records.key_sets import key_set
from async_loader.records.validation import only_column

if TYPE_CHECKING:
    from async_loader.loading.finding import Resolved
    from async_loader.records.batches import Batch
    from async_loader.tables import Table

# The code of a record that finds several rows.
_AMBIGUOUS = "ambiguous"


class NamedRows:
    """The rows that records of a run name, by their keys.

    unclear: how many records might name any row. first_unclear: where the first of them is.
    """

    def __init__(self, column: Column) -> None:
        self._keys = key_set(column)
        self.unclear = 0
        self.first_unclear = ""

    def note(self, table: Table, read: Batch, resolved: Resolved) -> None:
        """Note which rows the records of a batch name: `read` as the source gives it, `resolved` with its rows found.

        Of a table that has match columns, a primary key that the source gives besides counts as named too.
        """
        batch = resolved.batch
        self._keys.add(batch.values[table.key].drop_nulls())
        if table.match:
            self._keys.add(read.values[table.key].drop_nulls())
        lines = [record.line for record in batch.broken]
        lines += batch.lines.filter(_are_unclear(table, resolved)).to_list()
        if lines and not self.unclear:
            self.first_unclear = f"{batch.source}, line {min(lines)}"
        self.unclear += len(lines)

    def are_named(self, keys: pl.Series) -> pl.Series:
        """Return for each key whether a record names its row."""
        return self._keys.holds(keys)


def _are_unclear(table: Table, resolved: Resolved) -> pl.Series:
    """Return for each record whether it is unknown which row it names."""
    values = resolved.batch.values
    if not table.match:
        return values[table.key].is_null()
    unclear = values.select(pl.any_horizontal(pl.col(table.match).is_null())).to_series()
    for check in resolved.checks:
        if check.code == _AMBIGUOUS and check.column == only_column(table.match):
            unclear |= check.failed
    return unclear
