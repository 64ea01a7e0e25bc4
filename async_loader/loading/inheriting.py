"""What is asked of records whose rows lie in several tables: whose keys they may have. Steps, and no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Steps
from async_loader.inheritance import parts_of
from async_loader.loading.finding import Resolved
from async_loader.records.keys import AcceptedKeys, ReferencedKeys
from async_loader.records.reasons import SHOWN, Check
from async_loader.records.validation import shown_record
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.loading.load import Load
    from async_loader.stores.store import Store


def check_keys(table: Table, database: Store, resolved: Resolved) -> Steps[Resolved]:
    """Find the records whose keys are those of rows of a parent that are no rows of the table: to store one of them
    would change a row of another kind.
    """
    keys = resolved.batch.values[table.key]
    root, named = parts_of(table)[0], keys.drop_nulls().unique()
    there = (yield from database.present(root, named)) if len(named) else named
    if not len(there):
        return resolved
    own = yield from database.present(table, there)
    others = there.filter(~there.is_in(own.implode()))
    message = f"{table.key} {SHOWN} is the key of a row of {root.name} that is none of {table.name}"
    wrong = keys.is_in(others.implode()).fill_null(value=False)
    check = Check("exists", table.key, message, wrong, shown_record(keys.to_frame()))
    return resolved.with_values(resolved.batch.values, [check])


def learn_of_children(this: Load, target: Table, keys: ReferencedKeys) -> None:
    """Note the rows of a referenced table that this run has stored as rows of tables which have it for a parent."""
    for name in this.table.after:
        child, accepted = this.targets[name][0], this.target_keys.get(name)
        if isinstance(accepted, AcceptedKeys) and any(parent.name == target.name for parent in child.parents):
            stored: pl.Series = accepted.referable()
            keys.learn_present(stored)
