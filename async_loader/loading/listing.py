"""The records of a small load, listed as they are stored: with defaults, generated keys, stamps and kept values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.effects import Steps
from async_loader.ledger.report import LISTED, UNCHANGED, UPDATED, Accepted
from async_loader.stores.store import Store

if TYPE_CHECKING:
    from async_loader.loading.load import Load


def list_as_stored(this: Load) -> Steps[None]:
    """Put the rows that are stored under their keys in the place of the records that a report lists."""
    tally, table = this.tally, this.table
    if not tally.accepted or tally.counts.given > LISTED:
        return
    key = table.column_names.index(table.key)
    keys = pl.Series(table.key, [each.row[key] for each in tally.accepted], dtype=table.column(table.key).dtype)
    rows = yield from this.database.values_of(table, table.columns, keys)
    for place, *values in rows:
        stored = [_shown(this.database, column, value) for column, value in zip(table.columns, values, strict=True)]
        tally.accepted[place] = _with_stored(this, tally.accepted[place], stored)


def _shown(database: Store, column: Any, value: Any) -> Any:
    """Return a stored value as a batch has it; one that no batch has as the database gives it."""
    read, is_odd = database.read_back(column, value)
    return value if is_odd else read


def _with_stored(this: Load, accepted: Accepted, stored: list[Any]) -> Accepted:
    """Return a record as its row is, or as it would be where nothing is written."""
    if this.database.writes or accepted.outcome == UNCHANGED:
        return replace(accepted, row=tuple(stored))
    if accepted.outcome != UPDATED:
        return accepted
    columns = zip(this.table.column_names, accepted.row, stored, strict=True)
    return replace(accepted, row=tuple(held if name in accepted.kept else given for name, given, held in columns))
