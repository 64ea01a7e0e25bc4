"""The options that say how records find the rows they speak of, and the engine's options made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader import ConfigurationError
from async_loader.contrib.django.management.help import FINDING, group

if TYPE_CHECKING:
    from async_loader.contrib.django.models.tables import ProjectTables


def add_finding_options(parser: CommandParser) -> None:
    """Add the options of a load whose sources do not know primary keys."""
    finding = group(parser, FINDING)
    finding.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="TABLE=COLUMN[,COLUMN]",
        help="find the row of a record by these columns, and give new rows a key; may be given for several tables",
    )
    finding.add_argument(
        "--append",
        action="append",
        default=[],
        metavar="TABLE",
        help="make each record a new row with a generated key; the source has no primary key. Content that was "
        "appended to the table before is refused; may be given for several tables",
    )
    finding.add_argument("--again", action="store_true", help="append content again that was appended before")
    finding.add_argument(
        "--on-missing",
        choices=async_loader.ON_MISSING,
        help="when no row has a record's match columns, or its primary key where there are none: insert a new row, or "
        "reject the record (default: as the table is declared, or else insert)",
    )


def finding_options(project: ProjectTables, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return how records find their rows, as the engine's options. ConfigurationError for a name that nothing has."""
    return {
        "match": _matches(project, options["match"]),
        "append": frozenset(project.name(table) for table in options["append"]),
        "again": options["again"],
        "on_missing": options["on_missing"],
    }


def _matches(project: ProjectTables, arguments: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the match columns by table. ConfigurationError for a table that is named twice."""
    matches: dict[str, tuple[str, ...]] = {}
    for argument in arguments:
        table, columns = _match(project, argument)
        if table in matches:
            names = ",".join(dict.fromkeys([*matches[table], *columns]))
            problem = f"--match is given twice for {table}; name all columns in one"
            raise ConfigurationError(f"{problem}: --match {table}={names}")
        matches[table] = columns
    return matches


def _match(project: ProjectTables, argument: str) -> tuple[str, tuple[str, ...]]:
    table, equals, names = argument.partition("=")
    columns = names.split(",")
    if not (equals and table and all(columns)):
        raise ConfigurationError(f"--match {argument!r} is not of the form TABLE=COLUMN[,COLUMN]")
    name = project.name(table)
    return name, tuple(_column(project, name, column) for column in columns)


def _column(project: ProjectTables, table: str, given: str) -> str:
    """Return the column that a match column means. ConfigurationError where there is none."""
    name = project.match_column(table, given)
    if name not in project.column_names(table):
        raise ConfigurationError(f"--match: table {table} has no column {name!r}; {project.column_hint(table, name)}")
    return name
