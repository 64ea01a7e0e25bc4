"""One table's load, spread over workers: a generator of effects for whoever submits the shares, as `load` is for
whoever loads a table alone. No I/O.

What workers return tells of progress only; what the report says comes from the database, where each share's outcome is
committed with its records. A dry run, which writes nothing, goes by what they return.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from async_loader.effects import Announce, Await, Call, Collect, Complete, Connect, Now, Pause, Show, Steps, Submit
from async_loader.errors import LedgerError, UnreachableError
from async_loader.ledger.entries import COMPLETE, RUNNING, Facts
from async_loader.ledger.outcomes import Outcome, outcome_from, total
from async_loader.ledger.tally import Tally
from async_loader.loading.load import RejectAllowance, TakesRejects
from async_loader.records.keys import KeyRange
from async_loader.run.cluster import PAUSES
from async_loader.run.plan import Plan
from async_loader.run.shares import Share, Shared, shared_keys
from async_loader.sources import Source
from async_loader.sources.parts import Part
from async_loader.stores import reject_queries
from async_loader.stores.reject_queries import BY_LINE, as_judged
from async_loader.stores.store import Store
from async_loader.tables import Table

# What workers do: the parts of a source; the keys of a part; their least and greatest; loading a share; all keys that
# shares have accepted, for those that reference them; and telling what came of a share without its keys.
PARTS, KEYS, SPAN, MERGE, LOAD, TOLD = "parts", "keys", "span", "merge", "load", "told"
# Bytes of the keys of one table that are told to every worker that needs them: of 30 million that lie apart, of a
# billion that are counted up. In a run of more, each worker asks about those that it meets.
MOST_TOLD = 256 << 20


@dataclass(frozen=True, slots=True)
class Began:
    """What an earlier process has said of a table that it did not finish: the range of the keys that it held."""

    key_range: KeyRange | None


@dataclass(slots=True)
class _Progress:
    """How many shares there are, once that is known, and how many of them are done."""

    done: int = 0
    shares: int = 1


@dataclass(frozen=True, slots=True)
class Spread:
    """All that spreading one table's load needs to know; `tally` fills as it goes.

    phase: what stands before a table's name where others wait for it, so that a rehearsal is none of the run itself.
    dry_run: nothing is written.
    ranges: fills with the keys that each table held when the run began with it.
    accepted: fills with tokens of the keys that were accepted, by table that others of the run reference.
    sources: each with what tells that it is still the same.
    began: what an earlier process has said of this table; None where none has begun with it.
    save: steps, in the open transaction, that keep how far the run has come with this table.
    """

    plan: Plan
    run: str
    started_at: str
    table: Table
    tally: Tally
    allowance: RejectAllowance
    ranges: MutableMapping[str, KeyRange | None]
    accepted: MutableMapping[str, Any]
    loaded: Sequence[str]
    behind: Sequence[str]
    save: Callable[[str], Steps[None]]
    dry_run: bool
    readers: Sequence[Any]
    sources: Sequence[tuple[Source, Facts | None]]
    files: TakesRejects | None = None
    began: Began | None = None
    phase: str = ""
    grown: MutableMapping[str, KeyRange | None] = field(default_factory=dict)
    progress: _Progress = field(default_factory=_Progress)

    @property
    def database(self) -> Store:
        """Where the table lives."""
        return self.plan.database(self.table)

    def take(self, outcome: Outcome) -> Show:
        """Count what a worker says of a share."""
        self.progress.done += 1
        self.tally.add_share(outcome, is_kept=not self.dry_run)
        self.allowance.check(self.table.name, self.tally.counts.rejected)
        return self.shown()

    def shown(self, waits_for: str | None = None) -> Show:
        """How far this is: shares are about of a size."""
        sizes = [reader.size for reader in self.readers]
        size = None if None in sizes else sum(sizes)
        read_to = (size or 0) * self.progress.done // self.progress.shares
        return Show(self.table.name, self.tally.counts.given, self.tally.counts.rejected, read_to, size, waits_for)

    @property
    def is_referenced(self) -> bool:
        """Whether others of the run are to know its keys."""
        others = (table for table in self.plan.tables if table.name in self.loaded)
        return any(reference.table == self.table.name for table in others for reference in table.references)

    @property
    def targets(self) -> tuple[Table, ...]:
        """The referenced tables."""
        names = {reference.table for reference in self.table.references}
        return tuple(table for table in self.plan.tables if table.name in names)


def spread(this: Spread) -> Steps[None]:
    """Load one table: cut its sources into shares, find the keys that several have, and have each share loaded."""
    began = yield Now()
    this.tally.samples.take(began, 0)
    yield this.shown()
    yield from _await(this, [*this.behind, *(target.name for target in this.targets if target.name in this.loaded)])
    yield from _patiently(this, _begin)
    parts: list[Part] = yield from _parts(this)
    tokens = yield from _submit(this, parts)

    this.progress.shares = max(1, len(tokens))
    told = (yield from _submitted(TOLD, [(token,) for token in tokens])) if this.is_referenced else tokens
    outcomes: list[Outcome] = yield Collect(told, this.take)
    if this.is_referenced:
        # What a dry run would accept no database can tell.
        most = None if this.dry_run else MOST_TOLD
        this.accepted[this.table.name] = yield Submit(MERGE, (this.table, tokens, most))
    if this.dry_run:
        yield Call(_take_dry, (this, outcomes))
    else:
        yield from _patiently(this, _read_ledger)
    this.tally.seconds = ((yield Now()) - began).total_seconds()
    yield this.shown()
    yield from _patiently(this, _end)
    yield Announce(this.phase + this.table.name)


def _await(this: Spread, tables: Sequence[str]) -> Steps[None]:
    for name in dict.fromkeys(tables):
        yield this.shown(name)
        yield Await(this.phase + name)
    yield this.shown()


def _patiently(this: Spread, steps: Callable[[Spread], Steps[None]]) -> Steps[None]:
    """Take steps, once more a little later where a server has gone away meanwhile: workers are as patient."""
    for pause in PAUSES:
        try:
            return (yield from steps(this))
        except UnreachableError as error:
            yield Pause(pause)
            with contextlib.suppress(UnreachableError):
                database = this.plan.databases[error.database]
                yield Connect(database, this.plan.options.lock_timeout)
                yield from database.begin(())
    return (yield from steps(this))


def _begin(this: Spread) -> Steps[None]:
    """Say in the ledger that this table has begun, and which keys it held then; see which keys its targets hold by now.

    What workers are still at of another run is waited for.
    """
    if not this.began and not this.dry_run:
        yield from this.database.shares.wait_for_others(this.table.name)
    for target in this.targets:
        this.grown[target.name] = yield from this.plan.database(target).key_range(target)
        this.ranges.setdefault(target.name, this.grown[target.name])
    this.ranges[this.table.name] = (
        this.began.key_range if this.began else (yield from this.database.key_range(this.table))
    )
    if not this.began and not this.dry_run:
        yield Complete(_commit(this, RUNNING))


def _end(this: Spread) -> Steps[None]:
    """Say in the ledger that this table is complete."""
    if not this.dry_run:
        yield Complete(_commit(this, COMPLETE))


def _commit(this: Spread, state: str) -> Steps[None]:
    """Keep how far this is, and be next again."""
    yield from this.save(state)
    yield from this.database.commit()
    this.tally.keep(whole=state == COMPLETE)
    yield from this.database.begin(())


def _parts(this: Spread) -> Steps[list[Part]]:
    """The table's sources in parts, in order."""
    assert this.plan.cluster is not None
    size = this.plan.cluster.share_size
    tokens = yield from _submitted(PARTS, [(source, this.table, size, facts) for source, facts in this.sources])
    found: list[list[Part]] = yield Collect(tokens)
    return [part for several in found for part in several]


def _submit(this: Spread, parts: Sequence[Part]) -> Steps[list[Any]]:
    """Each share, behind those before it that have keys of its own."""
    if this.table.unique or len(parts) == 1:
        # Which record has a value first is told by one who reads all of them.
        return [(yield from _submit_one(this, _share(this, 0, tuple(parts)), []))]
    found = yield from _shared(this, parts)
    tokens: list[Any] = []
    for number, part in enumerate(parts):
        shared = found.get(number, Shared())
        share = replace(_share(this, number, (part,)), earlier=shared.earlier, watched=shared.watched)
        tokens.append((yield from _submit_one(this, share, tokens)))
    return tokens


def _submit_one(this: Spread, share: Share, tokens: Sequence[Any]) -> Steps[Any]:
    before = {number: tokens[number] for number in share.earlier}
    accepted = {target.name: this.accepted[target.name] for target in share.targets if target.name in this.accepted}
    if this.dry_run:
        return (yield Submit(LOAD, (share, before, accepted), order=share.number))
    return (yield Submit(LOAD, (share, {}, accepted), list(before.values()), share.number))


def _share(this: Spread, number: int, parts: tuple[Part, ...]) -> Share:
    options = this.plan.options
    homes = {each.database for each in (this.table, *this.targets)}
    return Share(
        run=this.run,
        started_at=this.started_at,
        table=this.table,
        number=number,
        parts=parts,
        sources=tuple(each for each in this.sources if any(part.source == each[0] for part in parts)),
        tables=tuple(table for table in this.plan.tables if table.database in homes),
        ranges={name: this.ranges[name] for name in (this.table.name, *this.grown)},
        grown=this.grown,
        is_referenced=this.is_referenced,
        on_conflict=options.on_conflict,
        batch_size=options.batch_size,
        dry_run=this.dry_run,
        lock_timeout=options.lock_timeout,
        report_rejects=options.report_rejects if this.dry_run else 0,
    )


def _shared(this: Spread, parts: Sequence[Part]) -> Steps[dict[int, Shared]]:
    """By part, the keys that it shares with others. Keys are fetched only of those parts whose ranges of keys meet."""
    keys = yield from _submitted(KEYS, [(part, this.table) for part in parts])
    spans: list[tuple[Any, Any] | None] = yield Collect((yield from _submitted(SPAN, [(token,) for token in keys])))
    meeting = _meeting(spans)
    if not meeting:
        return {}
    found: list[pl.Series] = yield Collect([keys[number] for number in meeting])
    shared: dict[int, Shared] = yield Call(
        shared_keys, (this.table.column(this.table.key), dict(zip(meeting, found, strict=True)))
    )
    return shared


def _submitted(work: str, several: Sequence[tuple[Any, ...]]) -> Steps[list[Any]]:
    """The tokens of the same work on several things."""
    tokens = []
    for arguments in several:
        tokens.append((yield Submit(work, arguments)))  # noqa: PERF401 - a comprehension cannot yield
    return tokens


def _meeting(spans: Sequence[tuple[Any, Any] | None]) -> list[int]:
    """The numbers of the spans that have something in common with another."""
    ordered = sorted((span, number) for number, span in enumerate(spans) if span is not None)
    meeting: set[int] = set()
    reached: tuple[Any, int] | None = None
    for (least, greatest), number in ordered:
        if reached is not None and least <= reached[0]:
            meeting |= {number, reached[1]}
        if reached is None or greatest > reached[0]:
            reached = greatest, number
    return sorted(meeting)


def _read_ledger(this: Spread) -> Steps[None]:
    """What came of all shares, as their database says."""
    shares = this.progress.shares
    found = yield from retell(this.database, this.run, this.table, this.tally, readers=this.readers, files=this.files)
    if found != shares:
        problem = f"{found} of {shares} shares are committed: a defect, please report it"
        raise LedgerError(f"table {this.table.name}: {problem}")


def retell(
    database: Store, run: str, table: Table, tally: Tally, *, readers: Sequence[Any], files: TakesRejects | None
) -> Steps[int]:
    """Count what came of all shares, as their database says, and write the files of their rejects. Returns how many
    shares that were.
    """
    texts = yield from database.shares.outcomes(run, table.name)
    tally.take_total(total([outcome_from(text, table) for text in texts]))
    for reader in {reader.source.path: reader for reader in readers}.values():
        last = None
        while files is not None or len(tally.rejects) < tally.rejects_shown:
            # Shares are committed in any order.
            page = yield from reject_queries.page_of_source(database, run, reader.source.path, last, order=BY_LINE)
            if not page:
                break
            yield Call(_take_rejects, (tally, files, reader, as_judged(page)))
            last = page[-1]
    return len(texts)


def _take_rejects(tally: Tally, files: TakesRejects | None, reader: Any, rejects: pl.DataFrame) -> None:
    tally.show_rejects(reader.source.path, rejects)
    if files is not None:
        files.write(reader, rejects)


def _take_dry(this: Spread, outcomes: Sequence[Outcome]) -> None:
    this.tally.take_total(total(outcomes))
    readers = {reader.source.path: reader for reader in this.readers}
    for outcome in outcomes:
        for path, rejects in outcome.rejects:
            _take_rejects(this.tally, this.files, readers[path], rejects)
