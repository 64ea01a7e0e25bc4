"""Finds stored rows that reference rows which do not exist. A generator of effects, which only read.

A part of a table's rows is read, the databases are asked for the keys that these name, and then the rows at fault are
known, of which the first are fetched whole. Nothing grows with the rows but the sets of keys.
"""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from async_loader.effects import Call, Connect, Now, Show, Steps
from async_loader.errors import ConfigurationError
from async_loader.ledger.report import Reason
from async_loader.loading.learning import learn
from async_loader.records.keys import ReferencedKeys
from async_loader.records.parsing import clipped
from async_loader.records.reasons import commonest_first
from async_loader.run.plan import Options, check_databases
from async_loader.stores.answers import Part, StoredRows
from async_loader.stores.store import Store
from async_loader.table_order import databases_in_reading_order, in_reference_order
from async_loader.tables import Reference, Table

# Rows in a part: some megabytes of text, so that the cost of a statement does not count.
ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row that references a row which does not exist: its key, the row as stored, in the table's columns, and why.

    Values that JSON cannot hold are text: a blob as x'00ff', an infinite real as inf.
    """

    key: Any
    record: dict[str, Any]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """The outcome for one table. given: rows read; rejected: the orphans among them, of which `rejects` are the first.

    reasons: how often each came, by `column.exists_in`; a row may have several.
    """

    database: str
    given: int
    rejected: int
    seconds: float
    reasons: dict[str, int]
    rejects: tuple[Orphan, ...]


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """The outcome of a check. `status` is complete, failed or interrupted; `error` the line that says why."""

    status: str
    seconds: float
    error: str | None
    tables: dict[str, CheckedTable]

    @property
    def rejected(self) -> int:
        """The orphans of all tables."""
        return sum(table.rejected for table in self.tables.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"version": 1, **asdict(self)}


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """The tables to check: those of these names, or all that reference something where there are no names.

    `tables` are in reference order, with all that they reference. Of the options, `report_rejects` and `lock_timeout`
    count. Raises ConfigurationError for a name that is no table's or that of one without references.
    """

    tables: tuple[Table, ...]
    names: tuple[str, ...]
    databases: Mapping[str, Store]
    options: Options

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", in_reference_order(self.tables))
        by_name = {table.name: table for table in self.tables}
        for name in self.names:
            if name not in by_name:
                raise ConfigurationError(f"no table is called {name!r}; there are {', '.join(sorted(by_name))}")
            if not by_name[name].references:
                raise ConfigurationError(f"table {name} references nothing: there is nothing to check")
        check_databases(self.tables, self.databases)
        if any(table.parents for table in self.tables):
            from async_loader.stores.inherited import for_tables

            object.__setattr__(self, "databases", for_tables(self.databases, self.tables))

    @property
    def checked(self) -> tuple[Table, ...]:
        """The tables to check, in reference order."""
        return tuple(table for table in self.tables if table.references and table.name in (self.names or [table.name]))

    @property
    def targets(self) -> tuple[Table, ...]:
        """The tables that the checked ones reference, some of which may be checked themselves."""
        names = {reference.table for table in self.checked for reference in table.references}
        return tuple(table for table in self.tables if table.name in names)

    @property
    def targets_by_reference(self) -> dict[tuple[str, str], Table]:
        """By table and column that is referenced, the table with that column as its key; no column is its own key."""
        by_name = {table.name: table for table in self.tables}
        references = [reference for table in self.checked for reference in table.references]
        return {
            (each.table, each.to): by_name[each.table].identified_by(each.to) if each.to else by_name[each.table]
            for each in references
        }

    def database(self, table: Table) -> Store:
        """Return the database that the table lives in."""
        return self.databases[table.database]


@dataclass(slots=True)
class Findings:
    """The orphans that have been found in one table so far."""

    database: str
    rejects_shown: int
    given: int = 0
    rejected: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    rejects: list[Orphan] = field(default_factory=list)

    def report(self) -> CheckedTable:
        """Return the outcome as it stands; the commonest reason first."""
        return CheckedTable(
            database=self.database,
            given=self.given,
            rejected=self.rejected,
            seconds=round(self.seconds, 3),
            reasons=commonest_first(self.reasons),
            rejects=tuple(self.rejects),
        )


@dataclass(frozen=True, slots=True)
class _Target:
    """A referenced table, and what is known of its keys by now, whichever table it was asked for."""

    table: Table
    database: Store
    known: ReferencedKeys


def no_findings(plan: CheckPlan) -> dict[str, Findings]:
    """Return by table name what has been found so far: nothing."""
    return {table.name: Findings(table.database, plan.options.report_rejects) for table in plan.checked}


def check(plan: CheckPlan, found_by_table: Mapping[str, Findings]) -> Steps[None]:
    """Carry out the plan, counting in `found_by_table`."""
    yield from _open_databases(plan)
    rows, targets = yield from _hold(plan)
    for table in plan.checked:
        yield from _check_table(rows[table.name], targets, found_by_table[table.name])


def _open_databases(plan: CheckPlan) -> Steps[None]:
    """Connect and check, in the order of names as a load does."""
    tables = dict.fromkeys(plan.checked + plan.targets)
    for name in sorted({table.database for table in tables}):
        yield Connect(plan.databases[name], plan.options.lock_timeout, writable=False)
        for table in tables:
            if table.database == name:
                yield from plan.databases[name].check(table)


def _hold(plan: CheckPlan) -> Steps[tuple[dict[str, StoredRows], dict[tuple[str, str], _Target]]]:
    """Begin to read one state of each database. Returns by table name the rows to check, and what they reference.

    Referencing databases come first: a load commits them last, so whatever it stores meanwhile, the keys that the rows
    read here name are there to be found.
    """
    rows: dict[str, StoredRows] = {}
    targets: dict[tuple[str, str], _Target] = {}
    for name in reversed(databases_in_reading_order(dict.fromkeys(plan.checked + plan.targets))):
        database = plan.databases[name]
        yield from database.begin_reading()
        for table in plan.checked:
            if table.database == name:
                rows[table.name] = yield from database.rows(table)
        for reference, target in plan.targets_by_reference.items():
            if target.database == name:
                known = ReferencedKeys(target.column(target.key), None, (yield from database.key_range(target)))
                targets[reference] = _Target(target, database, known)
    return rows, targets


def _check_table(rows: StoredRows, targets: Mapping[tuple[str, str], _Target], findings: Findings) -> Steps[None]:
    began = yield Now()
    references = rows.table.references
    columns = [reference.column for reference in references]
    after = None
    while (part := (yield from rows.read(columns, after, ROWS_AT_ONCE))) is not None:
        for reference, keys in zip(references, part.keys, strict=True):
            target = targets[reference.table, reference.to]
            if len(unknown := (yield Call(target.known.unknown, (keys,)))):
                yield from learn(target.table, target.database, target.known, unknown)
        absent = yield Call(_absent, (part, [targets[each.table, each.to].known for each in references]))
        yield from _take(rows, part, absent, findings)
        findings.seconds = ((yield Now()) - began).total_seconds()
        yield Show(rows.table.name, findings.given, findings.rejected, *_progress(rows, part))
        after = part.last


def _absent(part: Part, known: Sequence[ReferencedKeys]) -> list[pl.Series]:
    """Return for each reference which of n rows name a key that does not exist; a value that no key can be is none."""
    columns = zip(part.keys, part.unreadable, known, strict=True)
    return [keys_known.are_dangling(keys) | unreadable for keys, unreadable, keys_known in columns]


def _take(rows: StoredRows, part: Part, absent: Sequence[pl.Series], findings: Findings) -> Steps[None]:
    """Count the orphans, and fetch those that the report will name."""
    findings.given += part.size
    orphans = functools.reduce(operator.or_, absent).arg_true()
    if not len(orphans):
        return
    findings.rejected += len(orphans)
    for reference, each in zip(rows.table.references, absent, strict=True):
        if each.any():
            findings.reasons[f"{reference.column}.exists_in"] += int(each.sum())
    named = orphans.head(findings.rejects_shown - len(findings.rejects)).to_list()
    if not named:
        return
    for number, values in zip(named, (yield from rows.whole(part.after, named)), strict=True):
        broken = [each for each, is_broken in zip(rows.table.references, absent, strict=True) if is_broken[number]]
        findings.rejects.append(_orphan(rows.table, values, broken))


def _orphan(table: Table, values: Sequence[Any], broken: Sequence[Reference]) -> Orphan:
    row = dict(zip(table.column_names, values, strict=True))
    record = {name: _for_json(value) for name, value in row.items()}
    return Orphan(record[table.key], record, tuple(_reason(each, row[each.column]) for each in broken))


def _reason(reference: Reference, value: Any) -> Reason:
    shown = f"'{clipped(value)}'" if isinstance(value, str) else clipped(str(_for_json(value)))
    message = f"{reference.column} {shown} does not exist in {reference.table}"
    return Reason("exists_in", reference.column, message)


def _for_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _progress(rows: StoredRows, part: Part) -> tuple[int, int | None]:
    """Return how far the places have been read, and how far they go; for integers that is about as good as counting
    rows.
    """
    if rows.extent is None or not all(isinstance(place, int) for place in rows.extent):
        return 0, None
    first, last = rows.extent
    return part.last - first + 1, last - first + 1
