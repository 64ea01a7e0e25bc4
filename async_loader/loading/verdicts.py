"""How the verdict of a batch is reached within a load: records are judged, new rows get keys, and all is made ready to
be written. Steps, and what they call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.columns import Column
from async_loader.effects import Call, Steps
from async_loader.inheritance import parts_of
from async_loader.loading.judging import Knowledge
from async_loader.loading.writing import Judged
from async_loader.records.batches import Batch
from async_loader.records.completion import insertable, restamped
from async_loader.records.keys import KeyRange
from async_loader.records.validation import Verdict, judge, with_computed
from async_loader.records.world import World
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.loading.load import Load
    from async_loader.stores.new_keys import NewKeys


@dataclass(slots=True)
class Progress:
    """How far a load is: `position` in records of its sources, the bytes of those that are done with, and the tokens
    of writes that are not waited for yet. `known` is made when the first batch has been read. `greatest_key`: the
    greatest of the keys that records have had before new ones were given.
    """

    began: datetime
    key_range: KeyRange | None = None
    known: Knowledge | None = None
    new_keys: NewKeys | None = None
    greatest_key: Any = None
    position: int = 0
    bytes_done: int = 0
    writing: deque[Any] = field(default_factory=deque)


def judge_and_number(this: Load, progress: Progress, batch: Batch, world_of: Callable[[], World]) -> Steps[Judged]:
    """Judge a batch, and give keys to its new rows before they are remembered and made ready."""
    assert progress.known is not None
    world, verdict = yield Call(verdict_of, (this, batch, world_of))
    verdict = yield from numbered(this, progress, verdict)
    verdict = yield from computed(this, batch, verdict)
    judged: Judged = yield Call(made_ready, (this, progress.known, batch, verdict, world))
    return judged


def numbered(this: Load, progress: Progress, verdict: Verdict) -> Steps[Verdict]:
    """Return a verdict with keys for its new rows."""
    given = verdict.accepted[this.table.key]
    if not this.table.finds_by_key and (greatest := given.max()) is not None:
        progress.greatest_key = greatest if progress.greatest_key is None else max(greatest, progress.greatest_key)
    if this.family is not None:
        progress.greatest_key = this.family.above(progress.greatest_key)
    if missing := given.null_count():
        if progress.new_keys is None:
            from async_loader.stores.new_keys import new_keys

            progress.new_keys = yield from new_keys(this.database, this.table)
        progress.new_keys.skip(progress.greatest_key)
        keys = (yield from progress.new_keys.take(missing)).alias(this.table.key)
        verdict = yield Call(verdict.numbered, (keys,))
    return verdict


def lacks_computed(table: Table, batch: Batch) -> list[Column]:
    """Return the columns that records lack, and that the database computes for new rows."""
    return [each for each in table.columns if each.is_computed and each.name in (*batch.absent, *batch.lacking)]


def computed(this: Load, batch: Batch, verdict: Verdict) -> Steps[Verdict]:
    """Return a verdict with the values that the database computes for new rows. A dry run asks for none."""
    for column in lacks_computed(this.table, batch):
        keys: pl.Series = yield Call(_lacking_keys, (this.table.key, column.name, batch, verdict))
        if len(keys) and this.database.writes:
            values = yield from this.database.computed(this.table, column, len(keys))
            verdict = yield Call(with_computed, (verdict, this.table.key, keys, values))
    return verdict


def _lacking_keys(key: str, column: str, batch: Batch, verdict: Verdict) -> pl.Series:
    """Return the keys of the new rows whose records lack a column."""
    if column in batch.absent:
        return verdict.new[key]
    lacking = verdict.accepted[key].filter(batch.lacking[column].gather(verdict.places))
    return lacking.filter(lacking.is_in(verdict.new[key].implode()))


def judge_batch(this: Load, known: Knowledge, batch: Batch, world_of: Callable[[], World]) -> Judged:
    """Judge a batch, remember and count what was accepted and rejected, and make it ready to be written."""
    world, verdict = verdict_of(this, batch, world_of)
    return made_ready(this, known, batch, verdict, world)


def verdict_of(this: Load, batch: Batch, world_of: Callable[[], World]) -> tuple[World, Verdict]:
    """Return the world, and the verdict that it makes of a batch."""
    world = world_of()
    verdict = judge(this.table, batch, world)
    this.stop_at_conflict(batch, verdict, verdict.changed[this.table.key])
    if batch.kept:
        verdict = restamped(this.table, batch, world, verdict)
    if batch.absent:
        verdict = replace(verdict, written=insertable(this.table, batch, verdict.written))
    return world, verdict


def made_ready(this: Load, known: Knowledge, batch: Batch, verdict: Verdict, world: World) -> Judged:
    """Remember and count what was accepted and rejected, and make it ready to be written."""
    take_in(this, known, batch, verdict, world)
    pack = this.database.pack
    written = pack(verdict.written, this.table, replace=len(verdict.changed) > 0)
    return Judged(batch, verdict, written, pack(verdict.rejects))


def take_in(this: Load, known: Knowledge, batch: Batch, verdict: Verdict, world: World) -> None:
    """Remember and count what was accepted and rejected."""
    known.remember(verdict, world)
    _note_named(this, known, batch, verdict)
    if this.dry is not None:
        for part in parts_of(this.table):
            # Rows of a table with parents are looked up as rows of these, too.
            accepted = verdict.accepted
            renamed = accepted if part.key == this.table.key else accepted.rename({this.table.key: part.key})
            this.dry.keep(part.name, accepted if part.name == this.table.name else renamed)
    if this.family is not None and world.settled is None:
        this.family.note_rejected(batch, verdict.places)
    this.tally.take(this.table, batch, verdict, is_late=world.settled is not None)


def _note_named(this: Load, known: Knowledge, batch: Batch, verdict: Verdict) -> None:
    """Note the keys that accepted records name, to look at them once more before the commit."""
    for each in known.references:
        if each.target.name in this.noted or each.reference.column in batch.lookups:
            each.named.add(verdict.accepted[each.reference.column])
    for links, each in zip(this.table.used_links, this.linked_to, strict=True):
        if links.name in batch.linked:
            each.named.add(batch.linked[links.name].gather(verdict.places).explode().drop_nulls())
