"""The values that templates show, made of the parts of reports. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from async_loader import CheckedTable, Orphan, Reason, Reject, TableReport, VerifiedTable
from async_loader.contrib.django.pages.filters import count

OUTCOMES = ("given", "inserted", "updated", "unchanged", "rejected")
# Rows that no record named, which pages count where there are any.
DELETED = "deleted"

# How many characters of a text are shown, and how many more a reader can unfold, which browsers can still show.
SHOWN = 200
_UNFOLDED = 100_000
# How many fields of a record are shown one by one.
_FIELDS = 50


@dataclass(frozen=True, slots=True)
class Text:
    """A text as a page shows it.

    kind: text, or null or empty where there are no characters to show.
    length: the length of the text in characters where it is longer than what is shown, else 0.
    whole: the text that a reader can unfold then; `cut` where even that is not all.
    """

    kind: str
    shown: str
    length: int = 0
    whole: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record; `at_fault` where a reason names it."""

    name: Text
    value: Text
    at_fault: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A reject, or a row at fault, that the report lists.

    lines, source: where a reject was read; of a row at fault, nothing and its key.
    """

    lines: str
    source: Text
    fields: tuple[Field, ...]
    reasons: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """How often a reason occurs, and in what percentage of the rejects; `width` is the percentage for SVG."""

    name: Text
    count: int
    percent: float
    width: str


@dataclass(frozen=True, slots=True)
class Rejects:
    """A table's rejects on a page. `more` are not listed; all are stored in the database `kept_in`, if anywhere."""

    anchor: str
    table: Text
    rejected: int
    shares: tuple[Share, ...]
    listed: tuple[Listed, ...]
    more: int
    kept_in: Text | None


@dataclass(frozen=True, slots=True)
class Counts:
    """A row of the table of counts. `anchor` leads to its rejects, and is empty where there are none."""

    table: Text
    anchor: str
    numbers: tuple[tuple[str, int], ...]
    seconds: float
    rate: float | None


def as_text(value: Any) -> Text:
    """Return any value of a record, or a name, as a text; what is no text is written as JSON."""
    if value is None:
        return Text("null", "null")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= SHOWN:
        return Text("text" if text else "empty", text)
    return Text("text", text[:SHOWN], len(text), text[:_UNFOLDED], len(text) > _UNFOLDED)


def outcomes_of(tables: Iterable[TableReport | VerifiedTable]) -> tuple[str, ...]:
    """Return the names of the counts that a page has columns for."""
    return (*OUTCOMES, DELETED) if any(table.deleted for table in tables) else OUTCOMES


def counts_of(number: int, name: str, table: TableReport, outcomes: Iterable[str] = OUTCOMES) -> Counts:
    """Return the counts of a table, which is the report's table of that number, from 0."""
    numbers = tuple((outcome, getattr(table, outcome)) for outcome in outcomes)
    return Counts(as_text(name), anchor_of(number, table), numbers, table.seconds, _rate(table))


def _rate(table: TableReport) -> float | None:
    """Return the records per second of this process, without those that an earlier process of the run had counted."""
    before = table.samples[0][1] if table.samples else 0
    return (table.given - before) / table.seconds if table.seconds else None


def anchor_of(number: int, table: TableReport | CheckedTable) -> str:
    """Return the anchor of a table's rejects. It has the table's number, because a name may be anything."""
    return f"rejects-{number + 1}" if table.rejected else ""


def origin_of(name: str, table: TableReport) -> tuple[Text, Text, list[Text], Text | None, Text | None]:
    """Return a table with its database, sources, ignored columns, and constraints that a dry run cannot ask."""
    ignored, unasked = (
        as_text(", ".join(several)) if several else None
        for several in (table.ignored_columns, table.unasked_constraints)
    )
    return as_text(name), as_text(table.database), [as_text(source) for source in table.sources], ignored, unasked


def is_kept(table: TableReport) -> bool:
    """Return whether rows are kept though no record names them."""
    return table.referenced > 0 or table.not_deleted is not None


def missing_of(name: str, table: TableReport) -> tuple[Text, Text | None, int, list[tuple[Text, Text]]]:
    """Return a table with why none of its rows is deleted, and the rows that are kept because others reference them:
    how many, and of the first ones the key, and what has it.
    """
    rows = [(as_text(row.key), as_text(f"{row.column} of {row.table}")) for row in table.referenced_rows]
    return as_text(name), None if table.not_deleted is None else as_text(table.not_deleted), table.referenced, rows


def ledger_line(
    name: str, table: VerifiedTable, outcomes: Iterable[str] = OUTCOMES
) -> tuple[Text, Text, Text, list[Text]]:
    """Return a line of the ledger: table, database, state and counts."""
    numbers = [as_text(count(getattr(table, outcome))) for outcome in outcomes]
    return as_text(name), as_text(table.database), as_text(table.state), numbers


def rejects_of(
    number: int, name: str, table: TableReport | CheckedTable, listed: Iterable[Listed], *, kept_in: str = ""
) -> Rejects:
    """Return the rejects of a table, or its rows at fault."""
    return Rejects(
        anchor=anchor_of(number, table),
        table=as_text(name),
        rejected=table.rejected,
        shares=shares_of(table.reasons, table.rejected),
        listed=tuple(listed),
        more=table.rejected - len(table.rejects),
        kept_in=as_text(kept_in) if kept_in else None,
    )


def shares_of(reasons: Mapping[str, int], rejected: int) -> tuple[Share, ...]:
    """Return how often each reason occurs, among a number of rejects."""
    return tuple(_share(reason, times, rejected) for reason, times in reasons.items())


def _share(reason: str, times: int, rejected: int) -> Share:
    percent = 100 * times / rejected
    return Share(as_text(reason), times, percent, f"{percent:.2f}")


def listed_reject(reject: Reject) -> Listed:
    """Return a reject of a load."""
    lines = f"line {reject.line}"
    if reject.line_end != reject.line:
        lines = f"lines {reject.line} to {reject.line_end}"
    return Listed(lines, as_text(reject.source), _fields(reject.record, reject.reasons), _messages(reject.reasons))


def listed_orphan(orphan: Orphan) -> Listed:
    """Return a row that references a row which does not exist."""
    return Listed("", as_text(orphan.key), _fields(orphan.record, orphan.reasons), _messages(orphan.reasons))


def _messages(reasons: Iterable[Reason]) -> tuple[Text, ...]:
    return tuple(as_text(reason.message) for reason in reasons)


def _fields(record: Mapping[str, Any], reasons: Iterable[Reason]) -> tuple[Field, ...]:
    """Return the first fields one by one, and all others as one text."""
    at_fault = {reason.column for reason in reasons}
    fields = list(record.items())
    if len(fields) > _FIELDS:
        rest = f"{len(fields) - _FIELDS:,} more fields"
        fields = [*fields[:_FIELDS], (rest, dict(fields[_FIELDS:]))]
    return tuple(Field(as_text(name), as_text(value), name in at_fault) for name, value in fields)
