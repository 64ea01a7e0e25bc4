"""A line of `loader_runs`, and the JSON in its column `sources`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

import polars as pl

from async_loader.ledger.counts import NAMES, Counts, is_count
from async_loader.ledger.positions import positions_of_text

RUNNING, COMPLETE = "running", "complete"
# The mode of lines that record which rejects were discarded. They are no load, though they stand among loads.
DISCARD = "discard"

# Keys in the facts of a run, which are the JSON of the column `sources`; see `Facts`.
# The run tried stored rejects again. The next retry finds for itself what is left of them.
RETRY = "retry"

# Of a run that is spread over workers: the bytes of a source in one share; and, in the line of a table, the range of
# keys that it held when the run began with it.
SHARE_SIZE, KEY_RANGE = "share_size", "key_range"

# By table, the run that had last written it when this one began. So it can be seen, without a clock, whether another
# run has since written a table that this one has not begun with.
PREVIOUS = "previous"

# The run's id by which the process began that carries it out: another one than the run's own where it resumes that.
PROCESS = "process"

# Of a line: by earlier run, how many of its rejects the line says were superseded or discarded.
SUPERSEDED, DISCARDED = "superseded", "discarded"

# Of the line of a table that references itself: which records up to the checkpoint wait for others, uncounted.
WAITING = "waiting"

# Of a run: by table of which the rows are deleted that no record names, the mark that they get instead, or nothing. Of
# the line of such a table: how many rows it had before the run, and what was not deleted.
DELETE_MISSING, MISSING = "delete_missing", "missing"

_RUN_ID = re.compile(r"[0-9a-f]{32}")

# What a run reads, as `loader_runs` keeps it: `on_conflict`, and by table in `tables` the identities of its sources.
Facts: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableRun:
    """A line of `loader_runs`: how far a run has come with one table. `checkpoint` is in records of its sources."""

    run: str
    table_name: str
    mode: str
    sources: str
    state: str
    counts: Counts
    checkpoint: int
    started_at: str
    finished_at: str | None

    # The columns of the table, in the order of `from_row`.
    COLUMNS: ClassVar[tuple[str, ...]] = (
        *("run", "table_name", "mode", "sources", "state"),
        *NAMES,
        *("checkpoint", "started_at", "finished_at"),
    )

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> TableRun:
        """Return the line that a row holds; values may be of any type, where another program wrote it."""
        values = dict(zip(cls.COLUMNS, row, strict=True))
        counts = Counts(**{name: values.pop(name) for name in NAMES})
        return cls(counts=counts, **values)

    def as_row(self) -> dict[str, Any]:
        """Return the values by column."""
        counts = self.counts.by_name()
        return {name: counts[name] if name in counts else getattr(self, name) for name in self.COLUMNS}


def facts_of(line: TableRun) -> Facts:
    """Return the facts that the line keeps of its run; none where they are not as this version writes them."""
    try:
        facts = json.loads(line.sources)
    except (TypeError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def is_run_id(text: str) -> bool:
    """Return whether a run can be called so: only such a name is taken from a ledger into a path."""
    return _RUN_ID.fullmatch(text) is not None


def is_instant(text: Any) -> bool:
    """Return whether a time stands there as a run writes it: with its offset from UTC."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


def previous_runs(line: TableRun) -> dict[str, Any] | None:
    """Return by table the run that had last written it when the line's run began; None where the line is older."""
    previous = facts_of(line).get(PREVIOUS)
    return previous if isinstance(previous, dict) else None


def is_retry(line: TableRun) -> bool:
    """Return whether the line is of a run that tried stored rejects again."""
    return facts_of(line).get(RETRY) is True


def removed_rejects(line: TableRun) -> dict[str, dict[str, int]]:
    """Return under SUPERSEDED and under DISCARDED how many rejects the line says it removed, by the run that had stored
    them.
    """
    facts = facts_of(line)
    return {kind: _positive_counts(facts.get(kind)) for kind in (SUPERSEDED, DISCARDED)}


def waiting_positions(line: TableRun) -> pl.Series | None:
    """Return the positions of records that had been read at the line's checkpoint and waited; None where none did."""
    return positions_of_text(facts_of(line).get(WAITING))


def missing_rows(line: TableRun) -> tuple[int | None, int, str | None]:
    """Return how many rows a table had before the run, where that was counted; how many rows that no record named were
    kept because others name them; and why none was deleted, if that is so.
    """
    facts = facts_of(line).get(MISSING)
    if not isinstance(facts, dict):
        return None, 0, None
    rows, referenced, why = (facts.get(name) for name in ("rows", "referenced", "not_deleted"))
    return _count_or(None, rows), _count_or(0, referenced) or 0, None if why is None else str(why)


def _count_or(otherwise: int | None, value: Any) -> int | None:
    return value if is_count(value) else otherwise


def _positive_counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {run: count for run, count in value.items() if is_count(count) and count}
