"""What came of a share of a table's sources: a value that workers return and that the database keeps. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.ledger.counts import NAMES, NOTHING, Counts
from async_loader.ledger.report import INSERTED, LISTED, Accepted
from async_loader.tables import Table

# How values are read again that JSON keeps as text.
_FROM_TEXT: Mapping[Type, Callable[[str], Any]] = {
    Type.DECIMAL: Decimal,
    Type.DATE: date.fromisoformat,
    Type.DATETIME: datetime.fromisoformat,
    Type.TIME: time.fromisoformat,
    Type.DURATION: lambda text: timedelta(microseconds=int(text)),
    Type.BINARY: bytes.fromhex,
}
# What the ledger keeps of an outcome besides its counts.
_KEPT = ("reasons", "superseded", "ignored", "blank_lines", "commas", "refused")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a share. listed: of a small one, the accepted records. refused: of the keys that it was to watch,
    those that it did not accept. commas: as `comma_balance` counts them.

    accepted: where other tables reference this one, the keys of rows that are committed now, or would be by a dry run;
        those of shares before it are not among them. None where they are not known, as of a share that was loaded
        earlier.
    rejects: of a dry run alone, which stores nothing, by source.
    written: the keys of rows that were inserted or changed, where the run wants to know them.
    """

    counts: Counts = NOTHING
    reasons: Mapping[str, int] = field(default_factory=dict)
    superseded: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    blank_lines: int = 0
    commas: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[Any, ...] = ()
    listed: tuple[Accepted, ...] = ()
    accepted: pl.Series | None = None
    rejects: tuple[tuple[str, pl.DataFrame], ...] = ()
    written: pl.Series | None = None

    def as_json(self) -> str:
        """Return it as the ledger keeps it."""
        facts = self.counts.by_name() | {name: getattr(self, name) for name in _KEPT}
        listed = {"listed": [each.row for each in self.listed], "listed_as": [each.outcome for each in self.listed]}
        return json.dumps(facts | listed, default=_as_text)


def _as_text(value: Any) -> str:
    """Return a value that JSON lacks as text."""
    match value:
        case bytes():
            return value.hex()
        case timedelta():
            return str(value // timedelta(microseconds=1))
    return str(value)


def outcome_from(text: str, table: Table) -> Outcome:
    """Return what the ledger has kept of a share of a table."""
    facts = json.loads(text)
    return Outcome(
        # An earlier version did not count what is deleted.
        counts=Counts(**{name: facts.get(name, 0) for name in NAMES}),
        reasons=facts["reasons"],
        superseded=facts["superseded"],
        ignored=tuple(facts["ignored"]),
        blank_lines=int(facts.get("blank_lines") or 0),
        commas=facts.get("commas") or {},
        refused=tuple(facts["refused"]),
        listed=tuple(_listed(facts, table)),
    )


def _listed(facts: Mapping[str, Any], table: Table) -> Iterator[Accepted]:
    """Return the listed records. An earlier version kept no outcomes of them."""
    rows = facts["listed"]
    for outcome, row in zip(facts.get("listed_as", [INSERTED] * len(rows)), rows, strict=True):
        yield Accepted(outcome, tuple(map(_restored, row, table.columns)))


def _restored(value: Any, column: Column) -> Any:
    """Return the value that JSON keeps as text."""
    restore = _FROM_TEXT.get(column.type)
    return value if value is None or restore is None else restore(value)


def total(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the sum of outcomes; columns that the table does not have come in the order in which they were met."""
    reasons, superseded, commas = Counter[str](), Counter[str](), Counter[str]()
    for outcome in outcomes:
        reasons.update(outcome.reasons)
        superseded.update(outcome.superseded)
        commas.update(outcome.commas)
    return Outcome(
        counts=sum((outcome.counts for outcome in outcomes), NOTHING),
        reasons=reasons,
        superseded=superseded,
        ignored=tuple(dict.fromkeys(name for outcome in outcomes for name in outcome.ignored)),
        blank_lines=sum(outcome.blank_lines for outcome in outcomes),
        commas=commas,
        listed=tuple(row for outcome in outcomes for row in outcome.listed)[:LISTED],
    )
