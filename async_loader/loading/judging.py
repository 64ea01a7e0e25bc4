"""How a batch is resolved: what its records leave open is asked of the databases, and makes the world to judge by.

In steps: which questions are open (a call), what the databases answer (queries), and which world
that makes (a function, to be called where the batch is judged: each crossing into a thread is felt, so there are few).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Call, Finish, Start, Steps
from async_loader.loading.finding import Finding, Resolved
from async_loader.loading.learning import learn
from async_loader.loading.meanwhile import differing_rows
from async_loader.loading.unique_sets import AskedSet, Held, ask_sets
from async_loader.records.arrays import all_false, flags_at
from async_loader.records.batches import Batch
from async_loader.records.differences import DifferingRows
from async_loader.records.key_sets import KeySet
from async_loader.records.keys import AcceptedKeys, KeyRange, ReferencedKeys, UniqueValues, are_within
from async_loader.records.validation import Verdict, only_column
from async_loader.records.world import UniqueInBatch, World
from async_loader.tables import Reference, Table

if TYPE_CHECKING:
    from async_loader.loading.waiting import WaitingRecords
    from async_loader.stores.store import Store


@dataclass(frozen=True, slots=True)
class KnownReference:
    """A reference of the table, and what is known of the keys that it may name.

    named: the values that accepted records hold in it, as far as they are noted.
    """

    reference: Reference
    target: Table
    database: Store
    keys: ReferencedKeys
    named: KeySet


@dataclass(slots=True)
class Knowledge:
    """What a load knows of its table's keys and values and of the keys that it references, and learns as it goes.

    key_range: bounds of the keys that the table may hold besides those of this run.
    conflicts_reject: whether a record is rejected that differs from the row of its key; else it replaces the row.
    waiting: the records that wait for values of others; None where none does.
    """

    table: Table
    database: Store
    finding: Finding
    accepted: AcceptedKeys
    key_range: KeyRange | None
    references: Sequence[KnownReference]
    unique: Sequence[UniqueValues]
    conflicts_reject: bool
    waiting: WaitingRecords | None = None

    def find(self, batch: Batch) -> Steps[Resolved]:
        """Return a batch whose records name rows by their keys: as it was read, or with the keys that were found."""
        resolved = Resolved(batch)
        if batch.lookups or batch.links or not self.table.finds_by_key:
            resolved = yield from self.finding.resolve(batch)
        if self.table.parents:
            from async_loader.loading.inheriting import check_keys

            return (yield from check_keys(self.table, self.database, resolved))
        return resolved

    def are_taken(self, resolved: Resolved) -> pl.Series:
        """Return for each record whether one that stands for the same row was accepted before."""
        if resolved.identity is not None:
            return self.finding.taken(resolved.identity)
        return self.accepted.are_taken(resolved.batch.values[self.table.key])

    def may_be_held(self, resolved: Resolved) -> pl.Series:
        """Return for each record whether the table may hold its key."""
        keys = resolved.batch.values[self.table.key]
        # A key that was found is there, whatever the range was when the load began.
        return are_within(keys, self.key_range) if resolved.identity is None else keys.is_not_null()

    def remember(self, verdict: Verdict, world: World) -> None:
        """Take in the keys and the unique values of what was accepted."""
        self.accepted.add(verdict.accepted[self.table.key])
        if world.identity is not None and self.table.match:
            self.finding.remember(world.identity.gather(verdict.places))
        for unique, values in zip(world.unique, self.unique, strict=True):
            values.add(unique.values.gather(verdict.places), unique.given_up.gather(verdict.places))


@dataclass(frozen=True, slots=True)
class _Questions:
    """What a batch's records leave open.

    taken: for each record, whether its key was accepted before.
    places, unsure: the others whose keys the table may hold: where they are, and what they are.
    unknown: for each reference, the keys that only the database can answer for.
    """

    taken: pl.Series
    places: pl.Series
    unsure: pl.DataFrame
    unknown: list[pl.Series]


@dataclass(frozen=True, slots=True)
class Answers:
    """What the database says of a batch's records.

    same, differing: the places of those whose keys it holds, with the same values and with others.
    rows: those that differ, where records are rejected for it.
    unique: for each unique set, what it says of the records.
    """

    same: pl.Series
    differing: pl.Series
    rows: DifferingRows | None
    unique: Sequence[AskedSet]


def resolve(known: Knowledge, resolved: Resolved) -> Steps[Callable[[], World]]:
    """Ask what a batch's records leave open. Returns a function that gives the world to judge them by."""
    batch = resolved.batch
    questions: _Questions = yield Call(_questions, (known, resolved))
    answers = yield from _answers(known, batch, questions)
    learning = []
    for reference, unknown in zip(known.references, questions.unknown, strict=True):
        if len(unknown):
            learning.append((yield Start(learn(reference.target, reference.database, reference.keys, unknown))))
    for token in learning:
        yield Finish(token)
    return partial(_world, known, resolved, questions, answers)


def _questions(known: Knowledge, resolved: Resolved) -> _Questions:
    batch, taken = resolved.batch, known.are_taken(resolved)
    places = (known.may_be_held(resolved) & ~taken).arg_true()
    unknown = [each.keys.unknown(_named_keys(batch, each.reference)) for each in known.references]
    return _Questions(taken, places, batch.values[places], unknown)


def _answers(known: Knowledge, batch: Batch, questions: _Questions) -> Steps[Answers]:
    """Ask the table's database about a batch; nothing is asked of a table that can hold none of its keys or values."""
    table, nothing = known.table, pl.Series([], dtype=pl.Int64)
    same, differing = nothing, nothing
    if len(questions.places):
        places = yield from known.database.held(table, questions.unsure, batch.absent)
        same, differing = (questions.places.gather(each) for each in places)
    rows = None
    if known.conflicts_reject and len(differing):
        found = yield from differing_rows(known.database, table, batch.values[differing], batch.absent)
        rows = found.at(differing)
    sets: Sequence[AskedSet] = ()
    if known.unique:
        held = Held(same, differing, may_be_owned=known.key_range is not None)
        sets = yield from ask_sets(table, known.database, batch, held)
    if batch.linked:
        from async_loader.loading.linking import with_other_sets

        return (yield from with_other_sets(known, batch, Answers(same, differing, rows, sets)))
    return Answers(same, differing, rows, sets)


def _named_keys(batch: Batch, reference: Reference) -> pl.Series:
    """Return the keys that the source gives for a reference; those that were looked up are there."""
    keys = batch.values[reference.column]
    return keys.clear() if reference.column in batch.lookups else keys


def _world(known: Knowledge, resolved: Resolved, questions: _Questions, answers: Answers) -> World:
    """Return the world to judge a batch by: places in the answers become masks as long as the batch.

    A reference that was looked up leads to a row already, or has a check that says why not, so none dangles. A unique
    column that the source lacks is judged by what rows will hold: new ones the default, others what they have.
    """
    batch = resolved.batch
    size = len(batch.lines)
    differing = flags_at(size, answers.differing)
    held = flags_at(size, answers.same) | differing
    return World(
        taken=questions.taken,
        held=held,
        differs=differing,
        dangling=[
            all_false(size)
            if each.reference.column in batch.lookups
            else each.keys.are_dangling(batch.values[each.reference.column])
            for each in known.references
        ],
        identity=resolved.identity,
        identified_by=known.table.match,
        checks=resolved.checks,
        differing=answers.rows,
        conflicts_reject=known.conflicts_reject,
        unique=[
            UniqueInBatch(
                each.unique,
                each.values,
                taken.are_taken(each.values),
                taken.are_kept(each.values, each.owned),
                each.given_up,
            )
            for each, taken in zip(answers.unique, known.unique, strict=True)
        ],
    )


def world_as_before(world: World, batch: Batch, used: Mapping[tuple[str, str], Sequence[int]]) -> World:
    """Return the world with the answers that an earlier process had: values may have been given up since.

    used: by source and unique column, the lines of the records whose value was another row's then.
    """
    unique = []
    for each in world.unique:
        lines = used.get((batch.source, only_column(each.unique.columns) or ""), [])
        nothing = each.given_up.clear().extend_constant(None, len(batch.lines))
        was_used = batch.lines.is_in(list(lines))
        unique.append(replace(each, taken=was_used, owned=all_false(len(batch.lines)), given_up=nothing))
    return replace(world, unique=unique)
