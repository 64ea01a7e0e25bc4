"""What a run deletes, as it is asked for: the rows of which tables, how many at most, and what else may name them.

Values only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from async_loader.errors import ConfigurationError
from async_loader.records.parsing import parse_text
from async_loader.records.reasons import SHOWN, fault_message
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.run.plan import Plan

_AMOUNT = re.compile(r"([0-9]+)|([0-9]+(?:\.[0-9]+)?)%")
_HUNDRED = 100


@dataclass(frozen=True, slots=True)
class Mark:
    """The value that a column of a row gets instead of the row being deleted, as a source would spell it."""

    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}={self.value}"


@dataclass(frozen=True, slots=True)
class Referrer:
    """A column, of a table that need take no part in the run, whose values are those of rows of another table.

    database, table, column: where it is. target: the table whose rows it names. to: the column of the target whose
    values it has; by default its key.
    """

    database: str
    table: str
    column: str
    target: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class MostDeletes:
    """How many rows may be deleted: a number of all tables together, or a percentage of each table's rows."""

    number: int | None = None
    percent: float | None = None

    def problem(self, table: str, rows: int, deleted: int, total: int) -> str | None:
        """Return what is wrong with deleting that many of a table's rows; None where it is allowed.

        rows: those before the run. total: rows deleted of all tables together.
        """
        if self.percent is not None and deleted * _HUNDRED > self.percent * rows:
            allowed = f"{self.percent:g}% that --max-deletes allows"
            return f"{deleted:,} of {rows:,} rows of {table} would be deleted, more than the {allowed}"
        if self.number is not None and total > self.number:
            return f"{total:,} rows would be deleted, more than the {self.number:,} that --max-deletes allows"
        return None


def most_deletes(given: int | str) -> MostDeletes:
    """Return what `max_deletes` means. ConfigurationError for what is neither a number nor a percentage."""
    match = _AMOUNT.fullmatch(str(given))
    if match is None or (match[2] and float(match[2]) > _HUNDRED):
        raise ConfigurationError(f"max_deletes is a number of rows, or a percentage such as 5%, not {str(given)!r}")
    return MostDeletes(number=int(match[1])) if match[1] else MostDeletes(percent=float(match[2]))


def check_asked(delete_missing: Mapping[str, Mark | None], most: int | str | None) -> None:
    """Raise ConfigurationError where rows are to be deleted and nothing says how many, or the other way round."""
    if delete_missing and most is None:
        name = next(iter(delete_missing))
        advice = "say how many rows may be deleted at most with --max-deletes N or --max-deletes N%"
        raise ConfigurationError(f"--delete-missing {name}: {advice}")
    if most is not None and not delete_missing:
        raise ConfigurationError("--max-deletes: nothing is deleted without --delete-missing TABLE")
    if most is not None:
        most_deletes(most)


def check_deletions(plan: Plan) -> None:
    """Raise ConfigurationError for a table of which a run cannot delete the rows that no record names."""
    for name, mark in plan.options.delete_missing.items():
        table = next((table for table in plan.loaded if table.name == name), None)
        if table is None:
            raise ConfigurationError(f"--delete-missing {name}: no source is for {name}, so that no record names a row")
        if table.append:
            problem = "its records are appended, and name no rows that are there"
            raise ConfigurationError(f"--delete-missing {name}: {problem}; load it with --match or with keys")
        if table.parents:
            problem = "its rows lie in several tables, and others may reference any of these"
            raise ConfigurationError(f"--delete-missing {name}: {problem}; that is not supported yet")
        if mark is not None:
            marked(table, mark)
    if plan.options.delete_missing and plan.cluster is not None:
        raise ConfigurationError("--delete-missing: mode dask does not delete rows; choose another mode")
    for each in plan.options.referrers:
        if each.database not in plan.databases:
            problem = f"table {each.table}, which references {each.target}, is in database {each.database!r}"
            raise ConfigurationError(f"{problem}, which is not configured")


def marked(table: Table, mark: Mark) -> pl.Series:
    """Return the one value that a mark gives. ConfigurationError for a column that cannot be marked so."""
    option = f"--delete-missing {table.name}:{mark}"
    if mark.column not in table.column_names:
        raise ConfigurationError(f"{option}: table {table.name} has no column {mark.column!r}")
    if mark.column in (table.key, *table.match):
        raise ConfigurationError(f"{option}: records find their rows by {mark.column}; mark another column")
    column = table.column(mark.column)
    values, faults = parse_text(pl.Series([mark.value]), column, means_null=("",) if column.nullable else ())
    if faults is not None:
        message = fault_message(faults["code"][0], mark.column).replace(SHOWN, faults["shown"][0])
        raise ConfigurationError(f"{option}: {message}")
    return values.alias(mark.column)


def as_facts(delete_missing: Mapping[str, Mark | None]) -> dict[str, str]:
    """Return what is to be deleted, as the ledger keeps it: by table, how its rows are marked, if they are."""
    return {name: "" if mark is None else str(mark) for name, mark in sorted(delete_missing.items())}
