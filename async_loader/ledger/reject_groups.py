"""Stored rejects in groups, one for each run and source of a database, and which table those of a group are of. Pure.

`loader_rejects` names no table. The lines of a run in the same database do: they say what was read into each table.
Where one source went into two tables of one database, a reject's own columns may show its table; else it is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from async_loader.ledger.contents import Content, contents_by_path
from async_loader.ledger.entries import TableRun
from async_loader.ledger.layouts import Layout, layouts_by_table
from async_loader.tables import Table

# Codes of records that were not read into columns, or not into text: as they are, they can only fail again.
BROKEN = {"invalid_quoting", "wrong_field_count", "repeated_header", "invalid_json"}
UNDECODABLE = ("invalid_utf8", "invalid_encoding")

# The name that a stored reject has by itself: its run, and its id in `loader_rejects`.
_NAME = r"(?s)^(?<run>[^\x00]+):(?<id>[1-9][0-9]{0,18})$"


@dataclass(frozen=True, slots=True)
class RejectRow:
    """One row of `loader_rejects`; `record` and `reasons` are JSON. `name` is what it is called, now and, as long as no
    other one is called so, when its record is mended and fails again. `made_good_by` is the last run that has accepted
    a record under its key.
    """

    id: int
    line: int
    line_end: int
    record: str
    reasons: str
    name: str
    made_good_by: str | None = None


@dataclass(frozen=True, slots=True)
class RejectGroup:
    """The stored rejects of one run from one source, in one database.

    tables: the tables that they may be of, each with how the source was read into it, as far as the run's lines say.
    contents: by table, the contents that were read into it from there, as far as the run's lines say.
    started_at: when the run began; empty where no line says so.
    count, first, last: how many they are, and the ids among which they stand.
    """

    database: str
    run: str
    path: str
    tables: Mapping[str, Sequence[Layout]]
    contents: Mapping[str, Sequence[Content]]
    started_at: str
    count: int
    first: int
    last: int

    @property
    def is_of_one_table(self) -> bool:
        """Whether all of them are known to be of one table, or all of none that is known."""
        return len(self.tables) <= 1


@dataclass(frozen=True, slots=True)
class RejectFilter:
    """Which stored rejects are meant: those of a table, of a run, with a reason (a code, or `column.code`).

    None is any. is_open: only those that no later run has made good.
    """

    table: str | None = None
    run: str | None = None
    reason: str | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The rejects of one group that are of one table, and have one reason; None is any reason.

    table: None selects those of which the table is not known.
    tables: all that are declared, by name.
    is_open: whether only rejects are meant that no later run has made good.
    """

    group: RejectGroup
    table: str | None
    reason: str | None
    tables: Mapping[str, Table]
    is_open: bool = False

    @property
    def name(self) -> str:
        """The source, as reports name it."""
        return self.group.path

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts in which the source was read into the table; none where no line says."""
        tables = self.group.tables
        several = tables.values() if self.table is None else [tables[self.table]]
        return tuple(dict.fromkeys(layout for layouts in several for layout in layouts))

    @property
    def contents(self) -> Sequence[Content]:
        """The contents that were read from the source into the table; none where no line says."""
        return () if self.table is None else self.group.contents.get(self.table, ())

    @property
    def table_in_words(self) -> str:
        """The table; where that is not known, the tables that it may be."""
        return self.table or " or ".join(self.group.tables) or "unknown"

    def of_table(self, rows: Sequence[RejectRow]) -> list[RejectRow]:
        """Return those of the group's rows that are of the table."""
        if self.is_open:
            rows = [row for row in rows if row.made_good_by is None]
        if self.group.is_of_one_table:
            return list(rows)
        return [
            row
            for row in rows
            if table_of_record(self.group.tables, self.tables, row.record, row.reasons) == self.table
        ]


def reject_group(database: str, lines: Sequence[TableRun], row: tuple[str, str, int, int, int]) -> RejectGroup:
    """Make a group from the lines of its run in its database, and a row of run, path, count, first and last id."""
    run, path, count, first, last = row
    began = min((line.started_at for line in lines), default="")
    contents = {line.table_name: contents_by_path(line).get(path, ()) for line in lines}
    return RejectGroup(database, run, path, layouts_by_table(lines, path), contents, began, count, first, last)


def select(groups: Iterable[RejectGroup], tables: Mapping[str, Table], wanted: RejectFilter) -> Iterator[Selection]:
    """Select from these groups what is wanted: from a group that may be of several tables, a selection for each of
    them, and one for the rejects of which the table is not known.
    """
    for group in groups:
        if wanted.run not in (None, group.run):
            continue
        candidates = [*group.tables] if group.is_of_one_table and group.tables else [*group.tables, None]
        for table in candidates:
            if wanted.table in (None, table):
                yield Selection(group, table, wanted.reason, tables, wanted.is_open)


def with_parsed_names(named: pl.DataFrame) -> pl.DataFrame:
    """Return those rows whose `name` is that of a reject, as in `3f...9c:12`, with the `run` and the `id` in it."""
    parts = pl.col("name").str.extract_groups(_NAME).struct
    parsed = named.with_columns(parts.field("run"), parts.field("id").cast(pl.Int64, strict=False))
    return parsed.filter(pl.col("id").is_not_null())


def table_of_record(
    layouts: Mapping[str, Sequence[Layout]], tables: Mapping[str, Table], record: str, reasons: str
) -> str | None:
    """Return which of several tables a reject is of, as far as its own columns show: each reason is of a column of its
    table, and a row of a Parquet source has just the columns that were read for its table. None where they do not.

    layouts: as `layouts_by_table` gives them, of a table or more. tables: those that are declared.
    """
    if not set(layouts) <= set(tables):
        return None
    at_fault = {reason["column"] for reason in json.loads(reasons)} - {None}
    columns = set(json.loads(record))
    fitting = [
        name
        for name, several in layouts.items()
        if at_fault <= set(tables[name].column_names) and (not _all_parquet(several) or _has_columns(several, columns))
    ]
    return fitting[0] if len(fitting) == 1 else None


def _has_columns(layouts: Sequence[Layout], columns: set[str]) -> bool:
    return any(set(layout.columns) == columns for layout in layouts)


def _all_parquet(layouts: Sequence[Layout]) -> bool:
    return bool(layouts) and all(layout.kind == "parquet" for layout in layouts)
