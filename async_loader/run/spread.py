"""One table's load, spread over workers: a generator of effects for the process that submits the shares, as `load` is
for a process that loads a table alone. No I/O.

What workers return serves to show progress; what the report says comes from the database, where each share's outcome is
committed with its records. A rehearsal, which writes nothing, counts what workers return.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import polars as pl

from async_loader.effects import Announce, Await, Call, Collect, Complete, Now, Show, Steps, Submit
from async_loader.errors import LedgerError
from async_loader.ledger.entries import COMPLETE, KEY_RANGE, RUNNING, Facts
from async_loader.ledger.outcomes import Outcome, total
from async_loader.ledger.tally import Tally
from async_loader.loading.match_values import identity_column
from async_loader.loading.sides import RejectAllowance, TakesRejects
from async_loader.records.keys import KeyRange
from async_loader.run.patience import patiently
from async_loader.run.progress import save
from async_loader.run.recounting import _take_rejects, recount
from async_loader.run.shared_keys import NO_SPAN, Shared, meeting, shared_keys
from async_loader.run.shares import Share
from async_loader.run.state import RunState
from async_loader.sources import Source
from async_loader.sources.parts import Part
from async_loader.stores.store import Store
from async_loader.tables import Table

# What workers do: the parts of a source; the keys of a part, or its match values; their least and greatest; loading a
# share; all keys that shares have accepted, for those that reference them; and the outcome of a share without its keys.
PARTS, KEYS, MATCHES, SPAN, MERGE, LOAD, SUMMARY = "parts", "keys", "matches", "span", "merge", "load", "summary"
# Bytes of the keys of one table that are sent to every worker that needs them: of 30 million that lie apart, of a
# billion that follow each other. In a run of more, each worker asks the database about those that it meets.
MOST_SENT = 256 << 20


@dataclass(frozen=True, slots=True)
class Beginning:
    """The range of keys that a table held when an earlier process of this run began with it."""

    key_range: KeyRange | None


@dataclass(slots=True)
class _Progress:
    """How many shares there are, once that is known, and how many of them are done."""

    done: int = 0
    shares: int = 1


@dataclass(frozen=True, slots=True)
class SpreadTable:
    """All that spreading one table's load needs to know; `tally` fills as it goes.

    ranges: fills with the keys that each table held when the run began with it.
    accepted: fills with tokens of the keys that were accepted, by table that others of the run reference.
    loaded: the tables that this run loads, in reference order.
    files: where rejects are written besides the database.
    beginning: what an earlier process has kept of this table; None where none has begun with it.
    grown: fills with the keys that each referenced table holds when this table begins.
    """

    # What precedes a table's name where others wait for it, so that a rehearsal is no part of the run itself.
    phase: ClassVar[str] = ""
    is_rehearsal: ClassVar[bool] = False

    state: RunState
    table: Table
    tally: Tally
    allowance: RejectAllowance
    ranges: MutableMapping[str, KeyRange | None]
    accepted: MutableMapping[str, Any]
    loaded: Sequence[Table]
    files: TakesRejects | None = None
    beginning: Beginning | None = None
    grown: MutableMapping[str, KeyRange | None] = field(default_factory=dict)
    progress: _Progress = field(default_factory=_Progress)

    @property
    def database(self) -> Store:
        """The database where the table lives."""
        return self.state.database(self.table)

    @property
    def readers(self) -> Sequence[Any]:
        """The table's sources, open."""
        return self.state.readers[self.table.name]

    @property
    def sources(self) -> list[tuple[Source, Facts | None]]:
        """The table's sources, each with what identifies its content."""
        facts: list[Facts | None] = self.state.facts["tables"][self.table.name]
        return list(zip(self.state.plan.sources[self.table.name], facts, strict=True))

    @property
    def targets(self) -> tuple[Table, ...]:
        """The tables that are referenced."""
        return tuple(table for table in self.state.plan.tables if table.name in self.table.targets)

    @property
    def is_divisible(self) -> bool:
        """Whether the table can be several shares, which know nothing of each other's unique values and records. The
        keys of a table with parents are those of rows of others, too.
        """
        return not (self.table.judged_sets or self.table.own_references or self.table.parents)

    @property
    def is_referenced(self) -> bool:
        """Whether other tables of the run are to know its keys."""
        others = (table for table in self.loaded if table.name != self.table.name)
        return any(reference.table == self.table.name for table in others for reference in table.references)

    @property
    def comes_after(self) -> Iterator[str]:
        """The tables that must be complete before this one begins: earlier ones of its database, and its targets."""
        before = self.loaded[: self.loaded.index(self.table)]
        yield from (table.name for table in before if table.database == self.table.database)
        yield from (target.name for target in self.targets if target in self.loaded and target != self.table)

    @property
    def most_sent(self) -> int | None:
        """Bytes of its keys that are sent to workers at most; None is any number."""
        return MOST_SENT

    def take(self, outcome: Outcome) -> Show:
        """Count what a worker says of a share."""
        self.progress.done += 1
        self.tally.add_share(outcome, is_kept=not self.is_rehearsal)
        self.allowance.check(self.table.name, self.tally.counts.rejected)
        return self.shown()

    def shown(self, waits_for: str | None = None) -> Show:
        """Return how far this is: shares are about of a size."""
        sizes = [reader.size for reader in self.readers]
        size = None if None in sizes else sum(sizes)
        read_to = (size or 0) * self.progress.done // self.progress.shares
        counts = self.tally.counts
        return Show(self.table.name, counts.given, counts.rejected, read_to, size, waits_for)

    def begin(self) -> Steps[None]:
        """Keep in the ledger that this table has begun, and which keys it held then; see which keys its targets hold by
        now. Workers that are still at another run's shares of it are waited for.
        """
        if self.beginning is None:
            yield from self.database.shares.wait_for_others(self.table.name)
        yield from self.read_ranges()
        if self.beginning is None:
            yield Complete(self._commit(RUNNING))

    def read_ranges(self) -> Steps[None]:
        """See which keys the targets hold by now, and which ones the table held when the run began with it."""
        for target in self.targets:
            self.grown[target.name] = yield from self.state.database(target).key_range(target)
            self.ranges.setdefault(target.name, self.grown[target.name])
        if self.beginning is None:
            self.ranges[self.table.name] = yield from self.database.key_range(self.table)
        else:
            self.ranges[self.table.name] = self.beginning.key_range

    def submit(self, share: Share, earlier: Mapping[int, Any], accepted: Mapping[str, Any]) -> Steps[Any]:
        """Send a share to a worker, to come after earlier shares with keys of its own, whose outcomes it reads."""
        return (yield Submit(LOAD, (share, {}, accepted), list(earlier.values()), share.number))

    def conclude(self, outcomes: Sequence[Outcome]) -> Steps[None]:  # noqa: ARG002 - of a rehearsal
        """Count what came of all shares, as the database says."""
        yield from _read_ledger(self)

    def end(self) -> Steps[None]:
        """Keep in the ledger that this table is complete."""
        yield Complete(self._commit(COMPLETE))

    def _commit(self, state: str) -> Steps[None]:
        """Keep how far this is, and begin again."""
        yield from save(self.state, self.table, state, {KEY_RANGE: self.ranges[self.table.name]})
        yield from self.database.commit()
        self.tally.keep(whole=state == COMPLETE)
        yield from self.database.begin_share()


class Rehearsal(SpreadTable):
    """A spread load that writes nothing: what came of shares is what workers return."""

    __slots__ = ()

    phase = "rehearsal of "
    is_rehearsal = True

    @property
    def most_sent(self) -> int | None:
        """Any number: no database can answer for what a rehearsal would accept."""
        return None

    def begin(self) -> Steps[None]:
        """See which keys the tables hold."""
        yield from self.read_ranges()

    def submit(self, share: Share, earlier: Mapping[int, Any], accepted: Mapping[str, Any]) -> Steps[Any]:
        """Send a share to be rehearsed, with the outcomes of the shares before it that have keys of its own."""
        return (yield Submit(LOAD, (share, earlier, accepted), order=share.number))

    def take(self, outcome: Outcome) -> Show:
        """Count what a worker says of a share, with the reasons: of too many rejects nothing else will show them."""
        self.tally.reasons.update(outcome.reasons)
        return SpreadTable.take(self, outcome)

    def conclude(self, outcomes: Sequence[Outcome]) -> Steps[None]:
        """Count what workers returned."""
        yield Call(self._take_all, (outcomes,))

    def _take_all(self, outcomes: Sequence[Outcome]) -> None:
        self.tally.take_total(total(outcomes))
        readers = {reader.source.name: reader for reader in self.readers}
        for outcome in outcomes:
            for path, rejects in outcome.rejects:
                _take_rejects(self.tally, self.files, readers[path], rejects)

    def end(self) -> Steps[None]:
        """Keep nothing: nothing was written."""
        yield from ()


def spread(this: SpreadTable) -> Steps[None]:
    """Load one table: cut its sources into shares, find the keys that several have, and have each share loaded."""
    began = yield Now()
    this.tally.samples.take(began, 0)
    yield this.shown()
    yield from _await(this)
    yield from patiently(this.state, this.begin)
    parts: list[Part] = yield from _parts(this)
    tokens = yield from _submit(this, parts)
    this.progress.shares = max(1, len(tokens))
    summaries = (yield from _submitted(SUMMARY, [(token,) for token in tokens])) if this.is_referenced else tokens
    outcomes: list[Outcome] = yield Collect(summaries, this.take)
    if this.is_referenced:
        this.accepted[this.table.name] = yield Submit(MERGE, (this.table, tokens, this.most_sent))
    yield from this.conclude(outcomes)
    this.tally.seconds = ((yield Now()) - began).total_seconds()
    yield this.shown()
    yield from patiently(this.state, this.end)
    yield Announce(this.phase + this.table.name)


def _await(this: SpreadTable) -> Steps[None]:
    for name in dict.fromkeys(this.comes_after):
        yield this.shown(name)
        yield Await(this.phase + name)
    yield this.shown()


def _parts(this: SpreadTable) -> Steps[list[Part]]:
    """Return the table's sources in parts, in order."""
    assert this.state.plan.cluster is not None
    size = this.state.plan.cluster.share_size
    tokens = yield from _submitted(PARTS, [(source, this.table, size, facts) for source, facts in this.sources])
    parts: list[list[Part]] = yield Collect(tokens)
    return [part for several in parts for part in several]


def _submit(this: SpreadTable, parts: Sequence[Part]) -> Steps[list[Any]]:
    """Send each share to a worker, after those before it that have keys of its own. Returns their tokens."""
    shared = (yield from _shared(this, parts)) if len(parts) > 1 and this.is_divisible else None
    if shared is None:
        return [(yield from _submit_one(this, _share(this, 0, tuple(parts)), []))]
    tokens: list[Any] = []
    for number, part in enumerate(parts):
        keys = shared.get(number, Shared())
        share = replace(_share(this, number, (part,)), earlier=keys.earlier, watched=keys.watched)
        tokens.append((yield from _submit_one(this, share, tokens)))
    return tokens


def _submit_one(this: SpreadTable, share: Share, tokens: Sequence[Any]) -> Steps[Any]:
    earlier = {number: tokens[number] for number in share.earlier}
    accepted = {target.name: this.accepted[target.name] for target in share.targets if target.name in this.accepted}
    return (yield from this.submit(share, earlier, accepted))


def _share(this: SpreadTable, number: int, parts: tuple[Part, ...]) -> Share:
    plan = this.state.plan
    homes = {each.database for each in (this.table, *this.targets)}
    return Share(
        run=this.state.run,
        started_at=this.state.began,
        table=this.table,
        number=number,
        parts=parts,
        sources=tuple(each for each in this.sources if any(part.source == each[0] for part in parts)),
        tables=tuple(table for table in plan.tables if table.database in homes),
        ranges={name: this.ranges[name] for name in (this.table.name, *this.grown)},
        grown=this.grown,
        is_referenced=this.is_referenced,
        on_conflict=plan.options.on_conflict,
        batch_size=plan.options.batch_size,
        is_rehearsal=this.is_rehearsal,
        lock_timeout=plan.options.lock_timeout,
        report_rejects=plan.options.report_rejects if this.is_rehearsal else 0,
        notes_keys=this.tally.written is not None,
        places=this.state.places,
    )


def _shared(this: SpreadTable, parts: Sequence[Part]) -> Steps[dict[int, Shared] | None]:
    """Return by part the keys that others have too, fetched only where ranges meet; None where it cannot be said."""
    if this.table.append:
        return {}
    keys = yield from _submitted_keys(this, parts)
    spans: list[Any] = yield Collect((yield from _submitted(SPAN, [(token,) for token in keys])))
    if NO_SPAN in spans:
        return None
    numbers = meeting(spans)
    if not numbers:
        return {}
    fetched: list[pl.Series] = yield Collect([keys[number] for number in numbers])
    column = identity_column(fetched[0]) if this.table.match else this.table.column(this.table.key)
    shared: dict[int, Shared] = yield Call(shared_keys, (column, dict(zip(numbers, fetched, strict=True))))
    return shared


def _submitted_keys(this: SpreadTable, parts: Sequence[Part]) -> Steps[list[Any]]:
    """Make workers gather the keys of parts, or the values by which records find their rows. Returns the tokens."""
    if not this.table.match:
        return (yield from _submitted(KEYS, [(part, this.table) for part in parts]))
    shares = [_share(this, number, (part,)) for number, part in enumerate(parts)]
    return (yield from _submitted(MATCHES, [(replace(share, is_rehearsal=True),) for share in shares]))


def _submitted(work: str, several: Sequence[tuple[Any, ...]]) -> Steps[list[Any]]:
    """Give workers the same work on several things. Returns the tokens."""
    tokens = []
    for arguments in several:
        tokens.append((yield Submit(work, arguments)))  # noqa: PERF401 - a comprehension cannot yield
    return tokens


def _read_ledger(this: SpreadTable) -> Steps[None]:
    """Count what came of all shares, as their database says."""
    expected = this.progress.shares
    committed = yield from recount(this.state, this.table)
    if committed != expected:
        problem = f"{committed} of {expected} shares are committed: a defect, please report it"
        raise LedgerError(f"table {this.table.name}: {problem}")
