"""Stored rejects for a person to see: every run with what is stored of its rejects, and single rejects with their
records and reasons. Generators of effects, which read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from async_loader.effects import Steps
from async_loader.ledger.currency import replaced_lines
from async_loader.ledger.entries import DISCARD, DISCARDED, SUPERSEDED, TableRun, is_retry, removed_rejects
from async_loader.ledger.layouts import layouts_by_path
from async_loader.ledger.order import order_of_runs
from async_loader.ledger.reject_groups import RejectFilter, RejectRow, Selection, select
from async_loader.ledger.report import Reject, reasons_of, reject_of
from async_loader.records.reasons import commonest_first
from async_loader.rejects.selection import Survey, check_run, find_selections, survey, take_pages
from async_loader.run.inspection import Inspection
from async_loader.stores import reject_queries
from async_loader.stores.store import Store
from async_loader.table_order import databases_in_reading_order


@dataclass(frozen=True, slots=True)
class StoredReject:
    """A reject as a database holds it. `name` identifies it; `table` is None where it is not known, and `tables` are
    those that it may be of. `made_good_by` is the last run that has accepted a record under its key, if any.
    """

    name: str
    database: str
    table: str | None
    tables: tuple[str, ...]
    run: str
    reject: Reject
    made_good_by: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "reject": self.name,
            "database": self.database,
            "table": self.table,
            "tables": list(self.tables),
            "run": self.run,
            "source": self.reject.source,
            "line": self.reject.line,
            "line_end": self.reject.line_end,
            "record": self.reject.record,
            "reasons": [asdict(reason) for reason in self.reject.reasons],
            "made_good_by": self.made_good_by,
        }


@dataclass(frozen=True, slots=True)
class TableRejects:
    """How many records a run rejected of one table, and how many of these rejects are still stored.

    table: None for rejects whose table is not known; `tables` are those that they may be of.
    mode, state: as the ledger has them; empty where it does not say.
    reasons: of the stored ones, by `column.code`, or `code` where the whole record is at fault.
    made_good: by later run, of how many of the stored ones it has accepted a record under their key.
    superseded, discarded: by run, how many earlier rejects the run superseded, and how many it discarded.
    """

    database: str
    table: str | None
    tables: tuple[str, ...]
    mode: str
    state: str
    sources: tuple[str, ...]
    rejected: int
    stored: int
    reasons: dict[str, int]
    made_good: dict[str, int]
    superseded: dict[str, int]
    discarded: dict[str, int]


@dataclass(frozen=True, slots=True)
class RejectingRun:
    """One run. `kind` is load, retry, discard, or unknown, with an empty `started_at`, where no ledger has a line."""

    run: str
    started_at: str
    kind: str
    tables: tuple[TableRejects, ...]


class _Place(NamedTuple):
    """The rejects of a run in one table; of those whose table is not known, `candidates` are the tables it may be."""

    database: str
    run: str
    table: str | None
    candidates: tuple[str, ...]


@dataclass(slots=True)
class _Counts:
    """How many rejects are stored, how many of them have which reason, and how many which run has made good."""

    stored: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    made_good: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Counts) -> None:
        self.stored += other.stored
        self.reasons.update(other.reasons)
        self.made_good.update(other.made_good)

    def take(self, _: Selection, rows: Sequence[RejectRow]) -> bool:
        """Count rows, and want more."""
        self.stored += len(rows)
        self.reasons.update(reason.name for row in rows for reason in reasons_of(row.reasons))
        self.made_good.update(row.made_good_by for row in rows if row.made_good_by is not None)
        return True


def list_runs(inspection: Inspection, wanted: str | None = None) -> Steps[tuple[RejectingRun, ...]]:
    """Return the current runs that a ledger or a reject names, the newest last; `wanted`: the run of this id.

    A run is not current where later ones have loaded the same contents, and none of its rejects is stored any more.
    ConfigurationError for a run that there is not.
    """
    surveyed = yield from survey(inspection)
    if wanted is not None:
        check_run(surveyed, wanted)
    runs = yield from _all_runs(surveyed)
    replaced = {name: replaced_lines(lines) for name, lines in surveyed.lines.items()}
    return tuple(run for run in runs if wanted == run.run or (wanted is None and _is_current(run, replaced)))


def _is_current(run: RejectingRun, replaced: Mapping[str, Collection[tuple[str, str]]]) -> bool:
    return any(table.stored or (run.run, table.table) not in replaced[table.database] for table in run.tables)


def _all_runs(surveyed: Survey) -> Steps[tuple[RejectingRun, ...]]:
    """Return every run that a ledger or a reject names, the newest last."""
    counts = yield from _counts(surveyed)
    lines: dict[str, list[TableRun]] = {}
    tables: dict[str, list[TableRejects]] = {}
    for database in databases_in_reading_order(surveyed.inspection.tables):
        for line in surveyed.lines[database]:
            run = str(line.run)
            lines.setdefault(run, []).append(line)
            stored = counts.pop(_Place(database, run, str(line.table_name), ()), _Counts())
            tables.setdefault(run, []).append(_rejects_of_line(database, line, stored))
    for place, stored in counts.items():
        tables.setdefault(place.run, []).append(_rejects_without_line(place, stored))
    ordered = order_of_runs(surveyed.lines.values())
    without_lines = sorted(set(tables) - set(ordered))
    return tuple(_rejecting_run(run, lines.get(run, []), tables[run]) for run in (*without_lines, *ordered))


def show(inspection: Inspection, wanted: RejectFilter, take: Callable[[Sequence[StoredReject]], bool]) -> Steps[None]:
    """Hand over the rejects that the filter selects, a page at a time, until `take` wants no more."""
    selections = yield from find_selections(inspection, wanted)
    yield from take_pages(
        inspection, selections, lambda selection, rows: take([_stored_reject(selection, row) for row in rows])
    )


def _stored_reject(selection: Selection, row: RejectRow) -> StoredReject:
    group = selection.group
    reject = reject_of(group.path, row.line, row.line_end, row.record, row.reasons)
    tables = tuple(group.tables)
    return StoredReject(row.name, group.database, selection.table, tables, group.run, reject, row.made_good_by)


def _counts(surveyed: Survey) -> Steps[dict[_Place, _Counts]]:
    """Count what is stored. Databases count whole groups; only where a group may be of several tables is each of its
    rejects looked at, to find its table.
    """
    inspection = surveyed.inspection
    reasons = yield from _by_group(inspection, reject_queries.reason_counts)
    made_good = yield from _by_group(inspection, reject_queries.good_counts)
    counts: dict[_Place, _Counts] = {}
    for selection in select(surveyed.groups, {table.name: table for table in inspection.tables}, RejectFilter()):
        group = selection.group
        if group.is_of_one_table:
            key = (group.database, group.run, group.path)
            stored = _Counts(group.count, reasons.get(key, Counter()), made_good.get(key, Counter()))
        else:
            stored = _Counts()
            yield from take_pages(inspection, [selection], stored.take)
        if stored.stored:
            counts.setdefault(_place(selection), _Counts()).add(stored)
    return counts


def _by_group(
    inspection: Inspection, asked: Callable[[Store], Steps[list[tuple[str, str, str, int]]]]
) -> Steps[dict[tuple[str, str, str], Counter[str]]]:
    """Return counts that databases give, of reasons or of runs, by database, run and path."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for database in databases_in_reading_order(inspection.tables):
        for run, path, name, number in (yield from asked(inspection.databases[database])):
            counts.setdefault((database, run, path), Counter())[name] += number
    return counts


def _place(selection: Selection) -> _Place:
    group = selection.group
    return _Place(group.database, group.run, selection.table, () if selection.table else tuple(group.tables))


def _rejects_of_line(database: str, line: TableRun, stored: _Counts) -> TableRejects:
    removed = removed_rejects(line)
    return TableRejects(
        database=database,
        table=str(line.table_name),
        tables=(),
        mode=str(line.mode),
        state=str(line.state),
        sources=tuple(layouts_by_path(line)),
        rejected=line.counts.rejected,
        stored=stored.stored,
        reasons=commonest_first(stored.reasons),
        made_good=dict(stored.made_good),
        superseded=removed[SUPERSEDED],
        discarded=removed[DISCARDED],
    )


def _rejects_without_line(place: _Place, stored: _Counts) -> TableRejects:
    """Describe rejects that no line of the ledger counts for a table."""
    return TableRejects(
        database=place.database,
        table=place.table,
        tables=place.candidates,
        mode="",
        state="",
        sources=(),
        rejected=stored.stored,
        stored=stored.stored,
        reasons=commonest_first(stored.reasons),
        made_good=dict(stored.made_good),
        superseded={},
        discarded={},
    )


def _rejecting_run(run: str, lines: Sequence[TableRun], tables: Sequence[TableRejects]) -> RejectingRun:
    began = min((str(line.started_at) for line in lines), default="")
    return RejectingRun(run, began, _kind(lines), tuple(tables))


def _kind(lines: Sequence[TableRun]) -> str:
    """Return what kind of run the lines are of, as a RejectingRun calls it."""
    if not lines:
        return "unknown"
    if all(line.mode == DISCARD for line in lines):
        return "discard"
    return "retry" if any(map(is_retry, lines)) else "load"
