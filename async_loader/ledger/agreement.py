"""Whether what the databases hold agrees with what their ledgers say of it. Pure: what was read goes in, findings come
out.

A line of the ledger (`loader_runs`) is written in the transaction of the records that it speaks of. So its counts, the
rejects and the rows agree at every instant, whatever crashed, unless somebody else has written. What a crash does leave
is a run with tables that it never completed: it names all of its tables in each of its lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from async_loader.ledger.entries import COMPLETE, DISCARD, RUNNING, TableRun
from async_loader.ledger.layouts import removed_rejects
from async_loader.records.parsing import clipped

# What becomes of records: for each that was given, one of these.
OUTCOMES = ("inserted", "updated", "unchanged", "rejected")
COUNTS = ("given", *OUTCOMES, "checkpoint")

UNFINISHED, SUPERSEDED, UNKNOWN = "unfinished", "superseded", "unknown"

# What to do, by the code of what was found.
_ADVICE = {
    "unreadable": "this version did not write that: load the same sources again with --restart",
    "counts": "the ledger was changed since, or the loader is at fault: load the same sources again with --restart",
    "rejects": "they were deleted or added since: load the same sources again to record them under a new run",
    "rows": "rows were deleted since: if that was not meant, load the same sources again",
    "unfinished": "unless it is still at work, run the same command again to finish it, or anew with --restart",
}


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What one database holds, in one state of it.

    lines: of its ledger, in the order in which they were first written; values of any type, where others wrote them.
    rejects: how many, by run.
    rows: how many, by the declared tables that live there.
    """

    database: str
    lines: tuple[TableRun, ...]
    rejects: Mapping[str, int]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What does not agree, and what to do. `code` is unreadable, counts, rejects, rows or unfinished.

    `database` and `table` are None where it is about more than one.
    """

    code: str
    database: str | None
    table: str | None
    problem: str
    advice: str


@dataclass(frozen=True, slots=True)
class VerifiedTable:
    """One line of the ledger as stored, where a count that is no integer is text, and where it was found."""

    database: str
    state: str
    given: int | str
    inserted: int | str
    updated: int | str
    unchanged: int | str
    rejected: int | str
    checkpoint: int | str


@dataclass(frozen=True, slots=True)
class VerifiedRun:
    """One run with its lines by table. `started_at` is empty where no line says it.

    state: complete, unfinished, superseded (unfinished, but later runs have written what it left), or unknown where no
        line says which tables the run had.
    """

    run: str
    started_at: str
    state: str
    tables: dict[str, VerifiedTable]
    findings: tuple[Finding, ...]


# When a run began, and its id: the order of runs, which is that of resuming too.
_Place: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    """What all ledgers together say.

    stored: by database.
    latest: by table, the place of the last run that wrote it.
    left: by database and table, the run that last completed it.
    homes: by declared table, its database.
    """

    stored: Mapping[str, DatabaseState]
    latest: Mapping[str, _Place]
    left: Mapping[tuple[str, str], str]
    homes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Ran:
    """One run: its lines, each with the database that it was found in."""

    run: str
    lines: Sequence[tuple[str, TableRun]]

    @property
    def started_at(self) -> str:
        return min((str(line.started_at) for _, line in self.lines), default="")

    @property
    def place(self) -> _Place:
        return self.started_at, self.run


def verified(stored: Sequence[DatabaseState]) -> tuple[VerifiedRun, ...]:
    """Every run that a ledger or a reject names, the first one first."""
    lines: dict[str, list[tuple[str, TableRun]]] = {}
    for each in stored:
        for run in each.rejects:
            lines.setdefault(str(run), [])
        for line in each.lines:
            lines.setdefault(str(line.run), []).append((each.database, line))
    runs = sorted((_Ran(run, found) for run, found in lines.items()), key=lambda ran: ran.place)
    known = _known(stored, runs)
    return tuple(_verified(ran, known) for ran in runs)


def _known(stored: Sequence[DatabaseState], runs: Iterable[_Ran]) -> _Known:
    return _Known(
        stored={each.database: each for each in stored},
        latest={str(line.table_name): ran.place for ran in runs for _, line in ran.lines if line.mode != DISCARD},
        left={
            (each.database, str(line.table_name)): str(line.run)
            for each in stored
            for line in each.lines
            if line.state == COMPLETE and line.mode != DISCARD
        },
        homes={table: each.database for each in stored for table in each.rows},
    )


def _verified(ran: _Ran, known: _Known) -> VerifiedRun:
    progress = {name: _progress(ran, name) for name in _named(ran)}
    state = _state(ran, progress, known)
    findings = [finding for database, line in ran.lines for finding in _line_findings(database, line)]
    findings += _twice(ran)
    for each in known.stored.values():
        findings += _reject_findings(ran, each)
    findings += _row_findings(ran, known)
    if state == UNFINISHED:
        findings.append(_finding("unfinished", None, None, _how_far(progress, known)))
    tables = {str(line.table_name): _table(database, line) for database, line in ran.lines}
    return VerifiedRun(ran.run, ran.started_at, state, tables, tuple(findings))


def _finding(code: str, database: str | None, table: str | None, problem: str) -> Finding:
    return Finding(code, database, table, problem, _ADVICE[code])


def _table(database: str, line: TableRun) -> VerifiedTable:
    counts = {name: value if _is_count(value) else _shown(value) for name, value in _counts(line).items()}
    return VerifiedTable(database, str(line.state), **counts)


def _state(ran: _Ran, progress: Mapping[str, TableRun | None], known: _Known) -> str:
    if not progress:
        return UNKNOWN
    missing = [name for name, line in progress.items() if not _is_complete(line)]
    if not missing:
        return COMPLETE
    later = all(known.latest.get(name, ran.place) > ran.place for name in missing)
    return SUPERSEDED if later else UNFINISHED


def _named(ran: _Ran) -> list[str]:
    """The tables that the run was to write, as far as its lines say so, in its own order."""
    return list(dict.fromkeys(name for _, line in ran.lines for name in _tables(line.sources) or ()))


def _progress(ran: _Ran, name: str) -> TableRun | None:
    return next((line for _, line in ran.lines if line.table_name == name), None)


def _is_complete(line: TableRun | None) -> bool:
    return line is not None and line.state == COMPLETE


def _how_far(progress: Mapping[str, TableRun | None], known: _Known) -> str:
    parts = []
    for name, line in progress.items():
        where = f" (database {known.homes[name]})" if name in known.homes else ""
        parts.append(f"{clipped(name)}{where} {_reached(line)}")
    return f"unfinished: {', '.join(parts)}"


def _reached(line: TableRun | None) -> str:
    if line is None:
        return "not begun"
    if line.state == COMPLETE:
        return "complete"
    return f"up to record {line.checkpoint:,}" if _is_count(line.checkpoint) else "as far as nobody knows"


def _line_findings(database: str, line: TableRun) -> Iterator[Finding]:
    """What a line says for itself."""
    table = str(line.table_name)
    unreadable = list(_unreadable(line))
    for problem in unreadable:
        yield _finding("unreadable", database, table, problem)
    if not _is_readable(line):
        return
    outcomes = sum(getattr(line, name) for name in OUTCOMES)
    if line.given != outcomes:
        yield _finding("counts", database, table, f"{' + '.join(OUTCOMES)} is {outcomes:,}, but given {line.given:,}")
    if line.given != line.checkpoint:
        yield _finding("counts", database, table, f"checkpoint is {line.checkpoint:,}, but given {line.given:,}")


def _unreadable(line: TableRun) -> Iterator[str]:
    if line.state not in (RUNNING, COMPLETE):
        yield f"state is {_shown(line.state)}, not {RUNNING} or {COMPLETE}"
    for name, value in _counts(line).items():
        if not _is_count(value):
            yield f"{name} is {_shown(value)}, which counts nothing"
    named = _tables(line.sources)
    if named is None:
        yield f"sources is {_shown(line.sources)}, which does not say what the run reads"
    elif line.table_name not in named:
        yield "sources does not name the table"


def _twice(ran: _Ran) -> Iterator[Finding]:
    seen: set[str] = set()
    for database, line in ran.lines:
        name = str(line.table_name)
        if name in seen:
            yield _finding("unreadable", database, name, "there is more than one line of this run and table")
        seen.add(name)


def _reject_findings(ran: _Ran, here: DatabaseState) -> Iterator[Finding]:
    """The rejects of a database, which name no table: all tables of the run there have them together."""
    lines = [line for database, line in ran.lines if database == here.database]
    held = here.rejects.get(ran.run, 0)
    if not lines:
        if held:
            problem = f"loader_rejects has {held:,} of a run that has no line here"
            yield _finding("rejects", here.database, None, problem)
        return
    if not all(map(_is_readable, lines)):
        return
    rejected = sum(line.rejected for line in lines)
    gone = _removed(ran.run, here)
    if held != rejected - gone:
        later = f", and {gone:,} superseded or discarded since" if gone else ""
        problem = f"loader_rejects has {held:,} where {rejected:,} were rejected{later}"
        yield _finding("rejects", here.database, None, problem)


def _removed(run: str, here: DatabaseState) -> int:
    """How many of its rejects the lines of a database say to have superseded or discarded."""
    return sum(counts.get(run, 0) for line in here.lines for counts in removed_rejects(line).values())


def _row_findings(ran: _Ran, known: _Known) -> Iterator[Finding]:
    """Tables that have fewer rows than the last run to complete them has seen or made: each of a key of its own."""
    for database, line in ran.lines:
        name = str(line.table_name)
        rows = known.stored[database].rows.get(name)
        if rows is None or known.left.get((database, name)) != ran.run or not _is_readable(line):
            continue
        least = line.inserted + line.updated + line.unchanged
        if _is_complete(line) and rows < least:
            problem = f"{rows:,} rows where the run left {least:,} or more"
            yield _finding("rows", database, name, problem)


def _counts(line: TableRun) -> dict[str, Any]:
    return {name: getattr(line, name) for name in COUNTS}


def _is_readable(line: TableRun) -> bool:
    return all(map(_is_count, _counts(line).values()))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _shown(value: Any) -> str:
    return clipped(repr(value) if isinstance(value, str) else str(value))


def _tables(sources: Any) -> tuple[str, ...] | None:
    """The tables that a run reads, as a line of the ledger has them; None where that is none of ours."""
    try:
        facts = json.loads(sources)
    except (TypeError, ValueError, RecursionError):
        return None
    tables = facts.get("tables") if isinstance(facts, dict) else None
    if not isinstance(tables, dict) or not all(isinstance(each, list) for each in tables.values()):
        return None
    return tuple(tables)
