"""A share of a table's load, for one worker of several: what it is, and what loading it is. Steps, and no I/O.

A share is loaded in a transaction of its own, whose first statement claims it: however often it is begun, it is
committed once. What came of it is kept in the same transaction, because results that workers hold are lost with them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Call, Complete, Connect, Steps
from async_loader.errors import LockedError
from async_loader.ledger.entries import Facts
from async_loader.ledger.outcomes import Outcome, outcome_from
from async_loader.ledger.report import LISTED
from async_loader.ledger.tally import Tally
from async_loader.loading.load import Load, Readable, RejectAllowance, load
from async_loader.loading.superseding import Superseding, supersede
from async_loader.records.key_sets import KeySet, key_set
from async_loader.records.keys import AcceptedKeys, KeyRange, ReferencedKeys
from async_loader.stores.store import Store
from async_loader.tables import Column, Table

if TYPE_CHECKING:
    from async_loader.sources import Source
    from async_loader.sources.parts import Part

# Seconds that a session may do nothing between two statements, however short others are to wait for it.
_SILENCE = 2.0


@dataclass(frozen=True, slots=True)
class Share:
    """Some parts of a table's sources, to be read one after another.

    number: which of the table's shares it is. parts: what is read.
    sources: those that the parts are of, each with what tells that it is still the same.
    tables: all that are declared in databases of the table and of those that it references.
    ranges: by table, the keys that its database held when the run began with it.
    grown: by referenced table, those that it held once that was loaded.
    is_referenced: whether tables that are loaded behind it have to be told which keys it accepted.
    earlier: by share before this one, keys that both have. Those that were accepted there are taken.
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
    dry_run: bool
    lock_timeout: float
    report_rejects: int
    earlier: Mapping[int, pl.Series] = field(default_factory=dict)
    watched: pl.Series | None = None

    @property
    def claim(self) -> str:
        """What tells it from all others."""
        return claim_of(self.run, self.table.name, self.number)

    @property
    def session(self) -> str:
        """What the server calls the session that loads it."""
        return f"loader {self.run} {zlib.crc32(self.table.name.encode()):08x}.{self.number}"

    @property
    def targets(self) -> tuple[Table, ...]:
        """The referenced tables."""
        names = {reference.table for reference in self.table.references}
        return tuple(table for table in self.tables if table.name in names)


def claim_of(run: str, table: str, number: int) -> str:
    """What the ledger calls a share."""
    return f"{run}:{table}:{number:09d}"


@dataclass(slots=True)
class KnownKeys:
    """What a worker has learned of referenced keys, for the shares to come: by run and table, for each of the shares
    that it has been at side by side.
    """

    kept: dict[tuple[str, str], list[ReferencedKeys]] = field(default_factory=dict)

    def take(self, share: Share, target: Table, accepted: AcceptedKeys | None) -> ReferencedKeys:
        """What is known; nobody else has it meanwhile. accepted: all keys that the run has committed of the target;
        None where that is not known, so that the database must be asked about them as well.
        """
        if kept := self.kept.get((share.run, target.name)):
            return kept.pop()
        ranges = share.grown if accepted is None else share.ranges
        return ReferencedKeys(target.column(target.key), accepted, ranges[target.name])

    def give_back(self, share: Share, known: Mapping[str, ReferencedKeys]) -> None:
        """For the next share. What other runs knew is of no use any more."""
        self.kept = {key: value for key, value in self.kept.items() if key[0] == share.run}
        for name, keys in known.items():
            self.kept.setdefault((share.run, name), []).append(keys)


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker has to load a share with.

    known: by referenced table, what is known of its keys. earlier: in a dry run, what came of shares before this one.
    check: raises where a source is not what the run began with.
    """

    stores: Mapping[str, Store]
    readers: Sequence[Readable]
    known: Mapping[str, ReferencedKeys]
    earlier: Mapping[int, Outcome]
    check: Callable[[], None]


def loading(share: Share, means: Means) -> Steps[Outcome]:
    """Load a share, or find that it is loaded."""
    table, stores = share.table, means.stores
    database = stores[table.database]
    asked = [target for target in share.targets if not means.known[target.name].is_whole]
    for name in sorted({each.database for each in (table, *asked)}):
        yield Connect(stores[name], share.lock_timeout)
        if name != table.database or share.dry_run:
            yield from stores[name].begin_reading()
    if not share.dry_run and not (yield from _claimed(share, database)):
        done = yield from database.shares.outcome(share.claim)
        yield from database.roll_back()
        return outcome_from(done or "", table)
    accepted = AcceptedKeys(table.column(table.key))
    taken = yield from _taken(share, database, means.earlier)
    accepted.add(taken)
    # Whether they can be referenced is told by the shares that have them.
    accepted.refuse(taken)
    tally = Tally(
        table.database, tuple(dict.fromkeys(reader.source.path for reader in means.readers)), share.report_rejects
    )
    rejects = _Rejects() if share.dry_run else None
    yield from load(_load(share, means, accepted, tally, rejects))
    yield Call(means.check)
    outcome = _outcome(share, tally, accepted, rejects)
    if not share.dry_run:
        yield from database.shares.conclude(share.claim, outcome.as_json())
        yield Complete(database.commit())
    return outcome


def _claimed(share: Share, database: Store) -> Steps[bool]:
    """In a transaction that is open then. Whoever has the share and goes on is waited for. A session that has it and no
    longer answers is ended: a process that was stopped keeps it for as long as its server lets it.
    """
    silence = max(share.lock_timeout, _SILENCE)
    while True:
        yield from database.begin_share()
        try:
            taken = yield from database.shares.claim(share.claim, share.run, share.table.name)
        except LockedError:
            yield from database.roll_back()
            if not (yield from database.shares.end_silent(share.session, silence)):
                raise
        else:
            if taken:
                yield from database.shares.check_current(share.run, share.table.name)
            return taken


def _taken(share: Share, database: Store, earlier: Mapping[int, Outcome]) -> Steps[pl.Series]:
    """Keys that shares before this one have accepted."""
    key = share.table.column(share.table.key)
    taken = pl.Series(key.name, [], dtype=key.dtype)
    for number, keys in share.earlier.items():
        if share.dry_run:
            outcome = earlier[number]
        else:
            text = yield from database.shares.outcome(claim_of(share.run, share.table.name, number))
            outcome = outcome_from(text or "", share.table)
        taken = taken.append(keys.filter(~keys.is_in(list(outcome.refused))) if outcome.refused else keys)
    return taken


def _load(share: Share, means: Means, accepted: AcceptedKeys, tally: Tally, rejects: _Rejects | None) -> Load:
    table, stores = share.table, means.stores
    here = {each.name: each for each in share.tables if each.database == table.database}
    return Load(
        run=share.run,
        started_at=share.started_at,
        table=table,
        database=stores[table.database],
        readers=means.readers,
        on_conflict=share.on_conflict,
        dry_run=share.dry_run,
        allowance=RejectAllowance(None, [table.name]),
        accepted=accepted,
        tally=tally,
        targets={target.name: (target, stores[target.database]) for target in share.targets},
        target_keys={},
        ranges=dict(share.ranges),
        known=means.known,
        files=rejects,
        supersede=partial(supersede, Superseding(share.run, table, stores[table.database], here)),
    )


class _Rejects:
    """The rejects of a dry run, in the place of files."""

    def __init__(self) -> None:
        self.found: list[tuple[str, pl.DataFrame]] = []

    def write(self, source: Readable, rejects: pl.DataFrame) -> None:
        self.found.append((source.source.path, rejects))

    def close(self) -> None:
        """Nothing is open."""


def _outcome(share: Share, tally: Tally, accepted: AcceptedKeys, rejects: _Rejects | None) -> Outcome:
    watched = share.watched
    refused = () if watched is None else tuple(watched.filter(~accepted.are_taken(watched)).to_list())
    return Outcome(
        counts=tally.counts,
        reasons=dict(tally.reasons),
        superseded=dict(tally.superseded),
        ignored=tally.ignored_columns,
        refused=refused,
        listed=tuple(tally.accepted) if tally.counts.given <= LISTED else (),
        accepted=accepted.referable() if share.is_referenced else None,
        rejects=tuple(rejects.found) if rejects is not None else (),
    )


@dataclass(frozen=True, slots=True)
class Shared:
    """What a part's keys have to do with those of others, as a Share has it."""

    earlier: Mapping[int, pl.Series] = field(default_factory=dict)
    watched: pl.Series | None = None


def shared_keys(column: Column, keys: Mapping[int, pl.Series]) -> dict[int, Shared]:
    """By part, which of its keys stand in parts before it, and which in parts behind it; `keys` by part, in order."""
    earlier: dict[int, dict[int, pl.Series]] = {}
    watched: dict[int, list[pl.Series]] = {}
    seen: dict[int, KeySet] = {}
    all_seen = key_set(column)
    for number, found in keys.items():
        again = found.filter(all_seen.holds(found)).unique()
        for before, those in seen.items() if len(again) else ():
            both = again.filter(those.holds(again))
            if len(both):
                earlier.setdefault(number, {})[before] = both
                watched.setdefault(before, []).append(both)
        seen[number] = key_set(column)
        seen[number].add(found)
        all_seen.add(found)
    return {
        number: Shared(earlier.get(number, {}), pl.concat(watched[number]).unique() if number in watched else None)
        for number in {*earlier, *watched}
    }
