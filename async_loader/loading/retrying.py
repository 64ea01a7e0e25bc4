"""Stored rejects read part after part, in the transaction that will delete them: the source of a retry. Steps."""

from __future__ import annotations

from async_loader.effects import Call, Steps
from async_loader.ledger.layouts import RejectRow, Selection
from async_loader.records.batches import Batch
from async_loader.sources.stored_rejects import StoredReader, as_written
from async_loader.stores import stored_rejects
from async_loader.stores.store import Store


def part(database: Store, of: Selection, after: int) -> Steps[tuple[int, list[RejectRow]] | None]:
    """Return the next of the chosen rejects after an id, and the id up to which all have been seen; None at the end."""
    rows = yield from stored_rejects.part(database, of.origin, of.reason, after)
    if not rows:
        return None
    with as_written(of.origin, rows):
        kept: list[RejectRow] = yield Call(of.keep, (rows,))
    return rows[-1].id, kept


def next_batch(database: Store, reader: StoredReader) -> Steps[Batch | None]:
    """Return the next batch of rejects that are tried again; None at the end."""
    while (batch := reader.give()) is None:
        read = yield from part(database, reader.source, reader.after)
        if read is None:
            return None
        reader.after, rows = read
        yield Call(reader.take, (rows,))
    return batch
