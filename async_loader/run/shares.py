"""A share of a table's load, for one worker of several: what it is, and how it is loaded. Steps, and no I/O.

A share is loaded in a transaction of its own, whose first statement claims it: however often it is begun, it is
committed once. What came of it is kept in the same transaction, because results that workers hold are lost with them.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Call, Complete, Connect, Steps
from async_loader.errors import ConfigurationError, LockedError, StoreError
from async_loader.ledger.entries import Facts
from async_loader.ledger.outcomes import Outcome, outcome_from
from async_loader.ledger.report import LISTED
from async_loader.ledger.tally import Tally
from async_loader.loading.commits import Commits
from async_loader.loading.finding import DryRows
from async_loader.loading.load import Load, load
from async_loader.loading.match_values import MatchValues
from async_loader.loading.sides import Readable, RejectAllowance, TakesRejects
from async_loader.loading.superseding import Superseding
from async_loader.records.arrays import are_among
from async_loader.records.keys import AcceptedKeys, KeyRange, ReferencedKeys
from async_loader.run.rechecking import recheck
from async_loader.stores.shares import Place
from async_loader.stores.store import Store
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.sources import Source
    from async_loader.sources.parts import Part

# Seconds without a statement after which a session counts as silent, even if the lock timeout is shorter.
_SILENCE = 2.0


@dataclass(frozen=True, slots=True)
class Share:
    """Some parts of a table's sources, to be read one after another.

    number: which of the table's shares it is. parts: what is read.
    sources: those that the parts are of, each with what identifies its content.
    tables: all that are declared in databases of the table and of those that it references.
    ranges: by table, the keys that its database held when the run began with it.
    grown: by referenced table, those that it held once that was loaded.
    is_referenced: whether tables that are loaded after it are to know which keys it accepted.
    is_rehearsal: whether nothing is written.
    notes_keys: whether the keys of rows that are inserted or changed are returned.
    places: by database, where the process that leads the run finds its tables.
    earlier: by share before this one, keys that both have. Those that were accepted there are taken. Where records find
        their rows by match columns, the match values stand for keys.
    watched: keys that shares after this one have as well.
    """

    run: str
    started_at: str
    table: Table
    number: int
    parts: tuple[Part, ...]
    sources: tuple[tuple[Source, Facts | None], ...]
    tables: tuple[Table, ...]
    ranges: Mapping[str, KeyRange | None]
    grown: Mapping[str, KeyRange | None]
    is_referenced: bool
    on_conflict: str
    batch_size: int
    is_rehearsal: bool
    lock_timeout: float
    report_rejects: int
    notes_keys: bool = False
    places: Mapping[str, Place] = field(default_factory=dict)
    earlier: Mapping[int, pl.Series] = field(default_factory=dict)
    watched: pl.Series | None = None

    @property
    def claim(self) -> str:
        """The name of the share in the ledger."""
        return claim_of(self.run, self.table.name, self.number)

    @property
    def session(self) -> str:
        """The server's name for the session that loads it."""
        return f"loader {self.run} {zlib.crc32(self.table.name.encode()):08x}.{self.number}"

    @property
    def targets(self) -> tuple[Table, ...]:
        """The tables that are referenced."""
        return tuple(table for table in self.tables if table.name in self.table.targets)

    def store(self, store: Store) -> Store:
        """Return a database as this share uses it."""
        named = store.in_session(self.session, self.places.get(store.name))
        if any(table.parents for table in (self.table, *self.targets)):
            from async_loader.stores.inherited import inheriting

            named = inheriting(named)
        if not self.is_rehearsal:
            return named
        from async_loader.stores.dry import dry

        return dry(named)


def claim_of(run: str, table: str, number: int) -> str:
    """Return the name of a share in the ledger."""
    return f"{run}:{table}:{number:09d}"


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker has to load a share with.

    known: by referenced table, what is known of its keys. earlier: in a rehearsal, what came of shares before this one.
    loaded: the names of tables that this run has loaded.
    check: raises where a source is not what the run began with.
    """

    stores: Mapping[str, Store]
    readers: Sequence[Readable]
    known: Mapping[str, ReferencedKeys]
    loaded: Collection[str]
    earlier: Mapping[int, Outcome]
    check: Callable[[], None]


def load_share(share: Share, means: Means) -> Steps[Outcome]:
    """Load a share, or find that it is loaded. Returns what came of it."""
    this = _Rehearsed(share, means) if share.is_rehearsal else _Claimed(share, means)
    yield from open_databases(share, means)
    if (committed := (yield from this.begin())) is not None:
        return committed
    accepted, match_values = yield from _accepted_before(this)
    paths = dict.fromkeys(reader.source.name for reader in means.readers)
    written = list[pl.Series]() if share.notes_keys else None
    tally = Tally(share.table.database, tuple(paths), share.report_rejects, written=written)
    one = replace(_load(this, accepted, tally), match_values=match_values)
    yield from load(one)
    yield from this.recheck(one)
    yield Call(means.check)
    return (yield from this.conclude(_outcome(share, one)))


def open_databases(share: Share, means: Means) -> Steps[None]:
    """Connect to the table's database and to those that must be asked, which are held in one state."""
    looked_up = _looked_up(share, means)
    asked = [
        target
        for target in share.targets
        if target.name in looked_up or target.name not in means.loaded or not means.known[target.name].is_whole
    ]
    for name in sorted({each.database for each in (share.table, *asked)}):
        yield Connect(means.stores[name], share.lock_timeout)
        yield from _check_place(share, means.stores[name])
        if name != share.table.database:
            yield from means.stores[name].begin_reading()


def _check_place(share: Share, database: Store) -> Steps[None]:
    """Raise StoreError where this worker does not find the tables that the run is about."""
    place, wanted = (yield from database.shares.place()), share.places.get(database.name)
    if wanted is not None and place != wanted:
        problem = f"a worker finds its tables in schema {place.schemas}, and the run in {wanted.schemas}"
        advice = "let search path and role be the same for all, or choose another mode than dask"
        raise StoreError(database.name, f"{problem}; {advice}")


def _looked_up(share: Share, means: Means) -> set[str]:
    """Return the names of the tables in which the share looks rows up. ConfigurationError where no database has their
    rows yet, because nothing is written of what other shares would store.
    """
    columns = {column for reader in means.readers for column in reader.lookups}
    given = {name for reader in means.readers for name in reader.links}
    names = {reference.table for reference in share.table.references if reference.column in columns}
    names |= {links.reference.table for links in share.table.used_links if links.name in given}
    if share.is_rehearsal and (missing := sorted(names & set(means.loaded))):
        problem = (
            f"its records look up rows of {', '.join(missing)}, and --max-rejects stores none before all is judged"
        )
        advice = f"load {' and '.join(missing)} first, or choose another mode than dask"
        raise ConfigurationError(f"table {share.table.name}: {problem}; {advice}")
    return names


class _Transaction(ABC):
    """The transaction in which a share is loaded; `files` takes its rejects besides the database."""

    files: TakesRejects | None = None

    def __init__(self, share: Share, means: Means) -> None:
        self.share = share
        self.means = means
        self.database = means.stores[share.table.database]

    @abstractmethod
    def begin(self) -> Steps[Outcome | None]:
        """Begin to load the share. Returns what came of it where it has been loaded before."""

    @abstractmethod
    def outcome_of(self, number: int) -> Steps[Outcome]:
        """Return what came of a share before this one."""

    @property
    @abstractmethod
    def superseding(self) -> Superseding | None:
        """What is needed to delete the table's stored rejects that mended records name; None where none is deleted."""

    @abstractmethod
    def recheck(self, load: Load) -> Steps[None]:
        """Raise StoreError where rows of the share name rows that others have deleted meanwhile."""

    @abstractmethod
    def conclude(self, outcome: Outcome) -> Steps[Outcome]:
        """Keep what came of the share. Returns it."""


class _Claimed(_Transaction):
    """A transaction that claims the share first, so that it is committed once."""

    def begin(self) -> Steps[Outcome | None]:
        """Claim the share, or return what came of it where it has been committed."""
        if (yield from self._claim()):
            return None
        text = yield from self.database.shares.outcome(self.share.claim)
        yield from self.database.roll_back()
        return outcome_from(text or "", self.share.table)

    def _claim(self) -> Steps[bool]:
        """Claim the share in a transaction that is open then. Returns false where it has been committed.

        A session that has the share and goes on is waited for. One that has it and no longer answers is ended: a
        process that was stopped keeps its claim for as long as its server lets it.
        """
        share, shares = self.share, self.database.shares
        while True:
            yield from self.database.begin_share()
            try:
                claimed = yield from shares.claim(share.claim, share.run, share.table.name)
            except LockedError:
                yield from self.database.roll_back()
                if not (yield from shares.end_silent(share.session, max(share.lock_timeout, _SILENCE))):
                    raise
            else:
                if claimed:
                    yield from shares.check_current(share.run, share.table.name)
                return claimed

    def outcome_of(self, number: int) -> Steps[Outcome]:
        """Read the outcome that is committed."""
        share = self.share
        text = yield from self.database.shares.outcome(claim_of(share.run, share.table.name, number))
        return outcome_from(text or "", share.table)

    @property
    def superseding(self) -> Superseding:
        """The rejects of the table's database."""
        share = self.share
        here = {each.name: each for each in share.tables if each.database == share.table.database}
        return Superseding(share.run, share.table, self.database, here)

    def recheck(self, load: Load) -> Steps[None]:
        """Look at the newest state of the databases of tables that the run does not load."""
        every = [*load.relied_on, *load.linked_to]
        names = {known.database.name for known in every if known.target.name in load.noted}
        for name in sorted(names - {self.database.name}):
            yield from self.means.stores[name].roll_back()
        changes = dict.fromkeys(known.database.name for known in every)
        yield from recheck(load, changes, lambda table: table.name not in load.noted, ask_always=True)

    def conclude(self, outcome: Outcome) -> Steps[Outcome]:
        """Keep the outcome in the database, and commit."""
        yield from self.database.shares.conclude(self.share.claim, outcome.as_json())
        yield Complete(self.database.commit())
        return outcome


class _Rehearsed(_Transaction):
    """A transaction that only reads; the rejects are part of what comes of it."""

    def __init__(self, share: Share, means: Means) -> None:
        super().__init__(share, means)
        self._rejects = _CollectedRejects()
        self.files = self._rejects

    def begin(self) -> Steps[Outcome | None]:
        """Hold one state of the database."""
        yield from self.database.begin_reading()
        return None

    def outcome_of(self, number: int) -> Steps[Outcome]:
        """Return the outcome that was sent with the share."""
        yield from ()
        return self.means.earlier[number]

    @property
    def superseding(self) -> None:
        """Nothing: it deletes no rejects."""

    def recheck(self, load: Load) -> Steps[None]:  # noqa: ARG002 - of a share that is kept
        """Look at nothing: nothing is kept."""
        yield from ()

    def conclude(self, outcome: Outcome) -> Steps[Outcome]:
        """Return the outcome with the rejects, which are stored nowhere."""
        yield from ()
        return replace(outcome, rejects=tuple(self._rejects.by_source))


class _CommittedByWorker(Commits):
    """A share is committed as a whole, while other programs may write to its table."""

    others_write = True


class _CollectedRejects:
    """The rejects of a rehearsal, by source, in the place of files."""

    def __init__(self) -> None:
        self.by_source: list[tuple[str, pl.DataFrame]] = []

    def write(self, source: Readable, rejects: pl.DataFrame) -> None:
        self.by_source.append((source.source.name, rejects))

    def close(self) -> None:
        """Do nothing: no file is open."""


def _accepted_before(this: _Transaction) -> Steps[tuple[AcceptedKeys, MatchValues]]:
    """Return the keys, or the match values, that shares before this one have accepted. Keys are taken, and not to be
    referenced by what this share says: whether they can be is said by the shares that have them.
    """
    share = this.share
    accepted, match_values = AcceptedKeys(share.table.column(share.table.key)), MatchValues()
    for number, keys in share.earlier.items():
        outcome = yield from this.outcome_of(number)
        taken = keys.filter(~are_among(keys, outcome.refused)) if outcome.refused else keys
        if share.table.match:
            match_values.add(taken)
        else:
            accepted.add(taken)
            accepted.refuse(taken)
    return accepted, match_values


def _load(this: _Transaction, accepted: AcceptedKeys, tally: Tally) -> Load:
    share, means = this.share, this.means
    return Load(
        run=share.run,
        started_at=share.started_at,
        table=share.table,
        database=this.database,
        readers=means.readers,
        on_conflict=share.on_conflict,
        allowance=RejectAllowance(None, [share.table.name]),
        accepted=accepted,
        tally=tally,
        targets={target.name: (target, means.stores[target.database]) for target in share.targets},
        target_keys={},
        ranges=dict(share.ranges),
        known=means.known,
        commits=_CommittedByWorker(),
        files=this.files,
        superseding=this.superseding,
        dry=DryRows([share.table.name]) if share.is_rehearsal and share.table.own_references else None,
        noted=frozenset(target.name for target in share.targets if target.name not in means.loaded),
    )


def _no_keys(table: Table) -> pl.Series:
    return pl.Series(table.key, [], dtype=table.column(table.key).dtype)


def _outcome(share: Share, one: Load) -> Outcome:
    watched, tally = share.watched, one.tally
    are_taken = one.match_values.holds if share.table.match else one.accepted.are_taken
    refused = () if watched is None else tuple(watched.filter(~are_taken(watched)).to_list())
    return Outcome(
        counts=tally.counts,
        reasons=dict(tally.reasons),
        superseded=dict(tally.superseded),
        ignored=tally.ignored_columns,
        blank_lines=tally.blank_lines,
        commas=dict(tally.commas),
        refused=refused,
        listed=tuple(tally.accepted) if tally.counts.given <= LISTED else (),
        accepted=one.accepted.referable() if share.is_referenced else None,
        written=None if tally.written is None else pl.concat([_no_keys(share.table), *tally.written]),
    )
