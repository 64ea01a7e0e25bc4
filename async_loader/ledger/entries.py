"""Whether a run goes on where an earlier one stopped: a look at what `loader_runs` says of the tables. Pure.

An earlier run is gone on with if it was the last one to write these tables, had the same tables, sources and way to
treat conflicts, and is not complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

RUNNING, COMPLETE = "running", "complete"
# The mode of lines that tell of rejects that somebody discarded: no load, though they stand among them.
DISCARD = "discard"

# Among the facts of a run, says that it tried stored rejects again. The next retry finds what is left of them itself.
RETRY = "retry"

# Among the facts of a run that is spread over workers, the bytes of a source in one share; and, in the line of a table,
# the range of keys that it held when the run began with it.
SHARE_SIZE, KEY_RANGE = "share_size", "key_range"

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


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run to go on with, and what it has committed: by table, those that it had begun."""

    run: str
    started_at: str
    tables: Mapping[str, TableRun]

    def told(self, names: Sequence[str]) -> str:
        """One line that says so, about tables in this order."""
        parts = []
        for name in names:
            line = self.tables.get(name)
            if line is not None and line.state == COMPLETE:
                parts.append(f"{name} complete")
            elif line is not None and SHARE_SIZE in facts_of(line):
                parts.append(f"{name} where shares are missing")
            else:
                parts.append(f"{name} from record {(line.checkpoint if line else 0) + 1:,}")
        return f"resuming run {self.run}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Refused:
    """An unfinished run that is not gone on with, and why not."""

    run: str
    why: str

    def told(self) -> str:
        """One line that says so."""
        return f"not resuming run {self.run}: {self.why}; starting over"


def unfinished(facts: Facts, last: Mapping[str, TableRun]) -> Unfinished | Refused | None:
    """What to make of the last run of each table, by table name; `facts` are those of the run that is to begin."""
    if not last:
        return None
    run, started_at = max(((line.run, line.started_at) for line in last.values()), key=lambda each: (each[1], each[0]))
    tables = {name: line for name, line in last.items() if line.run == run}
    if any((line.finished_at or line.started_at) > started_at for line in last.values() if line.run != run):
        # Two runs took turns: neither is the last one.
        return None
    before = facts_of(next(iter(tables.values())))
    if RETRY in before or not isinstance(before.get("tables"), dict) or set(before["tables"]) != set(facts["tables"]):
        return None
    if set(tables) == set(facts["tables"]) and all(line.state == COMPLETE for line in tables.values()):
        return None
    difference = _difference(before, facts)
    return Unfinished(run, started_at, tables) if difference is None else Refused(run, difference)


def facts_of(line: TableRun) -> Facts:
    """What the line says of its run's sources; nothing where it is not as this version writes it."""
    try:
        facts = json.loads(line.sources)
    except (TypeError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _difference(before: Facts, now: Facts) -> str | None:
    if before.get("on_conflict") != now["on_conflict"]:
        return f"it was to treat conflicts as {before.get('on_conflict')}, not as {now['on_conflict']}"
    if before.get(SHARE_SIZE) != now.get(SHARE_SIZE):
        return f"{_manner(before)}, not {_manner(now)}"
    for table, sources in now["tables"].items():
        others = before["tables"][table]
        if len(others) != len(sources):
            return f"{table} had {len(others)} sources, not {len(sources)}"
        for old, new in zip(others, sources, strict=True):
            if (difference := _source_difference(table, old, new)) is not None:
                return difference
    return None


def _manner(facts: Facts) -> str:
    if SHARE_SIZE not in facts:
        return "it went on in one process"
    return f"it was spread over workers in shares of {facts[SHARE_SIZE]:,} bytes"


# How a person calls what tells that a source is the same.
_FACTS = {
    "modified": "time of change",
    "digest": "content",
    "names": "set of column names (--map)",
    "constants": "set of constants (--set)",
    "means_null": "spelling of null (--null)",
}


def _source_difference(table: str, old: Any, new: Any) -> str | None:
    if old is None or new is None:
        return f"{table} came from stdin or a pipe, which cannot be read again"
    if old == new:
        return None
    if old.get("path") != new["path"]:
        return f"{table} was read from {old.get('path')}, not from {new['path']}"
    changed = [name for name in new if old.get(name) != new[name]]
    return f"{new['path']} has another {' and '.join(_FACTS.get(name, name) for name in changed)} now"
