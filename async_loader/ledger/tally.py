"""The tally of one table: what its load has counted so far, what of that is committed, and what will be shown of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

import polars as pl

from async_loader.ledger.counts import NOTHING, Counts
from async_loader.ledger.entries import (
    COMPLETE,
    SUPERSEDED,
    TableRun,
    missing_rows,
    removed_rejects,
    waiting_positions,
)
from async_loader.ledger.outcomes import Outcome
from async_loader.ledger.report import (
    INSERTED,
    LISTED,
    UNCHANGED,
    UPDATED,
    Accepted,
    ReferencedRow,
    Reject,
    TableReport,
    reject_of,
)
from async_loader.ledger.samples import Samples
from async_loader.records.batches import Batch
from async_loader.records.decimals import comma_balance, comma_warnings
from async_loader.records.reasons import commonest_first
from async_loader.records.validation import Verdict
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Kept:
    """What of one table has been committed; `whole` where that is all of it. `waiting`: how many records had been read
    that were to be committed later.
    """

    counts: Counts = NOTHING
    whole: bool = False
    waiting: int = 0

    @property
    def records(self) -> int:
        """The number of records of the table's sources, from the first on, that are committed, or known to wait."""
        return self.counts.given + self.waiting


@dataclass(slots=True)
class Tally:
    """The counts of one table while its load runs, and what will be shown of it.

    superseded: by earlier run, how many of its rejects records of the load have named.
    commas: as `comma_balance` counts the values of columns of numbers.
    repeated: by earlier run, how many of its rejects went because the same content was loaded again as a whole.
    refused: how many records the database refused in this process.
    waiting: positions of the records that have been read and wait for others; None where there are none.
    written: keys of rows that were inserted or changed; None where nothing wants to know them. lacks_keys: whether an
        earlier process, or an earlier attempt of a worker, has written rows whose keys are not among them.
    rows_before: how many rows the table had before the run; None where nothing is to be deleted.
    referenced, referenced_rows, not_deleted: as in the report.
    """

    database: str
    sources: tuple[str, ...]
    rejects_shown: int
    counts: Counts = NOTHING
    kept: Kept = Kept()
    seconds: float = 0.0
    ignored_columns: tuple[str, ...] = ()
    reasons: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    superseded: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    samples: Samples = field(default_factory=Samples)
    unasked_constraints: tuple[str, ...] = ()
    blank_lines: int = 0
    commas: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    waiting: pl.Series | None = None
    written: list[pl.Series] | None = None
    lacks_keys: bool = False
    rows_before: int | None = None
    referenced: int = 0
    referenced_rows: list[ReferencedRow] = field(default_factory=list)
    not_deleted: str | None = None

    def forget_missing(self) -> None:
        """Begin anew to say which rows are not deleted though no record names them."""
        self.referenced, self.referenced_rows, self.not_deleted = 0, [], None

    def wait(self, positions: pl.Series) -> None:
        """Note which records wait for others."""
        self.waiting = positions if len(positions) else None

    @property
    def records(self) -> int:
        """The number of records that have been counted or wait."""
        return self.counts.given + (0 if self.waiting is None else len(self.waiting))

    def weigh(self, table: Table, batch: Batch) -> None:
        """Count how the numbers of a batch are spelled."""
        self.commas.update(comma_balance(table.columns, batch))

    def take(self, table: Table, batch: Batch, verdict: Verdict, *, is_late: bool = False) -> None:
        """Count a verdict; what becomes of the accepted records is counted when it is written. is_late: whether
        records that follow in the sources have been counted already.
        """
        self.counts += Counts(given=len(verdict), unchanged=len(verdict.unchanged), rejected=len(verdict.rejects))
        self.reasons.update(verdict.reasons)
        if len(self.accepted) < LISTED:
            self.accepted += _accepted(table, batch, verdict, LISTED - len(self.accepted))
        if is_late:
            self._show_first([reject_of(batch.source, *row) for row in verdict.rejects.head(self.rejects_shown).rows()])
        else:
            self.show_rejects(batch.source, verdict.rejects)

    def reject_late(self, table: Table, source: str, keys: Collection[object], rejects: pl.DataFrame) -> None:
        """Take back the accepted records of these keys, which could not be stored: `rejects` are made of them."""
        self.counts += Counts(rejected=len(rejects))
        self.refused += len(rejects)
        key = table.column_names.index(table.key)
        self.accepted = [each for each in self.accepted if each.row[key] not in keys]
        late = [reject_of(source, *row) for row in rejects.rows()]
        self.reasons.update(reason.name for reject in late for reason in reject.reasons)
        self._show_first(late)

    def _show_first(self, rejects: Iterable[Reject]) -> None:
        """Name more rejects, which may not have been counted in their order: those that come first in the sources."""
        named = sorted([*self.rejects, *rejects], key=lambda reject: (self.sources.index(reject.source), reject.line))
        self.rejects = named[: self.rejects_shown]

    def add(self, counts: Counts, superseded: Counter[str]) -> None:
        """Count what was written, and by run the rejects that it replaced."""
        self.counts += counts
        self.superseded += superseded

    def keep(self, *, whole: bool) -> None:
        """Remember that all that was counted so far has been committed."""
        self.kept = Kept(self.counts, whole, self.records - self.counts.given)

    def restore(self, line: TableRun) -> None:
        """Begin with what an earlier process has committed; its rejects come by `restore_rejects`."""
        self.counts = line.counts
        self.superseded = Counter(removed_rejects(line)[SUPERSEDED])
        self.waiting = waiting_positions(line)
        self.lacks_keys = True
        self.rows_before, self.referenced, self.not_deleted = missing_rows(line)
        self.keep(whole=line.state == COMPLETE)

    def restore_rejects(self, source: str, rejects: pl.DataFrame) -> None:
        """Count the reasons of rejects that an earlier process has stored, in the columns of a verdict's."""
        restored = [reject_of(source, *row) for row in rejects.rows()]
        self.reasons.update(reason.name for reject in restored for reason in reject.reasons)
        self._show_first(restored)

    def add_share(self, outcome: Outcome, *, is_kept: bool) -> None:
        """Count what a worker says of a share, until its database has the outcomes of all shares."""
        self.add(outcome.counts, Counter())
        if is_kept:
            self.keep(whole=False)
        if self.written is not None and outcome.written is not None:
            self.written.append(outcome.written)
        self.lacks_keys |= outcome.written is None

    def take_total(self, outcome: Outcome) -> None:
        """Count what came of all shares of a table together."""
        self.counts = outcome.counts
        self.reasons, self.superseded = Counter(outcome.reasons), Counter(outcome.superseded)
        self.accepted = list(outcome.listed)
        self.notice(outcome.ignored)
        self.blank_lines = outcome.blank_lines
        self.commas = Counter(outcome.commas)

    def take_rehearsed(self, rehearsed: Tally) -> None:
        """Count what a rehearsal has counted by the time at which it ended the run."""
        self.counts, self.reasons, self.commas = rehearsed.counts, rehearsed.reasons, rehearsed.commas

    def show_rejects(self, source: str, rejects: pl.DataFrame) -> None:
        """Name the next rejects of a source, in the columns of a verdict's, as far as there is room."""
        room = max(0, self.rejects_shown - len(self.rejects))
        self.rejects += [reject_of(source, *row) for row in rejects.head(room).rows()]

    def notice(self, ignored: Iterable[str]) -> None:
        """Remember columns that the table does not have."""
        self.ignored_columns = tuple(dict.fromkeys([*self.ignored_columns, *ignored]))

    def cannot_ask(self, constraints: Iterable[str]) -> None:
        """Note constraints of the database that a dry run cannot ask."""
        self.unasked_constraints = tuple(constraints)

    def report(self, *, complete: bool) -> TableReport:
        """Return the report as it stands; where the run is not complete, what was stored is what has been committed."""
        stored = self.counts if complete else self.kept.counts
        return TableReport(
            database=self.database,
            sources=self.sources,
            counts=replace(stored, given=self.counts.given, rejected=self.counts.rejected),
            ignored_columns=self.ignored_columns,
            unasked_constraints=self.unasked_constraints,
            blank_lines=self.blank_lines,
            referenced=self.referenced,
            referenced_rows=tuple(self.referenced_rows),
            not_deleted=self.not_deleted,
            warnings=comma_warnings(self.commas),
            seconds=round(self.seconds, 3),
            reasons=commonest_first(self.reasons),
            rejects=tuple(self.rejects),
            accepted=tuple(each.row for each in self.accepted),
            outcomes=tuple(each.outcome for each in self.accepted),
            samples=self.samples.as_tuple(),
        )


def _accepted(table: Table, batch: Batch, verdict: Verdict, most: int) -> list[Accepted]:
    """Return the first records of a verdict that passed, with what becomes of each."""
    first = verdict.accepted.head(most)
    keys = first[table.key]
    changed, unchanged = (keys.is_in(part[table.key].implode()) for part in (verdict.changed, verdict.unchanged))
    kept = tuple(name for name in batch.absent if not table.column(name).restamped)
    return [
        Accepted(UPDATED if is_changed else UNCHANGED if is_unchanged else INSERTED, row, kept)
        for is_changed, is_unchanged, row in zip(changed, unchanged, first.rows(), strict=True)
    ]
