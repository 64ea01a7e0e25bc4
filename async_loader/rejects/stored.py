"""What is done with stored rejects: listed, shown, exported, discarded, and read to be tried again. Generators of
effects; nothing but a discard writes to any database.

However many there are, they pass by in parts. Whoever wants them gives a function that takes each part.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from async_loader.effects import Call, Complete, Connect, Now, Steps
from async_loader.errors import ConfigurationError
from async_loader.ledger.entries import COMPLETE, DISCARD, TableRun
from async_loader.ledger.layouts import (
    DISCARDED,
    READ,
    SUPERSEDED,
    Layout,
    Origin,
    RejectFilter,
    RejectRow,
    Selection,
    is_retry,
    origin_of,
    reject_name,
    removed_rejects,
    selections,
    source_paths,
)
from async_loader.ledger.report import Reason, Reject, plain_json
from async_loader.loading.retrying import part
from async_loader.records.reasons import commonest_first
from async_loader.run.inspection import Inspection, hold_all, open_databases
from async_loader.sources.stored_rejects import as_written
from async_loader.stores import stored_rejects
from async_loader.stores.store import Store
from async_loader.tables import Table, databases_in_commit_order

if TYPE_CHECKING:
    from async_loader.rejects.files import ExportedFiles

# By the suffix of a file, the kind of the sources whose rejects it can hold.
_KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet"}


@dataclass(frozen=True, slots=True)
class StoredReject:
    """A reject as a database holds it. `name` tells it from all others; `table` is None where nobody can tell it, and
    `tables` those that it may be of.
    """

    name: str
    database: str
    table: str | None
    tables: tuple[str, ...]
    run: str
    reject: Reject

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        reasons = [
            {"code": reason.code, "column": reason.column, "message": reason.message} for reason in self.reject.reasons
        ]
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
            "reasons": reasons,
        }


@dataclass(frozen=True, slots=True)
class TableRejects:
    """What a run rejected of one table, and what is still stored of that.

    table: None for rejects of which nobody can tell the table; `tables` are those that they may be of.
    mode, state: as the ledger has them; empty where it does not say.
    reasons: of the stored ones, by `column.code`, or `code` where the whole record is at fault.
    superseded, discarded: by run, how many earlier rejects the run took the place of, and how many it discarded.
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
    superseded: dict[str, int]
    discarded: dict[str, int]


@dataclass(frozen=True, slots=True)
class RejectingRun:
    """One run. `kind` is load, retry, discard, or unknown where no line tells of it; `started_at` may be empty."""

    run: str
    started_at: str
    kind: str
    tables: tuple[TableRejects, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. files: each file, with how many rejects are in it and how they stand in it.

    left: lines about rejects that did not go into the files, and why.
    """

    table: str
    files: tuple[tuple[Path, int, Layout], ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is: by database the lines of its ledger, and all origins of rejects, those of the first run first."""

    lines: Mapping[str, tuple[TableRun, ...]]
    origins: tuple[Origin, ...]


@dataclass(slots=True)
class _Counted:
    """Some stored rejects: how many, and by reason."""

    stored: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def survey(plan: Inspection) -> Steps[Survey]:
    """Connect, check, and see what is there, in one state of each database."""
    yield from open_databases(plan)
    lines = yield from hold_all(plan)
    origins: list[Origin] = []
    for name in databases_in_commit_order(plan.tables):
        by_run: dict[str, list[TableRun]] = {}
        for line in lines[name]:
            by_run.setdefault(line.run, []).append(line)
        groups = yield from stored_rejects.groups(plan.databases[name])
        origins += [origin_of(name, by_run.get(group[0], []), group) for group in groups]
    origins.sort(key=lambda each: (each.started_at, each.run, each.first))
    return Survey(lines, tuple(origins))


def counted(plan: Inspection, wanted: RejectFilter) -> Steps[list[tuple[Selection, int]]]:
    """What is meant, with how many of it there are, one at least. ConfigurationError for a table or run that is not."""
    found = yield from survey(plan)
    _check(plan, found, wanted)
    tables = {table.name: table for table in plan.tables}
    counts: dict[int, tuple[Selection, int]] = {}
    for each in selections(found.origins, tables, wanted):
        counts[len(counts)] = each, (yield from _count(plan.databases[each.origin.database], each))
    return [(each, count) for each, count in counts.values() if count]


def each_part(
    plan: Inspection, what: Iterable[Selection], take: Callable[[Selection, list[RejectRow]], bool]
) -> Steps[None]:
    """Hand over all that was chosen, part after part, until `take` says that it has enough."""
    for of in what:
        after = of.origin.first - 1
        while (found := (yield from part(plan.databases[of.origin.database], of, after))) is not None:
            after, rows = found
            if rows:
                with as_written(of.origin, rows):
                    goes_on = yield Call(take, (of, rows))
                if not goes_on:
                    return


def handed_over(
    plan: Inspection, wanted: RejectFilter, take: Callable[[Selection, list[RejectRow]], bool]
) -> Steps[None]:
    """All that is meant, as `each_part` does it."""
    found = yield from survey(plan)
    _check(plan, found, wanted)
    yield from each_part(plan, selections(found.origins, {table.name: table for table in plan.tables}, wanted), take)


def overview(plan: Inspection) -> Steps[tuple[RejectingRun, ...]]:
    """Every run that a ledger or a reject names, the newest last."""
    found = yield from survey(plan)
    counts = yield from _counts(plan, found)
    runs: dict[str, list[TableRun]] = {}
    entries: dict[str, list[TableRejects]] = {}
    for name in databases_in_commit_order(plan.tables):
        for line in found.lines[name]:
            runs.setdefault(str(line.run), []).append(line)
            some = counts.pop((name, str(line.run), str(line.table_name), ()), _Counted())
            entries.setdefault(str(line.run), []).append(_entry(name, line, some))
    for (name, run, table, candidates), some in counts.items():
        entries.setdefault(run, []).append(_nobodys(name, table, candidates, some))
    listed = [_rejecting(run, runs.get(run, []), tables) for run, tables in entries.items()]
    return tuple(sorted(listed, key=lambda each: (each.started_at, each.run)))


def export(plan: Inspection, wanted: RejectFilter, target: Path) -> Steps[Exported | None]:
    """Write the rejects, which are of one table, to a file that does not exist yet, in their source's own format and
    columns; to others beside it where layouts differ. None where there are none. ConfigurationError where they do not
    fit.
    """
    kind = _kind_of(target)
    what = yield from counted(plan, wanted)
    if not what:
        return None
    table, fitting = _of_one_table(what, {each.name: each for each in plan.tables})
    left = list(_left(table, kind, what))
    ours = [of for of in fitting if _is_of_kind(of, kind)]
    if not ours:
        raise ConfigurationError("; ".join(left))
    from async_loader.rejects.files import ExportedFiles

    files = ExportedFiles(target, table)
    counts: Counter[Layout] = Counter()
    try:
        yield from each_part(plan, ours, lambda of, rows: _write(files, counts, of, rows))
        made = [(files.made[number], count, layout) for number, (layout, count) in enumerate(counts.items())]
        yield Call(files.close)
    except BaseException:
        files.give_up()
        raise
    return Exported(table.name, tuple(made), tuple(left))


def discard(plan: Inspection, run: str, what: Sequence[Selection]) -> Steps[int]:
    """Delete what was chosen, as far as it is there still, and say so in the ledgers under this run: database by
    database, each in a transaction of its own. Returns how many were deleted.
    """
    began = (yield Now()).isoformat()
    total = 0
    for name in sorted({of.origin.database for of in what}):
        database = plan.databases[name]
        yield Connect(database, plan.options.lock_timeout)
        for table in plan.here(name):
            yield from database.check(table)
        yield from database.begin(plan.here(name))
        deleted: dict[str, Counter[str]] = {}
        for of in what:
            if of.origin.database == name:
                count = yield from _delete(database, of)
                deleted.setdefault(_told(of), Counter())[of.origin.run] += count
        finished = (yield Now()).isoformat()
        for table_name, counts in deleted.items():
            if +counts:
                yield from database.save_run(_discard_line(run, table_name, +counts, (began, finished)))
        yield Complete(database.commit())
        total += sum(counts.total() for counts in deleted.values())
    return total


def retried(tables: Iterable[Table], what: Sequence[Selection]) -> tuple[dict[str, tuple[Selection, ...]], list[str]]:
    """By table, what can be tried again of what was chosen, and lines about the rest. ConfigurationError where rejects
    from one path were read in different ways, so that afterwards nobody could tell which.
    """
    names = {table.name for table in tables}
    found: dict[str, list[Selection]] = {}
    left = []
    for of in what:
        if (why := _why_not(of, names)) is not None:
            left.append(f"rejects of run {of.origin.run} from {of.path} are left as they are: {why}")
        elif of.table is not None:
            found.setdefault(of.table, []).append(of)
    for table, several in found.items():
        _check_kinds(table, several)
    return {table: tuple(several) for table, several in found.items()}, left


def stored_reject(of: Selection, row: RejectRow) -> StoredReject:
    """For showing."""
    reasons = tuple(Reason(**reason) for reason in json.loads(row.reasons))
    reject = Reject(of.path, row.line, row.line_end, plain_json(row.record), reasons)
    name = reject_name(of.origin.run, row.id)
    return StoredReject(name, of.origin.database, of.table, tuple(of.origin.tables), of.origin.run, reject)


def _check(plan: Inspection, found: Survey, wanted: RejectFilter) -> None:
    names = [table.name for table in plan.tables]
    if wanted.table is not None and wanted.table not in names:
        raise ConfigurationError(f"no table is called {wanted.table!r}; there are {', '.join(sorted(names))}")
    runs = [line.run for lines in found.lines.values() for line in lines] + [each.run for each in found.origins]
    if wanted.run is not None and wanted.run not in runs:
        raise ConfigurationError(f"no run is called {wanted.run!r}; `rejects` lists them")


def _count(database: Store, of: Selection) -> Steps[int]:
    if of.is_certain:
        if of.reason is None:
            return of.origin.count
        return (yield from stored_rejects.count(database, of.origin, of.reason))
    count, after = 0, of.origin.first - 1
    while (found := (yield from part(database, of, after))) is not None:
        after, rows = found
        count += len(rows)
    return count


def _delete(database: Store, of: Selection) -> Steps[int]:
    if of.is_certain:
        return (yield from stored_rejects.delete(database, of.origin, of.reason))
    count, after = 0, of.origin.first - 1
    while (found := (yield from part(database, of, after))) is not None:
        after, rows = found
        count += yield from stored_rejects.delete_each(database, [row.id for row in rows])
    return count


def _discard_line(run: str, table: str, counts: Counter[str], times: tuple[str, str]) -> TableRun:
    facts = {"tables": {table: []}, READ: [], DISCARDED: dict(counts)}
    began, finished = times
    return TableRun(run, table, DISCARD, json.dumps(facts), COMPLETE, 0, 0, 0, 0, 0, 0, began, finished)


def _told(of: Selection) -> str:
    """The table for the ledger's line: where nobody can tell it, what it may be."""
    return of.table or " or ".join(of.origin.tables) or "unknown"


# By database, run, table, and where nobody can tell that, those that it may be.
_Place = tuple[str, str, str | None, tuple[str, ...]]


def _counts(plan: Inspection, found: Survey) -> Steps[dict[_Place, _Counted]]:
    """How many rejects are stored of each run and table, and by reason."""
    counts: dict[_Place, _Counted] = {}
    by_source: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    for name in databases_in_commit_order(plan.tables):
        for run, source, reason, count in (yield from stored_rejects.reasons(plan.databases[name])):
            by_source.setdefault((name, run, source), []).append((reason, count))
    tables = {table.name: table for table in plan.tables}
    for of in selections(found.origins, tables, RejectFilter()):
        place = (of.origin.database, of.origin.run, of.table, () if of.table else tuple(of.origin.tables))
        if of.is_certain:
            some = counts.setdefault(place, _Counted())
            some.stored += of.origin.count
            some.reasons.update(dict(by_source.get((of.origin.database, of.origin.run, of.path), ())))
            continue
        doubtful = _Counted()
        yield from each_part(plan, [of], lambda _, rows, into=doubtful: _add(into, rows))  # type: ignore[misc]
        if doubtful.stored:
            some = counts.setdefault(place, _Counted())
            some.stored += doubtful.stored
            some.reasons.update(doubtful.reasons)
    return counts


def _add(into: _Counted, rows: Sequence[RejectRow]) -> bool:
    into.stored += len(rows)
    into.reasons.update(Reason(**reason).name for row in rows for reason in json.loads(row.reasons))
    return True


def _entry(database: str, line: TableRun, some: _Counted) -> TableRejects:
    gone = removed_rejects(line)
    return TableRejects(
        database=database,
        table=str(line.table_name),
        tables=(),
        mode=str(line.mode),
        state=str(line.state),
        sources=source_paths(line),
        rejected=line.rejected,
        stored=some.stored,
        reasons=commonest_first(some.reasons),
        superseded=gone[SUPERSEDED],
        discarded=gone[DISCARDED],
    )


def _nobodys(database: str, table: str | None, tables: tuple[str, ...], some: _Counted) -> TableRejects:
    reasons = commonest_first(some.reasons)
    return TableRejects(database, table, tables, "", "", (), some.stored, some.stored, reasons, {}, {})


def _rejecting(run: str, lines: Sequence[TableRun], tables: Sequence[TableRejects]) -> RejectingRun:
    began = min((str(line.started_at) for line in lines), default="")
    return RejectingRun(run, began, _run_kind(lines), tuple(tables))


def _run_kind(lines: Sequence[TableRun]) -> str:
    if not lines:
        return "unknown"
    if all(line.mode == DISCARD for line in lines):
        return "discard"
    return "retry" if any(map(is_retry, lines)) else "load"


def _kind_of(target: Path) -> str:
    if target.suffix not in _KINDS:
        raise ConfigurationError(f"{target}: the file's name ends in {', '.join(_KINDS)}: that is its format")
    if target.exists():
        raise ConfigurationError(f"{target}: exists already; name another file, or move it away")
    return _KINDS[target.suffix]


def _of_one_table(what: Sequence[tuple[Selection, int]], tables: Mapping[str, Table]) -> tuple[Table, list[Selection]]:
    """The table that all of it is of, leaving aside what nobody can tell the table of."""
    names = sorted({of.table for of, _ in what if of.table is not None})
    if len(names) > 1:
        raise ConfigurationError(f"these are rejects of {', '.join(names)}: choose one with --table")
    if not names:
        raise ConfigurationError("; ".join(_untold(of, count) for of, count in what))
    if names[0] not in tables:
        raise ConfigurationError(f"these are rejects of table {names[0]}, which is no longer declared")
    return tables[names[0]], [of for of, _ in what if of.table is not None]


def _left(table: Table, kind: str, what: Iterable[tuple[Selection, int]]) -> Iterator[str]:
    """Lines about what does not go into a file of that kind."""
    others: Counter[str] = Counter()
    for of, count in what:
        if of.table is None:
            yield _untold(of, count)
        elif not _is_of_kind(of, kind):
            others[_way(of)] += count
    for way, count in others.items():
        name, rest = f"{table.name}: {_rejects(count)}", "are left"
        if way in _SUFFIXES:
            yield f"{name} of {way} {rest}: name a file that ends in {_SUFFIXES[way]} for them"
        else:
            yield f"{name} {rest}: {way}"


def _untold(of: Selection, count: int) -> str:
    tables = " or ".join(of.origin.tables)
    problem = f"may be of {tables}, which nobody can tell" if tables else "are of a table that no ledger names"
    return f"{_rejects(count)} of run {of.origin.run} from {of.path} {problem}"


def _rejects(count: int) -> str:
    return "1 reject" if count == 1 else f"{count:,} rejects"


def _way(of: Selection) -> str:
    """The kind of its source, or why there is none."""
    kinds = sorted({layout.kind for layout in of.layouts})
    if len(kinds) == 1 and kinds[0] in _SUFFIXES:
        return kinds[0]
    return "their source was read as " + " and as ".join(kinds) if kinds else "nobody kept how their source was read"


def _is_of_kind(of: Selection, kind: str) -> bool:
    return {kind} == {layout.kind for layout in of.layouts}


def _write(files: ExportedFiles, counts: Counter[Layout], of: Selection, rows: Sequence[RejectRow]) -> bool:
    named = [(row.line, row.line_end, row.record, row.reasons, reject_name(of.origin.run, row.id)) for row in rows]
    for layout, several in files.write_rows(of.layouts, named).items():
        counts[layout] += several
    return True


def _why_not(of: Selection, names: Iterable[str]) -> str | None:
    """Why these cannot be tried again; None where they can."""
    if of.table is None:
        tables = " or ".join(of.origin.tables)
        return f"they may be of {tables}, which nobody can tell" if tables else "no ledger names their table"
    if of.table not in names:
        return f"table {of.table} is no longer declared"
    return None if _way(of) in _SUFFIXES else _way(of)


def _check_kinds(table: str, several: Sequence[Selection]) -> None:
    ways: dict[str, tuple[Any, str]] = {}
    for of in several:
        way = {replace(layout, delimiter="", columns=()) for layout in of.layouts}
        before, run = ways.setdefault(of.path, (way, of.origin.run))
        if before != way or len(way) > 1:
            raise ConfigurationError(
                f"rejects of {table} from {of.path} were read in one way in run {run} and in another in run "
                f"{of.origin.run}; try them again apart, with --run"
            )
