"""What a run says at the end: counts, reasons and the first rejects. Values, and a Tally that adds them up.

`Report.as_dict` is the JSON form, version 1. Nothing here reads a clock or writes a file.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.ledger.entries import COMPLETE, SUPERSEDED, TableRun, removed_rejects
from async_loader.ledger.samples import Sample, Samples
from async_loader.loading.refused import CODE, Refused
from async_loader.records.batches import EXTRA, Batch
from async_loader.records.reasons import FAULT_MESSAGES, commonest_first
from async_loader.records.validation import Verdict
from async_loader.tables import Table, Type

if TYPE_CHECKING:
    from async_loader.run.shares import Outcome

# A load of no more records than this is shown record by record.
LISTED = 100
# Python makes no integers of more than 4,300 digits from text; nobody wants to see one that is.
_LONGEST_NUMBER = 100
_INTEGER = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record was rejected. `column` is None where the whole record is at fault."""

    code: str
    column: str | None
    message: str

    @property
    def name(self) -> str:
        """As counts name it."""
        return self.code if self.column is None else f"{self.column}.{self.code}"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record as it was read, with all its reasons. Lines are 1-based and inclusive (row numbers for Parquet)."""

    source: str
    line: int
    line_end: int
    record: dict[str, Any]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table's part. given = inserted + updated + unchanged + rejected in a run that is complete.

    `accepted` holds the first records that passed, in the table's columns, and `samples` when how many records had been
    counted: seconds since the run began, and how many. Both are for showing, and not part of the JSON.
    """

    database: str
    sources: tuple[str, ...]
    given: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    ignored_columns: tuple[str, ...]
    seconds: float
    reasons: dict[str, int]
    rejects: tuple[Reject, ...]
    accepted: tuple[tuple[Any, ...], ...] = field(default=(), repr=False)
    samples: tuple[Sample, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `status` is complete, failed, interrupted or over-limit; `error` the line that says why.

    Not part of the JSON are `resumed`: an earlier process had begun it, so `accepted` is not all of what was accepted;
    and `began`: when this process did, None where it did not come to that.
    """

    run: str
    mode: str
    status: str
    dry_run: bool
    seconds: float
    error: str | None
    tables: dict[str, TableReport]
    resumed: bool = False
    began: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        report = {"version": 1, **asdict(self)}
        del report["resumed"], report["began"]
        for table in report["tables"].values():
            del table["accepted"], table["samples"]
        return report


@dataclass(frozen=True, slots=True)
class Kept:
    """What of one table has been committed. `records` of its sources; `whole` where that is all of them."""

    records: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    whole: bool = False


@dataclass(slots=True)
class Tally:
    """The counts of one table while its load runs, and what will be shown of it."""

    database: str
    sources: tuple[str, ...]
    rejects_shown: int
    given: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    seconds: float = 0.0
    ignored_columns: tuple[str, ...] = ()
    reasons: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    accepted: list[tuple[Any, ...]] = field(default_factory=list)
    # How many rejects of earlier runs have had their day, by run.
    superseded: Counter[str] = field(default_factory=Counter)
    kept: Kept = Kept()
    samples: Samples = field(default_factory=Samples)

    def take(self, batch: Batch, verdict: Verdict) -> None:
        """Count a verdict; what becomes of the accepted records is counted when it is written."""
        self.given += len(verdict)
        self.unchanged += len(verdict.unchanged)
        self.rejected += len(verdict.rejects)
        self.reasons.update(verdict.reasons)
        self.accepted += verdict.accepted.head(LISTED - len(self.accepted)).rows()
        wanted = verdict.rejects.head(min(self.rejects_shown - len(self.rejects), len(verdict.rejects)))
        self.rejects += [_reject(batch.source, *row) for row in wanted.rows()]

    def refuse(self, table: Table, source: str, refused: Refused, rejects: pl.DataFrame) -> None:
        """Take back accepted records that the database refused, which are among a batch's rejects now."""
        self.rejected += len(refused)
        self.reasons[CODE] += len(refused)
        key = table.column_names.index(table.key)
        self.accepted = [row for row in self.accepted if row[key] not in refused]
        found = [_reject(source, *row) for row in rejects.rows() if f'"{CODE}"' in row[-1]]
        named = self.rejects + [each for each in found if each.reasons[0].code == CODE]
        # Batches may have been counted since: the first rejects are those that come first in the sources.
        named.sort(key=lambda reject: (self.sources.index(reject.source), reject.line))
        self.rejects = named[: self.rejects_shown]

    def add(self, inserted: int, updated: int, superseded: Counter[str]) -> None:
        """Count what was written, and by run the rejects that it took the place of."""
        self.inserted += inserted
        self.updated += updated
        self.superseded += superseded

    def keep(self, *, whole: bool) -> None:
        """Remember that all that was counted so far has been committed."""
        self.kept = Kept(self.given, self.inserted, self.updated, self.unchanged, whole)

    def restore(self, line: TableRun) -> None:
        """Begin with what an earlier process has committed; its rejects come by `restore_rejects`."""
        self.given, self.rejected = line.given, line.rejected
        self.inserted, self.updated, self.unchanged = line.inserted, line.updated, line.unchanged
        self.superseded = Counter(removed_rejects(line)[SUPERSEDED])
        self.keep(whole=line.state == COMPLETE)

    def restore_rejects(self, source: str, rejects: pl.DataFrame) -> None:
        """Count the reasons of rejects that an earlier process has stored, in the columns of a verdict's."""
        for row in rejects.rows():
            reject = _reject(source, *row)
            self.reasons.update(reason.name for reason in reject.reasons)
            if len(self.rejects) < self.rejects_shown:
                self.rejects.append(reject)

    def add_share(self, outcome: Outcome, *, is_kept: bool) -> None:
        """Count what a worker says of a share, until its database tells of all of them."""
        self.given += outcome.given
        self.rejected += outcome.rejected
        self.add(outcome.inserted, outcome.updated, Counter())
        self.unchanged += outcome.unchanged
        if is_kept:
            self.keep(whole=False)

    def take_sum(self, outcome: Outcome) -> None:
        """Count what came of all shares of a table together."""
        self.given, self.rejected = outcome.given, outcome.rejected
        self.inserted, self.updated, self.unchanged = outcome.inserted, outcome.updated, outcome.unchanged
        self.reasons, self.superseded = Counter(outcome.reasons), Counter(outcome.superseded)
        self.accepted = [tuple(row) for row in outcome.listed]
        self.notice(outcome.ignored)

    def show_rejects(self, source: str, rejects: pl.DataFrame) -> None:
        """Name the next rejects of a source, in the columns of a verdict's, as far as there is room."""
        wanted = rejects.head(self.rejects_shown - len(self.rejects))
        self.rejects += [_reject(source, *row) for row in wanted.rows()]

    def notice(self, ignored: Iterable[str]) -> None:
        """Remember columns that the table does not have."""
        self.ignored_columns = tuple(dict.fromkeys([*self.ignored_columns, *ignored]))

    def report(self, *, complete: bool) -> TableReport:
        """As it stands; where the run is not complete, what was stored is what has been committed."""
        stored = self if complete else self.kept
        return TableReport(
            database=self.database,
            sources=self.sources,
            given=self.given,
            inserted=stored.inserted,
            updated=stored.updated,
            unchanged=stored.unchanged,
            rejected=self.rejected,
            ignored_columns=self.ignored_columns,
            seconds=round(self.seconds, 3),
            reasons=commonest_first(self.reasons),
            rejects=tuple(self.rejects),
            accepted=tuple(self.accepted),
            samples=self.samples.as_tuple(),
        )


def plain_json(record: str) -> dict[str, Any]:
    """A record's JSON text as a value that can be written as JSON again; numbers past all bounds stay text."""
    value: dict[str, Any] = json.loads(record, parse_float=_finite, parse_int=_readable)
    return value


def as_typed(table: Table, reject: Reject) -> tuple[Any, ...]:
    """A rejected record for showing: typed where a value could be read, and everything else as it was read."""
    record = reject.record
    if not set(table.column_names) <= set(record):
        return tuple(record.values())
    unread = {reason.column for reason in reject.reasons if reason.code in FAULT_MESSAGES}
    values = [
        record[column.name] if column.name in unread else _typed(column.type, record[column.name])
        for column in table.columns
    ]
    surplus = record.get(EXTRA, ()) if EXTRA not in table.column_names else ()
    return (*values, *(surplus if isinstance(surplus, list) else ()))


def _typed(kind: Type, value: Any) -> Any:
    if not isinstance(value, str) or kind not in (Type.INTEGER, Type.REAL) or len(value) > _LONGEST_NUMBER:
        return value
    if kind is Type.INTEGER:
        return int(value) if _INTEGER.fullmatch(value) else value
    return float(value) if _REAL.fullmatch(value) and math.isfinite(float(value)) else value


def _reject(source: str, line: int, line_end: int, record: str, reasons: str) -> Reject:
    return Reject(source, line, line_end, plain_json(record), tuple(Reason(**reason) for reason in json.loads(reasons)))


def _finite(digits: str) -> float | str:
    """JSON has no infinity to write: a number too large for a real stays text."""
    value = float(digits)
    return value if math.isfinite(value) else digits


def _readable(digits: str) -> int | str:
    return digits if len(digits) > _LONGEST_NUMBER else int(digits)
