"""Batches of records that a program gives: drawn before they are read, and never more than the next batch. Steps."""

from __future__ import annotations

from async_loader.effects import Call, Draw, Steps
from async_loader.records.batches import Batch
from async_loader.sources.reader import Reader


def draw_next(reader: Reader) -> Steps[Batch | None]:
    """Return the next batch of a source, of which records are drawn where a program gives them; None at the end."""
    if (stream := reader.drawn) is not None and not reader.has_batch:
        while wanted := stream.wanted:
            records = yield Draw(stream.records, wanted)
            yield Call(stream.take, (records, wanted))
    batch: Batch | None = yield Call(reader.read)
    return batch
