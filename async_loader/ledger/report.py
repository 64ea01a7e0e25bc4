"""What a run reports at the end: counts, reasons and the first rejects. Values.

`Report.as_dict` is the JSON form, version 1. Nothing here reads a clock or writes a file.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from async_loader.columns import Type
from async_loader.ledger.counts import Counts, HasCounts, flattened
from async_loader.ledger.samples import Sample
from async_loader.records.batches import EXTRA
from async_loader.records.reasons import FAULT_MESSAGES, reason_name
from async_loader.tables import Table

# A load of no more records than this is shown record by record.
LISTED = 100
# What became of a record that passed, as counts name it.
INSERTED, UPDATED, UNCHANGED = "inserted", "updated", "unchanged"
# Python makes no integers of more than 4,300 digits from text; longer numbers than this one are of no use to a reader.
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
        """The name under which the reason is counted."""
        return reason_name(self.code, self.column)


@dataclass(frozen=True, slots=True)
class Reject:
    """A record as it was read, with all its reasons. Lines are 1-based and inclusive (row numbers for Parquet)."""

    source: str
    line: int
    line_end: int
    record: dict[str, Any]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A record that passed, in the table's columns, and what became of it: INSERTED, UPDATED or UNCHANGED.

    kept: the columns that its source lacks, and of which an updated row keeps its values.
    """

    outcome: str
    row: tuple[Any, ...]
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferencedRow:
    """A row that no record names, and that is kept because a row of a table names its key in a column."""

    key: Any
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class TableReport(HasCounts):
    """One table's part. given = inserted + updated + unchanged + rejected in a run that is complete.

    `counts` are attributes too (`report.given`), and stand in the JSON under their own names.
    `blank_lines` are lines of its sources that hold fields with nothing in them; they are no records.
    `referenced` counts rows that no record names and that are kept because others name them; `referenced_rows` are the
    first of them. `not_deleted` says why no row was deleted at all; None where nothing stands against that.
    `warnings` are lines about its sources that are worth reading: an option that would read them otherwise.
    `unasked_constraints` are those of the database which a dry run cannot ask, so that a load may have more rejects.
    `accepted` holds the first records that passed, in the table's columns, of a small load as they are stored, and
    `outcomes` what became of each. `samples` are the pace: seconds since the run began, and the number of records that
    had been counted by then. These three are for showing, and not part of the JSON.
    """

    database: str
    sources: tuple[str, ...]
    counts: Counts
    ignored_columns: tuple[str, ...]
    seconds: float
    reasons: dict[str, int]
    rejects: tuple[Reject, ...]
    unasked_constraints: tuple[str, ...] = ()
    blank_lines: int = 0
    referenced: int = 0
    referenced_rows: tuple[ReferencedRow, ...] = ()
    not_deleted: str | None = None
    warnings: tuple[str, ...] = ()
    accepted: tuple[tuple[Any, ...], ...] = field(default=(), repr=False)
    outcomes: tuple[str, ...] = field(default=(), repr=False)
    samples: tuple[Sample, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `status` is complete, failed, interrupted or over-limit; `error` the line that says why.

    Not part of the JSON are `resumed`: an earlier process had begun the run, so `accepted` is not all that was
    accepted; and `began`: the time at which this process began, None where it did not come to that.
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
        """Return the JSON form."""
        report = {"version": 1, **asdict(self)}
        del report["resumed"], report["began"]
        report["tables"] = {name: flattened(table) for name, table in report["tables"].items()}
        for table in report["tables"].values():
            del table["accepted"], table["outcomes"], table["samples"]
        return report


def plain_json(record: str) -> dict[str, Any]:
    """Return a record's JSON text as a value that can be written as JSON again; numbers out of range stay text."""
    value: dict[str, Any] = json.loads(record, parse_float=_finite, parse_int=_readable)
    return value


def as_typed(table: Table, reject: Reject) -> tuple[Any, ...]:
    """Return a rejected record for showing: each value typed where it could be read, else as it was read."""
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


def reject_of(source: str, line: int, line_end: int, record: str, reasons: str) -> Reject:
    """Return a reject, made of a row as a verdict has it: record and reasons are JSON."""
    return Reject(source, line, line_end, plain_json(record), reasons_of(reasons))


def reasons_of(reasons: str) -> tuple[Reason, ...]:
    """Return reasons, made of their JSON."""
    return tuple(Reason(**reason) for reason in json.loads(reasons))


def _typed(kind: Type, value: Any) -> Any:
    if not isinstance(value, str) or kind not in (Type.INTEGER, Type.REAL) or len(value) > _LONGEST_NUMBER:
        return value
    if kind is Type.INTEGER:
        return int(value) if _INTEGER.fullmatch(value) else value
    return float(value) if _REAL.fullmatch(value) and math.isfinite(float(value)) else value


def _finite(digits: str) -> float | str:
    """Return a number, or its text where it is too large for a real: JSON has no infinity to write."""
    value = float(digits)
    return value if math.isfinite(value) else digits


def _readable(digits: str) -> int | str:
    return digits if len(digits) > _LONGEST_NUMBER else int(digits)
