"""The load of one table: a generator of effects, written once for every mode. No I/O, no clock, no waiting.

Read a batch, learn what the databases know of its keys, judge it, and start writing it while the next one is read: one
batch is being written and one judged, no more, so memory stays flat.

With checkpoints, the load commits its own database as it goes; without, the run commits all loads in the end. Records
that an earlier process has committed are read and judged once more, because what follows may have their keys, but
neither counted nor written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.effects import Announce, Await, Call, Finish, Now, Show, Start, Steps, Tell
from async_loader.errors import ConflictError, LedgerError
from async_loader.ledger.contents import Content
from async_loader.ledger.tally import Tally
from async_loader.loading.commits import Commits
from async_loader.loading.completing import complete
from async_loader.loading.finding import DryRows, Finding, Resolved
from async_loader.loading.judging import Knowledge, KnownReference, resolve, world_as_before
from async_loader.loading.listing import list_as_stored
from async_loader.loading.making_good import make_good
from async_loader.loading.match_values import MatchValues
from async_loader.loading.sides import Readable, RejectAllowance, TakesRejects
from async_loader.loading.superseding import Superseding
from async_loader.loading.verdicts import Progress, judge_and_number, judge_batch, lacks_computed
from async_loader.loading.writing import Judged, Written, check_count, write
from async_loader.records.batches import Batch, cut_batch
from async_loader.records.completion import stamped
from async_loader.records.key_sets import key_set
from async_loader.records.keys import AcceptedKeys, KeyRange, ReferencedKeys, UniqueValues
from async_loader.records.validation import Verdict, judge
from async_loader.tables import Reference, Table

if TYPE_CHECKING:
    from async_loader.loading.naming import NamedRows
    from async_loader.loading.parents import Family
    from async_loader.loading.waiting import WaitingRecords
    from async_loader.records.world import World
    from async_loader.stores.store import Store


# Batches of a table that may be written while the next one is read and judged. More were no faster.
WRITES_AHEAD = 1


def read_next(reader: Any) -> Steps[Batch | None]:
    """Return the next batch of a source; None at the end."""
    batch: Batch | None = yield Call(reader.read)
    return batch


@dataclass(frozen=True, slots=True)
class Load:
    """All that one table's load needs to know; `accepted` and `tally` fill as it goes.

    targets: by table name, the referenced tables with the database of each.
    ranges: by table name, the keys that a database held before the run, this table's own and its targets'.
    target_keys: by table name, the accepted keys of the targets that take part in the run.
    known: by table name, what is known already of the keys of a target.
    commits: when what the load has written is committed.
    checkpoint: records, from the first on, that an earlier process has committed.
    used_before: of those, by source and unique column, the lines of the records whose value was another row's.
    read: steps that give the next batch of a reader.
    contents: what is known to be read.
    superseding: what is needed to delete the stored rejects that records name; None where nothing is written.
    dry: of a dry run, the rows that it would store, for the tables that look them up.
    relied_on: fills with the references of the table, and what was known of the keys that they name.
    linked_to: fills with the references of link tables to the rows that they link.
    noted: names of referenced tables: all keys of theirs that accepted records name are noted. Of other tables only
        those are noted that were looked up.
    match_values: fills with those of accepted records.
    family: of a table that references itself, the records that wait for their parents.
    waited: positions of the records up to the checkpoint that waited there.
    named: where it is noted which rows records name; None where nothing wants to know that.
    """

    run: str
    started_at: str
    table: Table
    database: Store
    readers: Sequence[Readable]
    on_conflict: str
    allowance: RejectAllowance
    accepted: AcceptedKeys
    tally: Tally
    targets: Mapping[str, tuple[Table, Store]]
    target_keys: Mapping[str, AcceptedKeys]
    ranges: MutableMapping[str, KeyRange | None]
    commits: Commits = field(default_factory=Commits)
    files: TakesRejects | None = None
    read: Callable[[Any], Steps[Batch | None]] = read_next
    contents: Sequence[Content] = ()
    superseding: Superseding | None = None
    known: Mapping[str, ReferencedKeys] = field(default_factory=dict)
    checkpoint: int = 0
    used_before: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)
    dry: DryRows | None = None
    relied_on: list[KnownReference] = field(default_factory=list)
    linked_to: list[KnownReference] = field(default_factory=list)
    noted: frozenset[str] = frozenset()
    match_values: MatchValues = field(default_factory=MatchValues)
    family: Family | None = None
    waited: pl.Series | None = None
    named: NamedRows | None = None

    def shown(self, read_to: int, waits_for: str | None = None) -> Show:
        """Return how far the load is; `read_to` in bytes of all its sources together."""
        sizes = [reader.size for reader in self.readers]
        size = None if None in sizes else sum(size or 0 for size in sizes)
        counts = self.tally.counts
        return Show(self.table.name, counts.given, counts.rejected, read_to, size, waits_for)

    @property
    def written(self) -> list[Table]:
        """The tables whose rows it changes."""
        return [self.table, *(links.rows for links in self.table.used_links)]

    @property
    def target_databases(self) -> list[Store]:
        """The databases of the referenced tables."""
        return [self.targets[name][1] for name in self.table.targets]

    def stop_at_conflict(self, batch: Batch, verdict: Verdict, differing: pl.Series) -> None:
        """Raise ConflictError where a conflict ends the run; `differing` are keys of rows with other values."""
        if self.on_conflict != "stop" or not len(differing):
            return
        key, table = differing[0], self.table
        line = batch.lines.gather(verdict.places.filter(verdict.accepted[table.key] == key))[0]
        raise ConflictError(
            self.database.name,
            f"table {table.name} holds {table.key} {key!r} with other values than {batch.source}, "
            f"line {line}; mend the source, or load with --on-conflict reject or update",
        )

    def wait_for(self, tables: Iterable[str]) -> Steps[None]:
        """Wait until all keys of these tables are known, and let it be seen."""
        for name in tables:
            yield self.shown(0, name)
            yield Await(name)
            yield self.shown(0)


def load(this: Load) -> Steps[None]:
    """Load one table from all its sources, in their order."""
    if this.table.stamps:
        # All rows of a run have one time, also where an earlier process has loaded a part of them.
        this = replace(this, table=this.table.stamped_at(datetime.fromisoformat(this.started_at)))
    if this.table.own_references:
        this = replace(this, family=_family(this))
    progress = Progress((yield Now()))
    this.tally.samples.take(progress.began, this.tally.counts.given)
    yield this.shown(0)
    progress.key_range = yield from this.commits.begin(this)
    for reader in this.readers:
        yield from _load_source(this, progress, reader)
    yield from _judge_waiting(this, progress, is_last=True)
    if this.files is not None:
        yield Call(this.files.close)
    this.tally.seconds = ((yield Now()) - progress.began).total_seconds()
    _check_ledger(this, progress.position)
    if progress.known is not None:
        yield from make_good(this, progress.known.finding)
    yield from list_as_stored(this)
    counts, size = this.tally.counts, progress.bytes_done
    yield Show(this.table.name, counts.given, counts.rejected, size, size)
    yield from this.commits.end(this)
    yield Announce(this.table.name)


def _load_source(this: Load, progress: Progress, reader: Readable) -> Steps[None]:
    """Load one source: judge each batch and begin to write it, cut where a checkpoint is or is to be."""
    this.tally.notice(reader.ignored)
    while (batch := (yield from this.read(reader))) is not None:
        if progress.known is None:
            progress.known = yield from _know(this, progress)
        this.tally.weigh(this.table, batch)
        for part in cut_batch(batch, _borders(this, progress.position, len(batch))):
            for piece in (yield from complete(progress.known, stamped(this.table, part))):
                if this.named is not None:
                    yield Call(this.named.note, (this.table, part, piece))
                progress.position += len(piece.batch)
                if progress.position <= this.checkpoint:
                    yield from _replay(this, progress, reader, piece)
                    yield this.shown(progress.bytes_done + part.read_to)
                else:
                    yield from _load_part(this, progress, reader, piece)
    this.tally.blank_lines += reader.blank_lines
    progress.bytes_done += reader.size or 0


def _know(this: Load, progress: Progress) -> Steps[Knowledge]:
    """Return what is known before the first batch, once all keys are known of the targets that this run loads."""
    first = (*this.table.targets, *this.table.after)
    others = [name for name in first if name in this.target_keys and name != this.table.name]
    yield from this.wait_for(others)
    this.relied_on.extend(_known_reference(this, progress, reference) for reference in this.table.references)
    this.linked_to.extend(_known_reference(this, progress, links.reference) for links in this.table.used_links)
    return Knowledge(
        table=this.table,
        database=this.database,
        finding=Finding(this.table, this.database, this.targets, this.accepted, this.dry, this.match_values),
        accepted=this.accepted,
        key_range=progress.key_range,
        references=this.relied_on,
        unique=[UniqueValues([*map(this.table.column, each.columns)]) for each in this.table.judged_sets],
        conflicts_reject=this.on_conflict == "reject",
        waiting=_waiting(this),
    )


def _waiting(this: Load) -> WaitingRecords | None:
    """Return a place for records that wait for unique values: only rows that change give values up."""
    if not this.table.judged_sets or this.on_conflict != "update" or this.family is not None:
        return None
    from async_loader.loading.waiting import WaitingRecords

    return WaitingRecords(this.table)


def _family(this: Load) -> Family:
    """Return a place for records that wait for rows of their own table."""
    from async_loader.loading.parents import Family

    family = Family(this.table, moves=this.on_conflict == "update")
    if this.waited is not None:
        family.before = this.waited
    return family


def _known_reference(this: Load, progress: Progress, reference: Reference) -> KnownReference:
    target, database = this.targets[reference.table]
    keys = this.known.get(target.name)
    if target.name == this.table.name:
        # Records whose parents were refused are rejected when they are written, however late that is known.
        keys = ReferencedKeys(target.column(target.key), this.accepted, progress.key_range, with_refused=True)
    if keys is None:
        column = target.column(target.key)
        keys = ReferencedKeys(column, this.target_keys.get(target.name), this.ranges[target.name])
        if this.table.after:
            from async_loader.loading.inheriting import learn_of_children

            learn_of_children(this, target, keys)
    return KnownReference(reference, target, database, keys, key_set(target.column(reference.to or target.key)))


def _load_part(this: Load, progress: Progress, reader: Readable, resolved: Resolved) -> Steps[None]:
    """Judge, and begin to write; where a checkpoint is due, wait for what is being written, and commit."""
    assert progress.known is not None
    world_of = yield from resolve(progress.known, resolved)
    waiting = progress.known.waiting
    if waiting is not None:
        resolved, world_of = yield Call(waiting.set_aside, (reader, resolved, world_of))
    if this.family is not None:
        first = progress.position - len(resolved.batch)
        resolved, world_of = yield Call(this.family.set_aside, (reader, resolved, world_of, first))
    part = resolved.batch
    if this.table.finds_by_key and not lacks_computed(this.table, part):
        judged: Judged = yield Call(judge_batch, (this, progress.known, part, world_of))
    else:
        judged = yield from judge_and_number(this, progress, part, world_of)
    this.tally.notice(reader.ignored)
    now = yield Now()
    this.tally.seconds = (now - progress.began).total_seconds()
    this.tally.samples.take(now, this.tally.counts.given)
    this.allowance.check(this.table.name, this.tally.counts.rejected)
    yield this.shown(progress.bytes_done + part.read_to)
    yield from _settle(this, progress, WRITES_AHEAD - 1)
    progress.writing.append((yield Start(write(this, reader, judged))))
    if waiting is not None and waiting.is_full:
        yield Tell(waiting.is_full_in_words)
        yield from _judge_waiting(this, progress, is_last=False)
        progress.known.waiting = None
    if this.family is not None and this.family.is_worth_trying and not this.commits.are_several:
        yield from _judge_waiting(this, progress, is_last=False)
    if this.commits.is_due(progress.position):
        yield from _judge_waiting(this, progress, is_last=False)
        _check_outcomes(this)
        yield from this.commits.commit(this)
        yield from this.commits.refresh(this, progress.known)
        # Other sessions may have taken keys since the transaction ended.
        progress.new_keys = None


def _judge_waiting(this: Load, progress: Progress, *, is_last: bool) -> Steps[None]:
    """Judge the records that wait for others, together, and write them, once all that came before is written. Children
    whose parents may still come wait on, unless it is the last time.
    """
    yield from _settle(this, progress)
    known = progress.known
    if this.family is not None:
        from async_loader.loading.trees import settle

        for written in (yield from settle(this, progress, this.family, is_last=is_last)):
            yield from _count(this, written)
        this.tally.wait(this.family.positions)
        return
    pieces = [] if known is None or known.waiting is None else known.waiting.take()
    if known is None or not pieces:
        return
    from async_loader.loading.exchanging import write_exchanged
    from async_loader.loading.waiting import exchanged

    worlds = []
    for _, resolved in pieces:
        worlds.append((yield Call((yield from resolve(known, resolved)))))
    worlds, decided = yield Call(exchanged, (this.table, pieces, worlds))
    judged = []
    for (_, resolved), world in zip(pieces, worlds, strict=True):
        judged.append((yield from judge_and_number(this, progress, resolved.batch, partial(_itself, world))))
    this.allowance.check(this.table.name, this.tally.counts.rejected)
    for written in (yield from write_exchanged(this, pieces, judged, decided)):
        yield from _count(this, written)


def _itself(world: World) -> World:
    return world


def _replay(this: Load, progress: Progress, reader: Readable, resolved: Resolved) -> Steps[None]:
    """Judge once more what an earlier process has committed, and remember its keys. What waited then waits again."""
    known, family = progress.known, this.family
    assert known is not None
    world_of = yield from resolve(known, resolved)
    if family is not None:
        first = progress.position - len(resolved.batch)
        resolved, world_of = yield Call(family.add_again, (reader, resolved, world_of, first))

    def remember() -> None:
        world = world_as_before(world_of(), resolved.batch, this.used_before)
        if family is not None:
            from async_loader.loading.parents import without_own

            world = without_own(this.table, world)
        verdict = judge(this.table, resolved.batch, world)
        known.remember(verdict, world)
        if family is not None:
            family.note_rejected(resolved.batch, verdict.places)
        # A record that passes and yet is not there was refused by the database, or its parent was.
        new = verdict.new[this.table.key]
        this.accepted.refuse(new)
        if family is not None and len(new):
            is_new = verdict.accepted[this.table.key].is_in(new.implode())
            family.note_refused(resolved.batch, verdict.places.filter(is_new))

    yield Call(remember)


def _settle(this: Load, progress: Progress, left: int = 0) -> Steps[None]:
    """Wait until no more than that many batches are being written, and count what was."""
    while len(progress.writing) > left:
        yield from _count(this, (yield Finish(progress.writing.popleft())))


def _count(this: Load, written: Written) -> Steps[None]:
    """Count what was written."""
    this.tally.add(written.counts, written.superseded)
    if written.reasons:
        # Here, not while it is written: the tally is of one batch after the other.
        yield Call(this.tally.reject_late, (this.table, written.source, written.reasons, written.late))


def _borders(this: Load, position: int, size: int) -> list[int]:
    """Return where to cut the next `size` records after the first `position`: at checkpoints, old and new."""
    borders = {this.checkpoint - position, *this.commits.borders(position, size)}
    return sorted(border for border in borders if 0 < border < size)


def _check_ledger(this: Load, position: int) -> None:
    """Raise LedgerError unless every record is accounted for, by counts that are taken apart from each other."""
    if position < this.checkpoint:
        raise LedgerError(
            f"table {this.table.name}: the sources hold {position:,} records, of which {this.checkpoint:,} have been "
            "committed; begin anew with --restart"
        )
    given = sum(reader.delivered for reader in this.readers)
    check_count(this.table, "records read", given, this.tally.counts.given)
    _check_outcomes(this)


def _check_outcomes(this: Load) -> None:
    """Raise LedgerError unless every counted record has an outcome; to be called when all of them are written."""
    counts = this.tally.counts
    check_count(this.table, "records stored, unchanged or rejected", counts.outcomes, counts.given)
