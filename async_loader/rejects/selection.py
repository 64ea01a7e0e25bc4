"""The stored rejects that a command means: found, counted, and handed over in pages. Generators of effects, which read.

However many there are, only a page of them is in memory: a caller gives a function that takes each page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from async_loader.effects import Call, Steps
from async_loader.errors import ConfigurationError
from async_loader.ledger.entries import TableRun
from async_loader.ledger.order import order_of_runs
from async_loader.ledger.reject_groups import RejectFilter, RejectGroup, RejectRow, Selection, reject_group, select
from async_loader.loading.retrying import next_page
from async_loader.run.inspection import Inspection, hold_all, open_databases
from async_loader.sources.stored_rejects import as_written
from async_loader.stores import reject_queries
from async_loader.stores.store import Store
from async_loader.table_order import databases_in_reading_order

# Takes a page of selected rejects, and returns whether it wants more.
TakePage: TypeAlias = Callable[[Selection, list[RejectRow]], bool]


@dataclass(frozen=True, slots=True)
class Survey:
    """By database the lines of its ledger, and all groups of stored rejects, those of the first run first.

    inspection: the databases, each under one name.
    """

    inspection: Inspection
    lines: Mapping[str, tuple[TableRun, ...]]
    groups: tuple[RejectGroup, ...]


def survey(inspection: Inspection) -> Steps[Survey]:
    """Connect, check, and see which rejects are stored, in one state of each database."""
    opened = yield from open_databases(inspection)
    lines = yield from hold_all(opened)
    groups: list[RejectGroup] = []
    for name in databases_in_reading_order(opened.tables):
        by_run: dict[str, list[TableRun]] = {}
        for line in lines[name]:
            by_run.setdefault(line.run, []).append(line)
        rows = yield from reject_queries.group_rows(opened.databases[name])
        groups += [reject_group(name, by_run.get(row[0], []), row) for row in rows]
    places = {run: place for place, run in enumerate(order_of_runs(lines.values()))}
    # Rejects of a run that no ledger names come first.
    groups.sort(key=lambda group: (places.get(group.run, -1), group.run, group.first))
    return Survey(opened, lines, tuple(groups))


def find_selections(inspection: Inspection, wanted: RejectFilter) -> Steps[list[Selection]]:
    """Return what the filter selects. ConfigurationError for a table or run that there is not."""
    surveyed = yield from survey(inspection)
    _check_filter(inspection, surveyed, wanted)
    return list(select(surveyed.groups, {table.name: table for table in surveyed.inspection.tables}, wanted))


def count_selections(inspection: Inspection, wanted: RejectFilter) -> Steps[list[tuple[Selection, int]]]:
    """Return what the filter selects, with how many rejects each selection has, one at least. ConfigurationError for a
    table or run that there is not.
    """
    counted: list[tuple[Selection, int]] = []
    for selection in (yield from find_selections(inspection, wanted)):
        if number := (yield from _count(inspection.databases[selection.group.database], selection)):
            counted.append((selection, number))  # noqa: PERF401 - a comprehension cannot yield
    return counted


def take_pages(inspection: Inspection, selections: Iterable[Selection], take: TakePage) -> Steps[None]:
    """Hand over all selected rejects, page after page, until `take` wants no more."""
    for selection in selections:
        database, after = inspection.databases[selection.group.database], selection.group.first - 1
        while (page := (yield from next_page(database, selection, after))) is not None:
            after, rows = page
            if rows:
                with as_written(selection.group, rows):
                    wants_more = yield Call(take, (selection, rows))
                if not wants_more:
                    return


def _count(database: Store, selection: Selection) -> Steps[int]:
    group = selection.group
    if group.is_of_one_table and selection.reason is None and not selection.is_open:
        return group.count
    if group.is_of_one_table:
        return (yield from reject_queries.count(database, group, selection.reason, is_open=selection.is_open))
    number, after = 0, group.first - 1
    while (page := (yield from next_page(database, selection, after))) is not None:
        after, rows = page
        number += len(rows)
    return number


def _check_filter(inspection: Inspection, surveyed: Survey, wanted: RejectFilter) -> None:
    names = [table.name for table in inspection.tables]
    if wanted.table is not None and wanted.table not in names:
        raise ConfigurationError(f"no table is called {wanted.table!r}; there are {', '.join(sorted(names))}")
    if wanted.run is not None:
        check_run(surveyed, wanted.run)


def check_run(surveyed: Survey, run: str) -> None:
    """Raise ConfigurationError for a run that neither a ledger nor a reject names."""
    runs = [line.run for lines in surveyed.lines.values() for line in lines] + [group.run for group in surveyed.groups]
    if run not in runs:
        raise ConfigurationError(f"no run is called {run!r}; `rejects` lists them")


def why_table_is_unknown(selection: Selection) -> str:
    """Return why it is not known of which table the selected rejects are, as words after "they"."""
    if selection.group.tables:
        return f"may be of {selection.table_in_words}, and nothing shows of which"
    return "are of a table that no ledger names"


def format_or_problem(selection: Selection) -> tuple[str, str]:
    """Return the format of the selected rejects' source and no problem, or no format and why there is none."""
    kinds = sorted({layout.kind for layout in selection.layouts})
    if not kinds:
        return "", "no ledger says how their source was read"
    return (kinds[0], "") if len(kinds) == 1 else ("", f"their source was read as {' and as '.join(kinds)}")
