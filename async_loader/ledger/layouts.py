"""Where stored rejects come from: which table, and how its source was read. Pure.

`loader_rejects` names no table. The lines of a run in the same database do: they say what was read into each table.
Where one source went into two tables of one database, a reject's own columns may tell; else nobody can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from async_loader.ledger.entries import RETRY, TableRun, facts_of
from async_loader.tables import Table

# What the JSON in `loader_runs.sources` has, beside what tells that a source is the same: how each source of the line's
# table was read, and of which earlier runs it superseded or discarded how many rejects.
READ, SUPERSEDED, DISCARDED = "read", "superseded", "discarded"

# Codes of records that were not read into columns, or not into text: as they are, they can only fail again.
BROKEN = {"invalid_quoting", "wrong_field_count", "invalid_json"}
UNDECODABLE = "invalid_utf8"

_REJECT = re.compile(r"(.+):([1-9][0-9]{0,18})", re.DOTALL)
_GREATEST_ID = 2**63 - 1

# A run and an id in `loader_rejects`.
Name: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """How records stand in a source. `kind` is csv, jsonl, ndjson (but another name of that) or parquet.

    delimiter, columns: of CSV; of Parquet the columns that are read, with their `types` as pyarrow writes them.
    names, constants, means_null: how its fields become the table's columns, as in a `Source`; the first two as pairs.
    absent: of JSON Lines, the table's columns that it does not have.
    """

    kind: str
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    means_null: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The stored rejects of one run from one source, in one database.

    tables: those that they may be of, each with how the source was read into it, as far as lines of the run say so.
    started_at: when the run began; empty where no line says so.
    count, first, last: how many they are, and the ids among which they stand.
    """

    database: str
    run: str
    source: str
    tables: Mapping[str, Sequence[Layout]]
    started_at: str
    count: int
    first: int
    last: int

    @property
    def table(self) -> str | None:
        """The one table that they can be of; None where there are several, or none."""
        return next(iter(self.tables)) if len(self.tables) == 1 else None


@dataclass(frozen=True, slots=True)
class RejectRow:
    """One stored reject; `record` and `reasons` are JSON."""

    id: int
    line: int
    line_end: int
    record: str
    reasons: str


@dataclass(frozen=True, slots=True)
class RejectFilter:
    """Which stored rejects are meant: those of a table, of a run, with a reason (a code, or `column.code`).

    None is any.
    """

    table: str | None = None
    run: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Those rejects of one origin that are of one table, and have one reason; None is any.

    table: the one; None is those of which nobody can tell the table.
    tables: all that are declared, by name.
    """

    origin: Origin
    table: str | None
    reason: str | None
    tables: Mapping[str, Table]

    @property
    def path(self) -> str:
        """The source, as a `Source` has it."""
        return self.origin.source

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The ways in which the source was read into the table; none where nobody says."""
        tables = self.origin.tables
        ways = tables.values() if self.table is None else [tables[self.table]]
        return tuple(dict.fromkeys(layout for each in ways for layout in each))

    @property
    def is_certain(self) -> bool:
        """Whether all of the origin's are of the table; else each is asked for itself."""
        return len(self.origin.tables) <= 1

    def keep(self, rows: Sequence[RejectRow]) -> list[RejectRow]:
        """Those of the origin's that are of the table."""
        if self.is_certain:
            return list(rows)
        return [row for row in rows if self._table_of(row) == self.table]

    def _table_of(self, row: RejectRow) -> str | None:
        return table_of_record(self.origin.tables, self.tables, row.record, row.reasons)


def selections(origins: Iterable[Origin], tables: Mapping[str, Table], wanted: RejectFilter) -> Iterator[Selection]:
    """What is meant of these origins.

    Of an origin that may be of several tables that is a part for each, and one for those of nobody knows which.
    """
    for each in origins:
        if wanted.run not in (None, each.run):
            continue
        parts = [each.table] if len(each.tables) <= 1 else [*each.tables, None]
        for table in parts:
            if wanted.table in (None, table):
                yield Selection(each, table, wanted.reason, tables)


def reject_name(run: str, number: int) -> str:
    """What a file of rejects calls a stored reject, under `_reject`."""
    return f"{run}:{number}"


def parse_reject_name(text: str) -> Name | None:
    """The run and the id that such a name is made of; None for any other text."""
    found = _REJECT.fullmatch(text)
    if found is None or int(found[2]) > _GREATEST_ID:
        return None
    return found[1], int(found[2])


def mapping_parts(names: Any, constants: Any, means_null: Any) -> dict[str, Any]:
    """What a source's fields become, as parts of a layout."""
    pairs = {"names": names, "constants": constants}
    parts = {name: tuple(sorted(dict(value).items())) for name, value in pairs.items() if isinstance(value, Mapping)}
    return parts | {"means_null": _texts(means_null)}


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list | tuple) else ()


def as_json(path: str, layout: Layout) -> dict[str, Any]:
    """How a source was read, as `loader_runs` keeps it."""
    facts = asdict(layout) | {"names": dict(layout.names), "constants": dict(layout.constants)}
    return {"path": path} | {name: value for name, value in facts.items() if value}


def tables_of(lines: Iterable[TableRun], source: str) -> dict[str, list[Layout]]:
    """By table, how the lines of one run in one database say that this source was read; an empty list where a line does
    not say how.
    """
    lines = list(lines)
    found: dict[str, list[Layout]] = {}
    for line in lines:
        layouts = _read(line)
        if source in layouts:
            found[line.table_name] = layouts[source]
    if found:
        return found
    # Of an older line that names no path, all that can be said is that it is the only one.
    return {line.table_name: [] for line in lines if line.table_name in _nameless(line)}


def origin_of(database: str, lines: Sequence[TableRun], group: tuple[str, str, int, int, int]) -> Origin:
    """Rejects as the ledger of their database tells of them. `lines`: those of their run there. `group`: run, source,
    count, first and last id.
    """
    run, source, count, first, last = group
    began = min((line.started_at for line in lines), default="")
    return Origin(database, run, source, tables_of(lines, source), began, count, first, last)


def table_of_record(
    layouts: Mapping[str, Sequence[Layout]], tables: Mapping[str, Table], record: str, reasons: str
) -> str | None:
    """Which of several tables a reject is of, as far as its own columns tell: each reason is of a column of its table,
    and a row of a Parquet source has just the columns that were read for its table. None where they do not tell.

    layouts: as `tables_of` gives them, of a table or more. tables: those that are declared.
    """
    if not set(layouts) <= set(tables):
        return None
    columns = {reason["column"] for reason in json.loads(reasons)} - {None}
    read = set(json.loads(record))
    fitting = [
        name
        for name, ways in layouts.items()
        if columns <= set(tables[name].column_names) and (not _all_parquet(ways) or _has_columns(ways, read))
    ]
    return fitting[0] if len(fitting) == 1 else None


def layout_of(layouts: Sequence[Layout], columns: Iterable[str]) -> Layout:
    """The layout, among these, that a record with these columns has; the first one where none fits."""
    found = set(columns)
    return next((layout for layout in layouts if set(layout.columns) == found), layouts[0])


def _has_columns(layouts: Sequence[Layout], columns: set[str]) -> bool:
    return any(set(layout.columns) == columns for layout in layouts)


def _all_parquet(layouts: Sequence[Layout]) -> bool:
    return bool(layouts) and all(layout.kind == "parquet" for layout in layouts)


def removed_rejects(line: TableRun) -> dict[str, dict[str, int]]:
    """How many rejects of which earlier runs a line says to have superseded, and to have discarded."""
    facts = facts_of(line)
    return {what: _counts(facts.get(what)) for what in (SUPERSEDED, DISCARDED)}


def is_retry(line: TableRun) -> bool:
    """Whether the line is of a run that tried stored rejects again."""
    return facts_of(line).get(RETRY) is True


def source_paths(line: TableRun) -> tuple[str, ...]:
    """The sources that were read into the line's table, as far as it says so."""
    return tuple(_read(line))


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {run: count for run, count in value.items() if type(count) is int and count > 0}


def _read(line: TableRun) -> dict[str, list[Layout]]:
    """By path, the ways in which sources of the line's table were read."""
    facts = facts_of(line)
    listed = facts.get(READ)
    found: dict[str, list[Layout]] = {}
    for path, layout in map(_layout, listed if isinstance(listed, list) else _identities(line)):
        if path is not None:
            found.setdefault(path, []).append(layout)
    return found


def _layout(entry: Any) -> tuple[str | None, Layout]:
    facts = entry if isinstance(entry, dict) else {}
    # A line that is older than layouts has the whole format.
    kind = str(facts.get("kind") or facts.get("format", "")).partition(".")[0]
    layout = Layout(
        kind="jsonl" if kind == "ndjson" else kind,
        delimiter=str(facts.get("delimiter", "")) if kind == "csv" else "",
        columns=_texts(facts.get("columns")),
        types=_texts(facts.get("types")),
        absent=_texts(facts.get("absent")),
        **mapping_parts(*(facts.get(name) for name in ("names", "constants", "means_null"))),
    )
    path = facts.get("path")
    return path if isinstance(path, str) else None, layout


def _identities(line: TableRun) -> Iterator[Any]:
    tables = facts_of(line).get("tables")
    entries = tables.get(line.table_name) if isinstance(tables, dict) else None
    return iter(entries if isinstance(entries, list) else [])


def _nameless(line: TableRun) -> set[str]:
    is_nameless = READ not in facts_of(line) and None in _identities(line)
    return {line.table_name} if is_nameless else set()
