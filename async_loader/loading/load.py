"""What loading one table is: a generator of effects, written once for every mode. No I/O, no clock, no waiting.

Read a batch, learn what the world knows of its keys, judge it, and start writing it while the next one is read: one
batch is being written and one judged, no more, so memory stays flat.

With checkpoints, the load commits its own database as it goes; without, whoever runs all loads commits in the end.
Records that an earlier process has committed are read and judged once more, because what follows may have their keys,
but neither counted nor written.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import polars as pl

from async_loader.effects import Announce, Await, Call, Complete, Finish, Now, Packed, Show, Start, Steps
from async_loader.errors import ConflictError, LedgerError, OverLimitError
from async_loader.ledger.counts import Counts
from async_loader.ledger.entries import COMPLETE, RUNNING
from async_loader.ledger.tally import Tally
from async_loader.loading.refused import Refused, rejects_with, write_apart
from async_loader.records.arrays import all_false
from async_loader.records.batches import Batch, cut_batch
from async_loader.records.keys import AcceptedKeys, KeyRange, ReferencedKeys, UniqueValues, are_within
from async_loader.records.validation import UniqueColumn, Verdict, World, judge
from async_loader.tables import Reference, Table

if TYPE_CHECKING:
    from async_loader.stores.store import Store


# Batches of a table that may be written while the next one is read and judged. More were no faster.
WRITES_AHEAD = 1


class HasPath(Protocol):
    """What tells a source's name."""

    @property
    def path(self) -> str:
        """As the user gave it."""


class Readable(Protocol):
    """An open source, as a load sees it."""

    @property
    def source(self) -> HasPath:
        """What it reads."""

    @property
    def ignored(self) -> Sequence[str]:
        """Columns that the table does not have."""

    @property
    def size(self) -> int | None:
        """In bytes; None where unknown."""

    @property
    def delivered(self) -> int:
        """How many records it has given."""


class TakesRejects(Protocol):
    """What rejects are written to besides the database."""

    def write(self, source: Any, rejects: pl.DataFrame) -> None:
        """Add a batch's rejects of a source."""

    def close(self) -> None:
        """No more will come."""


def called(reader: Any) -> Steps[Batch | None]:
    """The next batch of a source; None at the end."""
    batch: Batch | None = yield Call(reader.read)
    return batch


def keep_nothing(_: str) -> Steps[None]:
    """Where the load itself commits nothing."""
    yield from ()


def confirm_nothing() -> Steps[None]:
    """Likewise."""
    yield from ()


def supersede_nothing(_: Sequence[str]) -> Steps[Counter[str]]:
    """Where no record names a stored reject."""
    yield from ()
    return Counter()


@dataclass(frozen=True, slots=True)
class Load:
    """All that one table's load needs to know; `accepted` and `tally` fill as it goes.

    targets: by table name, the referenced tables with the database of each.
    ranges: by table name, the keys that a database held before the run, this table's own and its targets'.
    target_keys: by table name, the accepted keys of the targets that take part in the run.
    known: by table name, what is known already of the keys of a target.
    behind: with checkpoints, the tables whose loads use the same connection before this one.
    checkpoint: records, from the first on, that an earlier process has committed.
    used_before: of those, by source and unique column, the lines of the records whose value was another row's.
    save, confirm: with checkpoints, steps, in the open transaction, that keep how far the run has come with this table,
        and that make sure that nobody else has gone on with it.
    read: steps that give the next batch of a reader.
    supersede: steps, in the open transaction, that delete the stored rejects so named, and count them by run.
    """

    run: str
    started_at: str
    table: Table
    database: Store
    readers: Sequence[Readable]
    on_conflict: str
    dry_run: bool
    allowance: RejectAllowance
    accepted: AcceptedKeys
    tally: Tally
    targets: Mapping[str, tuple[Table, Store]]
    target_keys: Mapping[str, AcceptedKeys]
    ranges: MutableMapping[str, KeyRange | None]
    save: Callable[[str], Steps[None]] = keep_nothing
    confirm: Callable[[], Steps[None]] = confirm_nothing
    files: TakesRejects | None = None
    read: Callable[[Any], Steps[Batch | None]] = called
    supersede: Callable[[Sequence[str]], Steps[Counter[str]]] = supersede_nothing
    commit_every: int = 0
    behind: Sequence[str] = ()
    known: Mapping[str, ReferencedKeys] = field(default_factory=dict)
    checkpoint: int = 0
    used_before: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class _Known:
    """What a load learns as it goes: of referenced keys, and of the values of each unique column."""

    references: References
    unique: Sequence[UniqueValues]


@dataclass(slots=True)
class _Progress:
    """How far a load is: `position` in records of its sources, the bytes of those that are done with, and the tokens
    of writes that are not waited for yet.
    """

    began: datetime
    position: int = 0
    bytes_done: int = 0
    writing: deque[Any] = field(default_factory=deque)


def load(this: Load) -> Steps[None]:
    """Load one table from all its sources, in their order. Without checkpoints that is all but the commit."""
    progress = _Progress((yield Now()))
    this.tally.samples.take(progress.began, this.tally.counts.given)
    yield _shown(this, 0)
    if this.commit_every:
        yield from _begin(this)
    known: _Known | None = None
    for reader in this.readers:
        this.tally.notice(reader.ignored)
        while (batch := (yield from this.read(reader))) is not None:
            if known is None:
                known = _Known((yield from _references(this)), [UniqueValues(column) for column in this.table.unique])
            for part in cut_batch(batch, _borders(this, progress.position, len(batch))):
                progress.position += len(part)
                if progress.position <= this.checkpoint:
                    yield from _verdict(this, part, known, replayed=True)
                    yield _shown(this, progress.bytes_done + part.read_to)
                else:
                    yield from _load_part(this, progress, reader, part, known)
        progress.bytes_done += reader.size or 0
    yield from _settle(this, progress)
    if this.files is not None:
        yield Call(this.files.close)
    this.tally.seconds = ((yield Now()) - progress.began).total_seconds()
    _check_ledger(this, progress.position)
    yield Show(
        this.table.name, this.tally.counts.given, this.tally.counts.rejected, progress.bytes_done, progress.bytes_done
    )
    if this.commit_every:
        yield Complete(_commit(this, COMPLETE))
    yield Announce(this.table.name)


def _load_part(this: Load, progress: _Progress, reader: Readable, part: Batch, known: _Known) -> Steps[None]:
    """Judge, and begin to write; where a checkpoint is due, wait for what is being written, and commit."""
    judged: _Judged = yield from _verdict(this, part, known)
    this.tally.notice(reader.ignored)
    now = yield Now()
    this.tally.seconds = (now - progress.began).total_seconds()
    this.tally.samples.take(now, this.tally.counts.given)
    this.allowance.check(this.table.name, this.tally.counts.rejected)
    yield _shown(this, progress.bytes_done + part.read_to)
    yield from _settle(this, progress, WRITES_AHEAD - 1)
    progress.writing.append((yield Start(_write(this, reader, judged))))
    if this.commit_every and progress.position % this.commit_every == 0:
        yield from _settle(this, progress)
        _check_outcomes(this)
        yield Complete(_commit(this, RUNNING))
        yield from this.database.begin_next([this.table])
        yield from this.confirm()


def _shown(this: Load, read_to: int, waits_for: str | None = None) -> Show:
    """How far the load is; `read_to` in bytes of all its sources together."""
    sizes = [reader.size for reader in this.readers]
    size = None if None in sizes else sum(size or 0 for size in sizes)
    return Show(this.table.name, this.tally.counts.given, this.tally.counts.rejected, read_to, size, waits_for)


def _await(this: Load, tables: Iterable[str]) -> Steps[None]:
    """Wait until all keys of these tables are known, and let it be seen."""
    for name in tables:
        yield _shown(this, 0, name)
        yield Await(name)
        yield _shown(this, 0)


def _begin(this: Load) -> Steps[None]:
    """Take the database, once no other load of the run needs the connection."""
    yield from _await(this, this.behind)
    yield from this.database.begin([this.table])
    yield from this.confirm()
    this.ranges[this.table.name] = yield from this.database.key_range(this.table)


def _commit(this: Load, state: str) -> Steps[None]:
    """A checkpoint: what was written and how far that is, in one transaction."""
    yield from this.save(state)
    yield from this.database.commit()
    this.tally.keep(whole=state == COMPLETE)


def _settle(this: Load, progress: _Progress, left: int = 0) -> Steps[None]:
    """Wait until no more than so many batches are being written, and count what was."""
    while len(progress.writing) > left:
        written: _Written = yield Finish(progress.writing.popleft())
        this.tally.add(written.counts, written.superseded)
        if written.refused:
            # Here, not while it is written: the tally is of one batch after the other.
            yield Call(this.tally.refuse, (this.table, written.source, written.refused, written.rejects))


def _borders(this: Load, position: int, size: int) -> list[int]:
    """Where to cut so many records that follow the first `position`: at the checkpoint, and where one is to be."""
    borders = {this.checkpoint - position}
    if this.commit_every:
        borders |= set(range(-position % this.commit_every, size, this.commit_every))
    return sorted(border for border in borders if 0 < border < size)


def _references(this: Load) -> Steps[References]:
    """What is known of referenced keys, once that is all there is to know of those that this run loads."""
    names = dict.fromkeys(reference.table for reference in this.table.references)
    yield from _await(this, [name for name in names if name in this.target_keys])
    return [(reference, _referenced(this, reference)) for reference in this.table.references]


def _referenced(this: Load, reference: Reference) -> ReferencedKeys:
    target, _ = this.targets[reference.table]
    if target.name in this.known:
        return this.known[target.name]
    return ReferencedKeys(target.column(target.key), this.target_keys.get(target.name), this.ranges[target.name])


@dataclass(frozen=True, slots=True)
class _Questions:
    """What a batch's records leave open.

    taken: for each record, whether its key was accepted before.
    places, unsure: the others whose keys the table may hold: where they are, and what they are.
    unknown: for each reference, the keys that only the database can tell about.
    values: for each unique column, what the records would store.
    """

    taken: pl.Series
    places: pl.Series
    unsure: pl.DataFrame
    unknown: list[pl.Series]
    values: list[pl.Series]


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the database says of a batch's records.

    same, differing: the places of those whose keys it holds, with the same values and with others.
    owned: for each unique column, the places of those whose value another row has.
    given_up: for each unique column, by place, the value of the row that a record would replace.
    """

    same: pl.Series
    differing: pl.Series
    owned: Sequence[pl.Series]
    given_up: Sequence[Mapping[int, Any]]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A batch's verdict, and its parts made ready to be written."""

    batch: Batch
    verdict: Verdict
    written: Sequence[Packed] = ()
    rejects: Sequence[Packed] = ()


def _verdict(this: Load, batch: Batch, known: _Known, *, replayed: bool = False) -> Steps[Any]:
    """Learn what must be known, then judge and use that. Each crossing into a thread is felt, so there are few."""
    questions: _Questions = yield Call(_questions, (this, batch, known.references))
    answers = yield from _answers(this, batch, questions)
    learning = []
    for (reference, keys), unknown in zip(known.references, questions.unknown, strict=True):
        if len(unknown):
            learning.append((yield Start(learn(*this.targets[reference.table], keys, unknown))))
    for token in learning:
        yield Finish(token)

    def conclude() -> Any:
        world = _world(this, batch, known, questions, answers)
        if replayed:
            world = _as_before(this, batch, world)
        return (_replay if replayed else _take)(this, batch, judge(this.table, batch, world), world, known)

    return (yield Call(conclude))


def _answers(this: Load, batch: Batch, questions: _Questions) -> Steps[_Answers]:
    """Nothing is asked of a table that was empty when the run began."""
    table, nothing = this.table, pl.Series([], dtype=pl.Int64)
    same, differing = nothing, nothing
    if len(questions.places):
        places = yield from this.database.held(table, questions.unsure, batch.absent)
        same, differing = (questions.places.gather(each) for each in places)
    owned = [nothing for _ in table.unique]
    given_up: list[dict[int, Any]] = [{} for _ in table.unique]
    if this.ranges[table.name] is not None:
        for n, column in enumerate(table.unique):
            owned[n] = yield from this.database.owned(table, column, batch.values.select(table.key, column.name))
    if table.unique and len(differing):
        keys = batch.values[table.key].gather(differing)
        for place, *values in (yield from this.database.values_of(table, table.unique, keys)):
            for each, value in zip(given_up, values, strict=True):
                each[differing[place]] = value
    return _Answers(same, differing, owned, given_up)


def learn(target: Table, database: Store, known: ReferencedKeys, unknown: pl.Series) -> Steps[None]:
    """Ask the database about the unknown keys, or read all of its keys where that is cheaper."""
    ranges = known.ranges_to_read(unknown, database.price_of_asking)
    if not ranges:
        present = yield from database.present(target, unknown)
        yield Call(known.learn, (unknown, present))
        return
    for least, greatest in ranges:
        yield Call(known.learn_present, ((yield from database.keys_between(target, least, greatest)),))
    known.learned_all()


def _questions(this: Load, batch: Batch, references: References) -> _Questions:
    keys = batch.values[this.table.key]
    taken = this.accepted.are_taken(keys)
    places = (are_within(keys, this.ranges[this.table.name]) & ~taken).arg_true()
    unknown = [known.unknown(batch.values[reference.column]) for reference, known in references]
    stored = this.database.as_stored(batch.values.select(column.name for column in this.table.unique))
    return _Questions(taken, places, batch.values[places], unknown, stored.get_columns())


def _world(this: Load, batch: Batch, known: _Known, questions: _Questions, answers: _Answers) -> World:
    size = len(batch.lines)
    same, differing = _mask(size, answers.same), _mask(size, answers.differing)
    parts = zip(this.table.unique, questions.values, known.unique, answers.owned, answers.given_up, strict=True)
    unique = []
    for column, values, taken, owned, given_up in parts:
        if column.name in batch.absent:
            # A row that is there keeps what it has, and takes no default.
            new = ~(same | differing)
            kept = pl.select(pl.when(new).then(values)).to_series()
            unique.append(UniqueColumn(column.name, kept, taken.are_taken(kept, _mask(size, owned) & new), {}))
        else:
            unique.append(UniqueColumn(column.name, values, taken.are_taken(values, _mask(size, owned)), given_up))
    return World(
        taken=questions.taken,
        held=same | differing,
        differs=differing,
        dangling=[keys.are_dangling(batch.values[reference.column]) for reference, keys in known.references],
        conflicts_reject=this.on_conflict == "reject",
        unique=unique,
    )


def _as_before(this: Load, batch: Batch, world: World) -> World:
    """The world with the answers that these records once had: values may have been given up since."""
    lines = [this.used_before.get((batch.source, each.column), []) for each in world.unique]
    unique = [
        UniqueColumn(each.column, each.values, batch.lines.is_in(list(used)), {})
        for each, used in zip(world.unique, lines, strict=True)
    ]
    return replace(world, unique=unique)


def _take(this: Load, batch: Batch, verdict: Verdict, world: World, known: _Known) -> _Judged:
    """Remember what was accepted and rejected, and make it ready to be written."""
    if this.on_conflict == "stop" and len(verdict.changed):
        key = verdict.changed[this.table.key][0]
        line = batch.lines.gather(verdict.places.filter(verdict.accepted[this.table.key] == key))[0]
        raise ConflictError(
            this.database.name,
            f"table {this.table.name} holds {this.table.key} {key!r} with other values than {batch.source}, "
            f"line {line}; mend the source, or load with --on-conflict reject or update",
        )
    _remember(this, verdict, world, known)
    this.tally.take(batch, verdict)
    if this.dry_run:
        return _Judged(batch, verdict)
    pack = this.database.pack
    return _Judged(batch, verdict, pack(verdict.written, this.table.key), pack(verdict.rejects))


def _replay(this: Load, _batch: Batch, verdict: Verdict, world: World, known: _Known) -> None:
    """Remember the keys of what an earlier process has committed. What passed and yet is not there was refused."""
    _remember(this, verdict, world, known)
    this.accepted.refuse(verdict.new[this.table.key])


def _remember(this: Load, verdict: Verdict, world: World, known: _Known) -> None:
    """The keys and the unique values of what was accepted."""
    this.accepted.add(verdict.accepted[this.table.key])
    accepted = set(verdict.places) if any(unique.given_up for unique in world.unique) else set()
    for unique, taken in zip(world.unique, known.unique, strict=True):
        given_up = [value for place, value in unique.given_up.items() if place in accepted]
        taken.add(unique.values.gather(verdict.places), given_up)


def _mask(size: int, places: pl.Series) -> pl.Series:
    """True at these places."""
    return all_false(size) if not len(places) else all_false(size).scatter(places, values=True)


@dataclass(frozen=True, slots=True)
class _Written:
    """What came of writing a batch: rows inserted and updated, by run the number of rejects that were superseded, what
    the database refused, and all rejects of the batch with those.
    """

    counts: Counts
    superseded: Counter[str]
    source: str
    refused: Refused
    rejects: pl.DataFrame


def _write(this: Load, reader: Readable, judged: _Judged) -> Steps[_Written]:
    """Store a verdict: what was accepted, and the rejects with it, in place of those that its records name."""
    verdict, source = judged.verdict, judged.batch.source
    if this.dry_run:
        yield from _file(this, reader, verdict.rejects)
        counts = Counts(inserted=len(verdict.new), updated=len(verdict.changed))
        return _Written(counts, Counter(), source, {}, verdict.rejects)
    # New and changed records together, in their order: which of two that cannot both be stored comes first is not to
    # depend on how the source is cut into batches.
    held = verdict.changed[this.table.key]
    stored, refused = yield from write_apart(
        this.database, this.table, verdict.written, judged.written, held, absent=judged.batch.absent
    )
    rejects, packed = verdict.rejects, judged.rejects
    if refused:
        rejects = yield Call(_refuse, (this, judged, refused))
        packed = yield Call(this.database.pack, (rejects,))
    yield from _file(this, reader, rejects)
    kept = yield from this.database.add_rejects(this.run, this.started_at, reader.source.path, packed)
    _agree(this, "rejects kept", kept, len(rejects))
    updated = len(held) - sum(key in refused for key in held) if refused else len(held)
    names = judged.batch.superseded
    superseded = (yield from this.supersede(names)) if names else Counter[str]()
    counts = Counts(inserted=stored - updated, updated=updated)
    return _Written(counts, superseded, source, refused, rejects)


def _file(this: Load, reader: Readable, rejects: pl.DataFrame) -> Steps[None]:
    if this.files is not None and len(rejects):
        yield Call(this.files.write, (reader, rejects))


def _refuse(this: Load, judged: _Judged, refused: Refused) -> pl.DataFrame:
    """Let nothing reference what the database refused. Returns the batch's rejects, with those among them."""
    keys = judged.verdict.accepted[this.table.key]
    this.accepted.refuse(keys.filter(keys.is_in(list(refused))))
    return rejects_with(refused, this.table, judged.batch, judged.verdict)


def _check_ledger(this: Load, position: int) -> None:
    """Every record that the sources gave is accounted for, by counts taken apart from each other."""
    tally = this.tally
    if position < this.checkpoint:
        raise LedgerError(
            f"table {this.table.name}: the sources hold {position:,} records, of which {this.checkpoint:,} have been "
            "committed; begin anew with --restart"
        )
    _agree(this, "records read", sum(reader.delivered for reader in this.readers), tally.counts.given)
    _check_outcomes(this)


def _check_outcomes(this: Load) -> None:
    """Of every record counted, something has become; to be asked when all of them are written."""
    counts = this.tally.counts
    _agree(this, "records stored, unchanged or rejected", counts.outcomes, counts.given)


def _agree(this: Load, what: str, found: Any, expected: int) -> None:
    if found != expected:
        raise LedgerError(
            f"table {this.table.name}: {found} {what} where {expected} were expected: a defect, please report it"
        )
