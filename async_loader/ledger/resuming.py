"""Whether a run resumes an earlier one, decided from what `loader_runs` says of the tables. Pure.

An earlier run is resumed if it was the last one to write these tables, had the same tables, sources and way to treat
conflicts, and is not complete. No clock is asked which run was the last: see `order`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from async_loader.ledger.entries import (
    COMPLETE,
    DELETE_MISSING,
    RETRY,
    SHARE_SIZE,
    Facts,
    TableRun,
    facts_of,
    is_instant,
    is_run_id,
    previous_runs,
)
from async_loader.records.parsing import clipped


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run to resume, and what it has committed: by table name, the lines of the tables that it had begun."""

    run: str
    started_at: str
    tables: Mapping[str, TableRun]

    def message(self, names: Sequence[str]) -> str:
        """Return one line that says where the run is resumed, about tables in this order."""
        return f"resuming run {self.run}: {', '.join(map(self._where, names))}"

    def _where(self, name: str) -> str:
        line = self.tables.get(name)
        if line is None:
            return f"{name} from record 1"
        if line.state == COMPLETE:
            return f"{name} complete"
        if SHARE_SIZE in facts_of(line):
            return f"{name} where shares are missing"
        return f"{name} from record {line.checkpoint + 1:,}"


@dataclass(frozen=True, slots=True)
class NotResumable:
    """An unfinished run that is not resumed, and why not."""

    run: str
    why: str

    @property
    def message(self) -> str:
        """One line that says so."""
        return f"not resuming run {self.run}: {self.why}; starting over"


def run_to_resume(facts: Facts, last: Mapping[str, TableRun]) -> UnfinishedRun | NotResumable | None:
    """Decide which earlier run to resume, if any.

    facts: those of the run that is to begin. last: by table name, the line of the last run that wrote the table.
    """
    for line in {line.run: line for line in last.values()}.values():
        if _is_last(line, last):
            return _judge(facts, line, {name: other for name, other in last.items() if other.run == line.run})
    return None


def _is_last(line: TableRun, last: Mapping[str, TableRun]) -> bool:
    """Return whether no other run has written any of the tables since the line's run began.

    A table that it has not begun with was last written by the same run as when it began. Counters of two databases say
    nothing about each other, and clocks lie, so it keeps which run that was.
    """
    previous = previous_runs(line) or {}
    return all(other.run in (line.run, previous.get(name)) for name, other in last.items())


def _judge(facts: Facts, line: TableRun, tables: Mapping[str, TableRun]) -> UnfinishedRun | NotResumable | None:
    """Decide whether the last run is resumed: it is that of the line, and has begun with these tables."""
    before = facts_of(line)
    if RETRY in before or not isinstance(before.get("tables"), dict) or set(before["tables"]) != set(facts["tables"]):
        return None
    if set(tables) == set(facts["tables"]) and all(each.state == COMPLETE for each in tables.values()):
        return None
    if not is_run_id(line.run):
        return NotResumable(clipped(repr(line.run)), "that is no name which a run is given")
    if not is_instant(line.started_at):
        return NotResumable(line.run, f"{clipped(repr(line.started_at))} is no time at which it began")
    difference = _difference(before, facts)
    return (
        UnfinishedRun(line.run, line.started_at, tables) if difference is None else NotResumable(line.run, difference)
    )


def _difference(before: Facts, now: Facts) -> str | None:
    """Return what makes the two runs different loads; None where nothing does."""
    if before.get("on_conflict") != now["on_conflict"]:
        return f"it was to treat conflicts as {before.get('on_conflict')}, not as {now['on_conflict']}"
    if before.get(DELETE_MISSING) != now.get(DELETE_MISSING):
        return f"it was to delete {_missing(before)}, not {_missing(now)}"
    if before.get(SHARE_SIZE) != now.get(SHARE_SIZE):
        return f"{_regime(before)}, not {_regime(now)}"
    for table, sources in now["tables"].items():
        others = before["tables"][table]
        if len(others) != len(sources):
            return f"{table} had {len(others)} sources, not {len(sources)}"
        for old, new in zip(others, sources, strict=True):
            if (difference := _source_difference(table, old, new)) is not None:
                return difference
    return None


def _regime(facts: Facts) -> str:
    """Return how the run was carried out, in words."""
    if SHARE_SIZE not in facts:
        return "it went on in one process"
    return f"it was spread over workers in shares of {facts[SHARE_SIZE]:,} bytes"


def _missing(facts: Facts) -> str:
    """Return which rows a run was to delete because no record names them, in words."""
    asked = facts.get(DELETE_MISSING)
    listed = [f"{name}:{mark}" if mark else name for name, mark in asked.items()] if isinstance(asked, dict) else []
    return f"the missing rows of {', '.join(listed)}" if listed else "nothing"


# The parts of a source's identity, as a person calls them.
_IDENTITY_PARTS = {
    "modified": "time of change",
    "digest": "content",
    "names": "set of column names (--map)",
    "constants": "set of constants (--set)",
    "means_null": "spelling of null (--null)",
    "ignore": "set of ignored columns (--ignore)",
    "separators": "separator of values (--separator)",
}


def _source_difference(table: str, old: Any, new: Any) -> str | None:
    if old is None or new is None:
        return f"{table} came from stdin, a pipe or a program, which cannot be read again"
    if old == new:
        return None
    if old.get("path") != new["path"]:
        return f"{table} was read from {old.get('path')}, not from {new['path']}"
    changed = [name for name in dict.fromkeys([*new, *old]) if old.get(name) != new.get(name)]
    return f"{new['path']} has another {' and '.join(_IDENTITY_PARTS.get(name, name) for name in changed)} now"
