"""What every subcommand of `rejects` is, and the options by which most of them choose rejects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.help import CHOOSING, group
from async_loader.contrib.django.management.reports import ReportCommand
from async_loader.contrib.django.terminal import stored_rejects

if TYPE_CHECKING:
    from async_loader import RejectFilter, StoredRejects
    from async_loader.contrib.django.models.tables import ProjectTables


class Subcommand(ABC):
    """A subcommand, as its `--help` describes it."""

    name: str
    # One clause, for the list of subcommands; and sentences that its own help adds.
    summary: str
    more = ""
    usage = "[options]"
    # What the example does, and below it the command lines, indented.
    example: str

    @abstractmethod
    def add_options(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""

    @abstractmethod
    def run(self, command: ReportCommand, project: ProjectTables, **options: Any) -> None:
        """Do what the subcommand is for, and print what came of it."""


def add_filter(parser: CommandParser) -> None:
    """Add the options that choose rejects."""
    choosing = group(parser, CHOOSING)
    choosing.add_argument("--table", help="only rejects of this table")
    choosing.add_argument(
        "--reason", metavar="[COLUMN.]CODE", help="only rejects with this reason, such as missing or name.missing"
    )
    add_run(parser)


def add_run(parser: CommandParser) -> None:
    """Add the option that chooses a run."""
    group(parser, CHOOSING).add_argument("--run", help="only rejects of this run")


def filter_of(project: ProjectTables, options: Mapping[str, Any]) -> RejectFilter:
    """Return the filter that those options describe. Raises ConfigurationError for an unknown table, and for one
    that cannot be loaded.
    """
    table = None if options["table"] is None else project.name(options["table"])
    if table is not None:
        project.check(table)
    return async_loader.RejectFilter(table, options["run"], options["reason"])


def reason_warnings(project: ProjectTables, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line where no stored reject has the reason that the options ask for, with those that there are."""
    if options["reason"] is None:
        return
    table = None if options["table"] is None else project.name(options["table"])
    runs = stored_rejects_of(project, options["lock_timeout"]).overview(options["run"])
    if (warning := stored_rejects.unknown_reason(options["reason"], runs, table)) is not None:
        yield warning


def stored_rejects_of(project: ProjectTables, lock_timeout: float) -> StoredRejects:
    """Return the rejects that the databases of all tables hold."""
    from async_loader.contrib.django.models.tables import databases_of

    tables = project.all_tables()
    return async_loader.StoredRejects(tables, databases_of(tables), lock_timeout=lock_timeout)
