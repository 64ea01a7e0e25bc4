"""What a run says of each table that it has loaded, once that is committed. Steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from async_loader.effects import Call, Steps
from async_loader.ledger.counts import Counts
from async_loader.run.state import RunState


@dataclass(frozen=True, slots=True)
class WrittenKeys:
    """The keys of rows that were inserted or changed, to be iterated as often as one likes."""

    _parts: Sequence[pl.Series] = field(repr=False)

    def __iter__(self) -> Iterator[Any]:
        for part in self._parts:
            yield from part

    def __len__(self) -> int:
        return sum(map(len, self._parts))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was committed of a table by a run.

    counts: what became of its records. keys: of the rows that were inserted or changed, in the order of the source.
    is_complete: whether all of the table's sources were loaded.
    resumed: whether an earlier process of the run has committed rows whose keys are not among these.
    """

    table: str
    database: str
    run: str
    counts: Counts
    keys: WrittenKeys
    is_complete: bool
    resumed: bool


def announce(state: RunState) -> Steps[None]:
    """Call what listens to loads of tables, with what was committed. It may take long, and may ask databases."""
    for table in state.plan.loaded:
        tally = state.tallies[table.name]
        if tally.written is None or table.on_loaded is None or not (tally.kept.whole or tally.kept.records):
            continue
        keys = WrittenKeys(tuple(tally.written))
        kept, resumed = tally.kept, tally.lacks_keys
        loaded = Loaded(table.name, table.database, state.run, kept.counts, keys, kept.whole, resumed)
        yield Call(table.on_loaded, (loaded,))
