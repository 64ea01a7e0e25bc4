"""Parts of a source, that several can read side by side."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from async_loader.batches import Batch
from async_loader.sources import Reader, Source
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Part:
    """A source, all of it."""

    source: Source
    size: int


def parts_of(source: Source, table: Table, size: int) -> list[Part]:
    """The parts of a source."""
    return [Part(source, size)]


def open_part(part: Part, table: Table, batch_size: int) -> Reader:
    """A reader of it."""
    return Reader(part.source, table, batch_size)


def keys_of(part: Part, table: Table) -> pl.Series:
    """Its keys."""
    reader = open_part(part, table, 100_000)
    found: list[pl.Series] = []
    batch: Batch | None
    while (batch := reader.read()) is not None:
        found.append(batch.values[table.key].drop_nulls())
    return pl.concat(found)
