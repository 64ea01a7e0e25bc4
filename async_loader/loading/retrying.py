"""Stored rejects read page after page, in the transaction that will delete them: the source of a retry. Steps."""

from __future__ import annotations

from async_loader.effects import Call, Steps
from async_loader.ledger.reject_groups import RejectRow, Selection
from async_loader.records.batches import Batch
from async_loader.sources.stored_rejects import StoredReader, as_written
from async_loader.stores import reject_queries
from async_loader.stores.store import Store


def next_page(database: Store, selection: Selection, after: int) -> Steps[tuple[int, list[RejectRow]] | None]:
    """Return the next selected rejects after an id, and the id up to which all have been seen; None at the end."""
    rows = yield from reject_queries.page(database, selection.group, selection.reason, after)
    if not rows:
        return None
    with as_written(selection.group, rows):
        ours: list[RejectRow] = yield Call(selection.of_table, (rows,))
    return rows[-1].id, ours


def next_batch(database: Store, reader: StoredReader) -> Steps[Batch | None]:
    """Return the next batch of rejects that are tried again; None at the end."""
    while (batch := reader.give()) is None:
        page = yield from next_page(database, reader.source, reader.after)
        if page is None:
            return None
        reader.after, rows = page
        yield Call(reader.take, (rows,))
    return batch
