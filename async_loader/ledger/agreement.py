"""Whether what the databases hold agrees with what their ledgers say. Pure: contents go in, findings come out.

A line of the ledger (`loader_runs`) is written in the transaction of the records that it speaks of. So its counts, the
rejects and the rows agree at every instant, whatever crashed, unless another program has written. A crash may leave a
run with tables that it never completed: such a run is found because each of its lines names all of its tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from async_loader.ledger.counts import OUTCOMES, Counts, HasCounts, is_count
from async_loader.ledger.entries import (
    COMPLETE,
    DISCARD,
    RUNNING,
    TableRun,
    missing_rows,
    previous_runs,
    removed_rejects,
    waiting_positions,
)
from async_loader.ledger.layouts import identities, layouts_by_path
from async_loader.ledger.order import order_of_runs
from async_loader.records.parsing import clipped

UNFINISHED, SUPERSEDED, UNKNOWN = "unfinished", "superseded", "unknown"

# What to do, by the code of a finding.
_ADVICE = {
    "unreadable": "this version did not write that: load the same sources again with --restart",
    "counts": "the ledger was changed since, or the loader is at fault: load the same sources again with --restart",
    "rejects": "they were deleted or added since: load the same sources again to record them under a new run",
    "rows": "rows were deleted since: if that was not meant, load the same sources again",
    "unfinished": "unless it is still at work, run the same command again to finish it, or anew with --restart",
}
# Of an unfinished run whose records would be appended twice if it began anew, and of those that cannot be resumed.
_FINISH = "unless it is still at work, run the same command again to finish it"
_LOAD_AGAIN = "unless it is still at work, load all of its sources again: stdin and pipes are not resumed"
_LOAD_REST = "unless it is still at work, load what is missing: stdin and pipes are not resumed"


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What one database holds, in one state of it.

    lines: of its ledger, in the order in which they were first written; values of any type, where another program wrote
        them.
    rejects: how many, by run.
    rows: how many, by the declared tables that live there.
    """

    database: str
    lines: tuple[TableRun, ...]
    rejects: Mapping[str, int]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """A disagreement, and what to do about it. `code` is unreadable, counts, rejects, rows or unfinished.

    `database` and `table` are None where it is about more than one.
    """

    code: str
    database: str | None
    table: str | None
    problem: str
    advice: str


@dataclass(frozen=True, slots=True)
class VerifiedTable(HasCounts):
    """One line of the ledger as stored, where a count that is no integer is text, and where it was found.

    referenced: how many rows that no record named were kept, because other rows reference them.
    """

    database: str
    state: str
    counts: Counts
    checkpoint: int | str
    referenced: int = 0


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


@dataclass(frozen=True, slots=True)
class _Ledgers:
    """All ledgers together.

    databases: by name.
    writers: by table, the runs that wrote it, the last one last.
    completed: by database and table, the run that last completed it.
    homes: by declared table, its database.
    order: by run, its place among all runs.
    """

    databases: Mapping[str, DatabaseState]
    writers: Mapping[str, Sequence[str]]
    completed: Mapping[tuple[str, str], str]
    homes: Mapping[str, str]
    order: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: its lines, each with the database that it stands in."""

    id: str
    lines: Sequence[tuple[str, TableRun]]

    @property
    def started_at(self) -> str:
        return min((str(line.started_at) for _, line in self.lines), default="")

    @property
    def tables(self) -> list[str]:
        """The tables that the run was to write, as far as its lines say so, in its own order."""
        return list(dict.fromkeys(name for _, line in self.lines for name in _tables(line.sources) or ()))

    def line_of(self, table: str) -> TableRun | None:
        return next((line for _, line in self.lines if line.table_name == table), None)


def verify_ledgers(databases: Sequence[DatabaseState]) -> tuple[VerifiedRun, ...]:
    """Verify every run that a ledger or a reject names, the first one first; of which only rejects are there, before
    all others.
    """
    ordered = order_of_runs(database.lines for database in databases)
    without_lines = sorted({str(run) for database in databases for run in database.rejects} - set(ordered))
    lines: dict[str, list[tuple[str, TableRun]]] = {run: [] for run in (*without_lines, *ordered)}
    for database in databases:
        for line in database.lines:
            lines[str(line.run)].append((database.database, line))
    ledgers = _ledgers(databases, {run: place for place, run in enumerate(ordered)})
    return tuple(_verify_run(_Run(run, several), ledgers) for run, several in lines.items())


def _ledgers(databases: Sequence[DatabaseState], order: Mapping[str, int]) -> _Ledgers:
    loads = [(database.database, line) for database in databases for line in database.lines if line.mode != DISCARD]
    writers: dict[str, list[str]] = {}
    for _, line in loads:
        writers.setdefault(str(line.table_name), []).append(str(line.run))
    return _Ledgers(
        databases={database.database: database for database in databases},
        writers=writers,
        completed={
            (database, str(line.table_name)): str(line.run) for database, line in loads if line.state == COMPLETE
        },
        homes={table: database.database for database in databases for table in database.rows},
        order=order,
    )


def _verify_run(run: _Run, ledgers: _Ledgers) -> VerifiedRun:
    state = _state(run, ledgers)
    findings = [finding for database, line in run.lines for finding in _line_findings(database, line)]
    findings += _repeated_line_findings(run)
    for database in ledgers.databases.values():
        findings += _reject_findings(run, database)
    findings += _row_findings(run, ledgers)
    if state == UNFINISHED:
        problem = _unfinished_in_words(run, ledgers)
        findings.append(Finding("unfinished", None, None, problem, _advice_on_unfinished(run)))
    tables = {str(line.table_name): _verified_table(database, line) for database, line in run.lines}
    return VerifiedRun(run.id, run.started_at, state, tables, tuple(findings))


def _finding(code: str, database: str | None, table: str | None, problem: str) -> Finding:
    return Finding(code, database, table, problem, _ADVICE[code])


def _verified_table(database: str, line: TableRun) -> VerifiedTable:
    values = _numbers(line).items()
    shown: dict[str, Any] = {name: value if is_count(value) else _shown(value) for name, value in values}
    checkpoint = shown.pop("checkpoint")
    _, referenced, _ = missing_rows(line)
    return VerifiedTable(database, str(line.state), Counts(**shown), checkpoint, referenced)


def _state(run: _Run, ledgers: _Ledgers) -> str:
    if not run.tables:
        return UNKNOWN
    incomplete = [name for name in run.tables if not _is_complete(run.line_of(name))]
    if not incomplete:
        return COMPLETE
    return SUPERSEDED if all(_is_written_later(run, name, ledgers) for name in incomplete) else UNFINISHED


def _is_written_later(run: _Run, table: str, ledgers: _Ledgers) -> bool:
    """Return whether another run has written the table since this one did, or, where it did not, since it began."""
    writers = ledgers.writers.get(table, ())
    if not writers or writers[-1] == run.id:
        return False
    if run.id in writers:
        return True
    previous = next((previous_runs(line) for _, line in run.lines), None)
    if previous is None:
        # An older version kept nothing about tables that it had not begun with.
        return ledgers.order[writers[-1]] > ledgers.order[run.id]
    before = previous.get(table)
    return before is None or (before in writers and writers[-1] != before)


def _is_complete(line: TableRun | None) -> bool:
    return line is not None and line.state == COMPLETE


def _unfinished_in_words(run: _Run, ledgers: _Ledgers) -> str:
    """Return how far the run has come with each of its tables."""
    parts = []
    for name in run.tables:
        where = f" (database {ledgers.homes[name]})" if name in ledgers.homes else ""
        parts.append(f"{clipped(name)}{where} {_progress_in_words(run.line_of(name))}")
    return f"unfinished: {', '.join(parts)}"


def _advice_on_unfinished(run: _Run) -> str:
    layouts = (layout for _, line in run.lines for several in layouts_by_path(line).values() for layout in several)
    appends = any(layout.append for layout in layouts)
    if any(source is None for _, line in run.lines for source in identities(line)):
        return _LOAD_REST if appends else _LOAD_AGAIN
    return _FINISH if appends else _ADVICE["unfinished"]


def _progress_in_words(line: TableRun | None) -> str:
    if line is None:
        return "not begun"
    if line.state == COMPLETE:
        return "complete"
    return f"up to record {line.checkpoint:,}" if is_count(line.checkpoint) else "up to an unknown record"


def _line_findings(database: str, line: TableRun) -> Iterator[Finding]:
    """Return what is wrong with a line by itself."""
    table = str(line.table_name)
    for problem in _unreadable_parts(line):
        yield _finding("unreadable", database, table, problem)
    if not _is_readable(line):
        return
    counts = line.counts
    if not counts.are_whole:
        sum_of_outcomes = f"{' + '.join(OUTCOMES)} is {counts.outcomes:,}"
        yield _finding("counts", database, table, f"{sum_of_outcomes}, but given {counts.given:,}")
    waiting = waiting_positions(line)
    if counts.given + (0 if waiting is None else len(waiting)) != line.checkpoint:
        yield _finding("counts", database, table, f"checkpoint is {line.checkpoint:,}, but given {counts.given:,}")


def _unreadable_parts(line: TableRun) -> Iterator[str]:
    if line.state not in (RUNNING, COMPLETE):
        yield f"state is {_shown(line.state)}, not {RUNNING} or {COMPLETE}"
    for name, value in _numbers(line).items():
        if not is_count(value):
            yield f"{name} is {_shown(value)}, which is no count"
    tables = _tables(line.sources)
    if tables is None:
        yield f"sources is {_shown(line.sources)}, which does not say what the run reads"
    elif line.table_name not in tables:
        yield "sources does not name the table"


def _repeated_line_findings(run: _Run) -> Iterator[Finding]:
    seen: set[str] = set()
    for database, line in run.lines:
        name = str(line.table_name)
        if name in seen:
            yield _finding("unreadable", database, name, "there is more than one line of this run and table")
        seen.add(name)


def _reject_findings(run: _Run, here: DatabaseState) -> Iterator[Finding]:
    """Compare the rejects that a database holds of a run with its lines there: a reject names no table, so the lines of
    all tables are added up.
    """
    lines = [line for database, line in run.lines if database == here.database]
    stored = here.rejects.get(run.id, 0)
    if not lines:
        if stored:
            problem = f"loader_rejects has {stored:,} of a run that has no line here"
            yield _finding("rejects", here.database, None, problem)
        return
    if not all(map(_is_readable, lines)):
        return
    rejected = sum(line.counts.rejected for line in lines)
    removed = _count_removed(run.id, here)
    if stored != rejected - removed:
        since = f", and {removed:,} superseded or discarded since" if removed else ""
        problem = f"loader_rejects has {stored:,} where {rejected:,} were rejected{since}"
        yield _finding("rejects", here.database, None, problem)


def _count_removed(run: str, here: DatabaseState) -> int:
    """Return how many of the run's rejects the lines of a database say they superseded or discarded."""
    return sum(counts.get(run, 0) for line in here.lines for counts in removed_rejects(line).values())


def _row_findings(run: _Run, ledgers: _Ledgers) -> Iterator[Finding]:
    """Find tables with fewer rows than the last run to complete them has met or made: each has a key of its own."""
    for database, line in run.lines:
        name = str(line.table_name)
        rows = ledgers.databases[database].rows.get(name)
        if rows is None or ledgers.completed.get((database, name)) != run.id or not _is_readable(line):
            continue
        least = line.counts.stored
        if _is_complete(line) and rows < least:
            problem = f"{rows:,} rows where the run left {least:,} or more"
            yield _finding("rows", database, name, problem)


def _numbers(line: TableRun) -> dict[str, Any]:
    return line.counts.by_name() | {"checkpoint": line.checkpoint}


def _is_readable(line: TableRun) -> bool:
    return line.counts.are_readable and is_count(line.checkpoint)


def _shown(value: Any) -> str:
    return clipped(repr(value) if isinstance(value, str) else str(value))


def _tables(sources: Any) -> tuple[str, ...] | None:
    """Return the tables that a run reads, as a line of the ledger has them; None where the loader did not write it."""
    try:
        facts = json.loads(sources)
    except (TypeError, ValueError, RecursionError):
        return None
    tables = facts.get("tables") if isinstance(facts, dict) else None
    if not isinstance(tables, dict) or not all(isinstance(each, list) for each in tables.values()):
        return None
    return tuple(tables)
