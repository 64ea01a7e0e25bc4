"""The options that say what becomes of rows that no record names, and the engine's options made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader import ConfigurationError
from async_loader.contrib.django.management.help import STORING, group

if TYPE_CHECKING:
    from async_loader import Mark, Table
    from async_loader.contrib.django.models.tables import ProjectTables


def add_deleting_options(parser: CommandParser) -> None:
    """Add the options of a load that keeps tables in step with their sources."""
    storing = group(parser, STORING)
    storing.add_argument(
        "--delete-missing",
        action="append",
        default=[],
        metavar="TABLE[:COLUMN=VALUE]",
        help="delete the rows that no record of this load names, but for those that other rows reference; with "
        "COLUMN=VALUE, give them this value instead. Needs --max-deletes; may be given for several tables",
    )
    storing.add_argument(
        "--max-deletes",
        metavar="N|N%",
        help="with more rows to delete than N of all tables together, or than N%% of the rows that a table had before, "
        "keep nothing of the run and exit 4",
    )


def deleting_options(project: ProjectTables, tables: Iterable[Table], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be deleted, as the engine's options. ConfigurationError for a name that nothing has."""
    missing = dict(_missing(project, argument) for argument in options["delete_missing"])
    if not missing:
        return {"delete_missing": missing}
    from async_loader.contrib.django.models.referrers import referrers_of

    chosen = [table for table in tables if table.name in missing]
    return {"delete_missing": missing, "referrers": tuple(referrers_of(chosen, project.declared))}


def _missing(project: ProjectTables, argument: str) -> tuple[str, Mark | None]:
    table, colon, mark = argument.partition(":")
    column, equals, value = mark.partition("=")
    if not table or (colon and not (equals and column)):
        raise ConfigurationError(f"--delete-missing {argument!r} is not of the form TABLE[:COLUMN=VALUE]")
    name = project.name(table)
    return name, async_loader.Mark(project.column_name(name, column), value) if colon else None
