"""A line of `loader_runs`, and the JSON in its column `sources`. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

RUNNING, COMPLETE = "running", "complete"
# The mode of lines that record which rejects were discarded. They are no load, though they stand among loads.
DISCARD = "discard"

# Among the facts of a run: it tried stored rejects again. The next retry finds for itself what is left of them.
RETRY = "retry"

# Among the facts of a run that is spread over workers: the bytes of a source in one share; and, in the line of a table,
# the range of keys that it held when the run began with it.
SHARE_SIZE, KEY_RANGE = "share_size", "key_range"

# Among the facts of a line: of which earlier runs it superseded or discarded how many rejects.
SUPERSEDED, DISCARDED = "superseded", "discarded"

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
    given: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    checkpoint: int
    started_at: str
    finished_at: str | None


def facts_of(line: TableRun) -> Facts:
    """Return the facts that the line keeps of its run; none where they are not as this version writes them."""
    try:
        facts = json.loads(line.sources)
    except (TypeError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def is_retry(line: TableRun) -> bool:
    """Return whether the line is of a run that tried stored rejects again."""
    return facts_of(line).get(RETRY) is True


def removed_rejects(line: TableRun) -> dict[str, dict[str, int]]:
    """Return under SUPERSEDED and under DISCARDED how many rejects the line says it removed, by the run that had stored
    them.
    """
    facts = facts_of(line)
    return {kind: _positive_counts(facts.get(kind)) for kind in (SUPERSEDED, DISCARDED)}


def _positive_counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {run: count for run, count in value.items() if type(count) is int and count > 0}
