"""Records whose fate depends on records to come: they want a unique value that a row has which may yet give it up.

They wait until the transaction of their table ends, and are then judged together (`records/exchanges.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from async_loader.records.arrays import all_false
from async_loader.records.exchanges import Exchange, Waiting, exchange
from async_loader.records.identities import identities
from async_loader.records.text_keys import TextKeys
from async_loader.records.validation import have_failed
from async_loader.records.world import UniqueInBatch, World
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.loading.finding import Resolved
    from async_loader.loading.sides import Readable

# Bytes of records that wait, at most. Where there are more, all that wait are judged, and no others wait.
MOST_BYTES = 256 << 20
# What a record takes besides its texts, about: numbers, flags, and entries while it is judged.
BYTES_PER_RECORD = 400

Piece: TypeAlias = "tuple[Readable, Resolved]"


class WaitingRecords:
    """The records of a table that wait, in their order, and what other records must not have before they are judged."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._pieces: list[Piece] = []
        self._identities = TextKeys()
        self._values = [TextKeys() for _ in table.judged_sets]
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether no more are to wait."""
        return self._bytes > MOST_BYTES

    @property
    def is_full_in_words(self) -> str:
        """What becomes of records once too many have waited, as a line."""
        problem = f"over {MOST_BYTES >> 20} MiB of records wait for unique values of other rows"
        return f"{self._table.name}: {problem}; they are judged now, and the rest in the order of records"

    def take(self) -> list[Piece]:
        """Return the records that wait, and forget them."""
        pieces = self._pieces
        self.__init__(self._table)  # type: ignore[misc]
        return pieces

    def set_aside(
        self, reader: Readable, resolved: Resolved, world_of: Callable[[], World]
    ) -> tuple[Resolved, Callable[[], World]]:
        """Keep the records whose fate is not known. Returns the others, and the world to judge them by."""
        world = world_of()
        identity = as_text(resolved.batch.values[self._table.key] if world.identity is None else world.identity)
        values = [as_text(each.values) for each in world.unique]
        waits = self._undecided(world, identity, values)
        if not waits.any():
            return resolved, lambda: world
        self._identities.add(identity.filter(waits))
        for known, texts in zip(self._values, values, strict=True):
            known.add(texts.filter(waits))
        kept = resolved.chosen(waits, with_broken=False)
        self._bytes += _size(kept.batch.as_read) + _size(kept.batch.values)
        self._pieces.append((reader, kept))
        others = world.chosen(~waits)
        return resolved.chosen(~waits, with_broken=True), lambda: others

    def _undecided(self, world: World, identity: pl.Series, values: Sequence[pl.Series]) -> pl.Series:
        waits = all_false(len(identity))
        for each in world.unique:
            waits |= each.owned
        if self._pieces:
            waits |= self._identities.holds(identity)
            for known, texts in zip(self._values, values, strict=True):
                waits |= known.holds(texts)
        waits &= ~world.taken
        if not waits.any():
            return waits
        # Records that have something in common with one that waits wait with it.
        alike = shared(identity)
        for texts in values:
            alike |= shared(texts)
        return waits | (alike & ~world.taken) if (waits & alike).any() else waits


def exchanged(table: Table, pieces: Iterable[Piece], worlds: Sequence[World]) -> tuple[list[World], Exchange]:
    """Judge records that wait. Returns the worlds with what was decided, and what was decided of all as a whole."""
    batches = [resolved.batch for _, resolved in pieces]
    both = list(zip(batches, worlds, strict=True))
    keys = [batch.values[table.key] if world.identity is None else world.identity for batch, world in both]
    decided = exchange(
        Waiting(
            identity=pl.concat(map(as_text, keys)),
            is_taken=pl.concat(world.taken for world in worlds),
            has_failed=pl.concat(have_failed(table, batch, world) for batch, world in both),
            unique=[_joined([world.unique[number] for world in worlds]) for number in range(len(worlds[0].unique))],
        )
    )
    settled, start = [], 0
    for world in worlds:
        part = slice(start, start + len(world.taken))
        settled.append(replace(world, settled=decided.settled.part(part)))
        start = part.stop
    return settled, decided


def _joined(parts: Sequence[UniqueInBatch]) -> UniqueInBatch:
    columns = ([each.values, each.taken, each.owned, each.given_up] for each in parts)
    return UniqueInBatch(parts[0].unique, *map(pl.concat, zip(*columns, strict=True)))


def as_text(values: pl.Series) -> pl.Series:
    """Return values as texts, which are the same just where they are."""
    return identities(values.to_frame()).cast(pl.String)


def shared(values: pl.Series) -> pl.Series:
    """Return for each value whether another record has it too."""
    return values.is_duplicated() & values.is_not_null()


def _size(frame: pl.DataFrame) -> int:
    texts = [column.str.len_bytes().sum() for column in frame if column.dtype == pl.String]
    return sum(int(size or 0) for size in texts) + BYTES_PER_RECORD // 2 * len(frame)
