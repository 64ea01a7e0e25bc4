"""Which stored rejects can be tried again as they are, and why the others cannot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from async_loader.errors import ConfigurationError
from async_loader.formats import STANDARD_DIALECT
from async_loader.ledger.layouts import KINDS_OF_REJECTS, Layout
from async_loader.ledger.reject_groups import Selection
from async_loader.rejects.selection import format_or_problem, why_table_is_unknown
from async_loader.tables import Table


def plan_retry(
    tables: Iterable[Table], selections: Sequence[Selection]
) -> tuple[dict[str, tuple[Selection, ...]], list[str]]:
    """Return by table what can be tried again of these selections, and lines about the rest. ConfigurationError where
    rejects from one path were read in different ways: under the id of the retry nothing would distinguish them.
    """
    names = {table.name for table in tables}
    by_table: dict[str, list[Selection]] = {}
    left = []
    for selection in selections:
        if (why := _why_not(selection, names)) is not None:
            left.append(f"rejects of run {selection.group.run} from {selection.name} are left as they are: {why}")
        elif selection.table is not None:
            by_table.setdefault(selection.table, []).append(selection)
    for table, several in by_table.items():
        _check_read_alike(table, several)
    return {table: tuple(several) for table, several in by_table.items()}, left


def find_as_before(tables: Iterable[Table], retried: Mapping[str, Sequence[Selection]]) -> tuple[Table, ...]:
    """Return the tables, whose records find their rows as those of the runs did that had rejected them.
    ConfigurationError where runs differ in that.
    """
    return tuple(_found_as_before(table, retried.get(table.name, ())) for table in tables)


def _found_as_before(table: Table, selections: Sequence[Selection]) -> Table:
    layouts = [layout for selection in selections for layout in selection.layouts]
    ways = {(layout.match, layout.append, layout.on_missing) for layout in layouts}
    if len(ways) > 1:
        raise ConfigurationError(
            f"rejects of {table.name} are of runs that found rows in different ways; try those of one run at a time, "
            "with --run"
        )
    for match, append, on_missing in ways:
        return table.find_by(match, append=append, on_missing=on_missing or "insert")
    return table


def _why_not(selection: Selection, names: Iterable[str]) -> str | None:
    """Return why these cannot be tried again; None where they can."""
    if selection.table is None:
        return f"they {why_table_is_unknown(selection)}"
    if selection.table not in names:
        return f"table {selection.table} is no longer declared"
    kind, problem = format_or_problem(selection)
    return None if kind in KINDS_OF_REJECTS else problem or f"their source was {kind}"


def _check_read_alike(table: str, selections: Sequence[Selection]) -> None:
    first: dict[str, Selection] = {}
    for selection in selections:
        before = first.setdefault(selection.name, selection)
        if _reading(before) != _reading(selection) or len(_reading(selection)) > 1:
            raise ConfigurationError(
                f"rejects of {table} from {selection.name} were read in one way in run {before.group.run} and in "
                f"another in run {selection.group.run}; try those of one run at a time, with --run"
            )


def _reading(selection: Selection) -> set[Layout]:
    """Return the ways in which the values were read. A stored reject shows neither punctuation nor order of columns."""
    return {replace(layout, dialect=STANDARD_DIALECT, encoding="", columns=()) for layout in selection.layouts}
