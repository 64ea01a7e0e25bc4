"""What loading one table is: a generator of effects, written once for every mode. No I/O, no clock, no waiting.

Read a batch, learn what the world knows of its keys, judge it, and start writing it while the next one is read: one
batch is being written and one judged, no more, so memory stays flat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import polars as pl

from async_loader.batches import Batch
from async_loader.effects import Announce, Await, Call, Finish, Now, Packed, Show, Start, Steps
from async_loader.errors import ConflictError, LedgerError, OverLimitError
from async_loader.keys import KeyRange, KeySet, ReferencedKeys, within
from async_loader.report import Tally
from async_loader.tables import Reference, Table
from async_loader.validation import Verdict, World, judge, no

if TYPE_CHECKING:
    from async_loader.rejects import RejectFiles
    from async_loader.sources import Source
    from async_loader.stores.sqlite import Database


# Batches of a table that may be written while the next one is read and judged. More were no faster.
WRITES_AHEAD = 1


class Readable(Protocol):
    """An open source, as a load sees it."""

    @property
    def source(self) -> Source:
        """What it reads."""

    @property
    def ignored(self) -> list[str]:
        """Columns that the table does not have."""

    @property
    def size(self) -> int | None:
        """In bytes; None where unknown."""

    @property
    def delivered(self) -> int:
        """How many records it has given."""

    def read(self) -> Batch | None:
        """The next batch; None at the end."""


@dataclass(frozen=True, slots=True)
class Load:
    """All that one table's load needs to know; `accepted` and `tally` fill as it goes.

    targets: by table name, the referenced tables with the database of each.
    ranges: by table name, the keys that a database held before the run, this table's own and its targets'.
    target_keys: by table name, the accepted keys of the targets that take part in the run.
    """

    run: str
    started_at: str
    table: Table
    database: Database
    readers: Sequence[Readable]
    on_conflict: str
    dry_run: bool
    allowance: RejectAllowance
    accepted: KeySet
    tally: Tally
    targets: Mapping[str, tuple[Table, Database]]
    target_keys: Mapping[str, KeySet]
    ranges: Mapping[str, KeyRange | None]
    files: RejectFiles | None = None


class RejectAllowance:
    """How many rejects a whole run may have, all its tables together. None is any number."""

    def __init__(self, limit: int | None, tables: Iterable[str]) -> None:
        self._limit = limit
        # A count for each table, which its load alone sets: so loads side by side cannot lose one another's.
        self._rejected = dict.fromkeys(tables, 0)

    def check(self, table: str, rejected: int) -> None:
        """OverLimitError once there are too many; `rejected` is all of this table's so far."""
        self._rejected[table] = rejected
        total = sum(self._rejected.values())
        if self._limit is not None and total > self._limit:
            raise OverLimitError(total, self._limit)


# The references of a table, each with what is known of the keys that it names.
References: TypeAlias = Sequence[tuple[Reference, ReferencedKeys]]


def load(this: Load) -> Steps[None]:
    """Load one table from all its sources, in their order, up to but without the commit."""
    began = yield Now()
    references = [(reference, _referenced(this, reference)) for reference in this.table.references]
    writing: deque[Any] = deque()
    for reader in this.readers:
        this.tally.notice(reader.ignored)
        while (batch := (yield Call(reader.read))) is not None:
            judged = yield from _judged(this, batch, references)
            this.tally.notice(reader.ignored)
            this.tally.seconds = ((yield Now()) - began).total_seconds()
            this.allowance.check(this.table.name, this.tally.rejected)
            yield Show(this.table.name, this.tally.given, this.tally.rejected, batch.read_to, reader.size)
            if len(writing) == WRITES_AHEAD:
                this.tally.add(*(yield Finish(writing.popleft())))
            writing.append((yield Start(_write(this, reader, judged))))
    yield Announce(this.table.name)
    while writing:
        this.tally.add(*(yield Finish(writing.popleft())))
    if this.files is not None:
        yield Call(this.files.close)
    this.tally.seconds = ((yield Now()) - began).total_seconds()
    _check_ledger(this)


def _referenced(this: Load, reference: Reference) -> ReferencedKeys:
    target, _ = this.targets[reference.table]
    return ReferencedKeys(target.column(target.key), this.target_keys.get(target.name), this.ranges[target.name])


@dataclass(frozen=True, slots=True)
class _Questions:
    """What a batch's records leave open.

    taken: for each record, whether its key was accepted before.
    places, unsure: the others whose keys the table may hold: where they are, and what they are.
    unknown: for each reference, the keys that only the database can tell about.
    """

    taken: pl.Series
    places: pl.Series
    unsure: pl.DataFrame
    unknown: list[pl.Series]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A verdict, and its parts made ready to be written."""

    verdict: Verdict
    new: Sequence[Packed] = ()
    changed: Sequence[Packed] = ()
    rejects: Sequence[Packed] = ()


def _judged(this: Load, batch: Batch, references: References) -> Steps[_Judged]:
    """Learn what must be known, then judge. Each crossing into a thread and back is felt, so there are few."""
    for reference, _ in references:
        if reference.table in this.target_keys:
            yield Await(reference.table)
    questions: _Questions = yield Call(_questions, (this, batch, references))
    held = (yield from this.database.held(this.table, questions.unsure)) if len(questions.places) else None
    for (reference, known), unknown in zip(references, questions.unknown, strict=True):
        if len(unknown):
            yield from learn(*this.targets[reference.table], known, unknown)
    judged: _Judged = yield Call(_conclude, (this, batch, references, questions, held))
    return judged


def learn(target: Table, database: Database, known: ReferencedKeys, unknown: pl.Series) -> Steps[None]:
    """Ask the database about the unknown keys, or read all of its keys where that is cheaper."""
    ranges = known.ranges_to_read(unknown)
    if not ranges:
        present = yield from database.present(target, unknown)
        yield Call(known.learn, (unknown, present))
        return
    for least, greatest in ranges:
        yield Call(known.learn_present, ((yield from database.keys_between(target, least, greatest)),))
    known.learned_all()


def _questions(this: Load, batch: Batch, references: References) -> _Questions:
    keys = batch.values[this.table.key]
    taken = this.accepted.holds(keys) if len(this.accepted) else no(len(keys))
    places = (within(keys, this.ranges[this.table.name]) & ~taken).arg_true()
    unknown = [known.unknown(batch.values[reference.column]) for reference, known in references]
    return _Questions(taken, places, batch.values[places], unknown)


def _conclude(
    this: Load,
    batch: Batch,
    references: References,
    questions: _Questions,
    held: tuple[pl.Series, pl.Series] | None,
) -> _Judged:
    """Judge, and remember what that accepted and rejected. `held`: which unsure records the table holds with the same
    values, and which with others.
    """
    nothing = pl.Series([], dtype=pl.Int64)
    same, differing = (_mask(len(batch.lines), questions.places, each) for each in held or (nothing, nothing))
    absent = [known.absent(batch.values[reference.column]) for reference, known in references]
    world = World(questions.taken, same | differing, differing, absent, conflicts_reject=this.on_conflict == "reject")
    verdict = judge(this.table, batch, world)
    if this.on_conflict == "stop" and len(verdict.changed):
        key = verdict.changed[this.table.key][0]
        line = batch.lines.filter(differing & (batch.values[this.table.key] == key))[0]
        raise ConflictError(
            this.database.name,
            f"table {this.table.name} holds {this.table.key} {key!r} with other values than {batch.source}, "
            f"line {line}; mend the source, or load with --on-conflict reject or update",
        )
    this.accepted.add(verdict.accepted[this.table.key])
    this.tally.take(batch, verdict)
    if this.dry_run:
        return _Judged(verdict)
    return _Judged(verdict, *map(this.database.pack, (verdict.new, verdict.changed, verdict.rejects)))


def _mask(size: int, places: pl.Series, chosen: pl.Series) -> pl.Series:
    """True at the chosen ones of these places."""
    return no(size) if not len(chosen) else no(size).scatter(places.gather(chosen), values=True)


def _write(this: Load, reader: Readable, judged: _Judged) -> Steps[tuple[int, int]]:
    """Store a verdict: what was accepted, and the rejects with it. Returns how many rows were inserted and updated."""
    verdict = judged.verdict
    if this.files is not None and len(verdict.rejects):
        yield Call(this.files.write, (reader, verdict.rejects))
    if this.dry_run:
        return len(verdict.new), len(verdict.changed)
    inserted = yield from this.database.insert(this.table, judged.new)
    updated = yield from this.database.replace(this.table, judged.changed)
    kept = yield from this.database.add_rejects(this.run, this.started_at, reader.source.path, judged.rejects)
    _agree(this, "rejects kept", kept, len(verdict.rejects))
    return inserted, updated


def _check_ledger(this: Load) -> None:
    """Every record that the sources gave is accounted for, by counts taken apart from each other."""
    tally = this.tally
    _agree(this, "records read", sum(reader.delivered for reader in this.readers), tally.given)
    _agree(this, "records stored, unchanged or rejected", _outcomes(tally), tally.given)


def _outcomes(tally: Tally) -> int:
    return tally.inserted + tally.updated + tally.unchanged + tally.rejected


def _agree(this: Load, what: str, found: Any, expected: int) -> None:
    if found != expected:
        raise LedgerError(f"table {this.table.name}: {found} {what} where {expected} were expected; nothing was kept")
