"""`manage.py rejects discard`: delete rejects."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader import ConfigurationError
from async_loader.contrib.django.management.help import CHOOSING, RUNNING, group
from async_loader.contrib.django.management.interrupts import answer
from async_loader.contrib.django.management.options import add_lock_timeout
from async_loader.contrib.django.management.rejects.subcommand import (
    Subcommand,
    add_filter,
    filter_of,
    reason_warnings,
    stored_rejects_of,
)
from async_loader.contrib.django.management.reports import ReportCommand
from async_loader.contrib.django.terminal import stored_rejects
from async_loader.contrib.django.terminal.wording import number_of

if TYPE_CHECKING:
    from async_loader.contrib.django.models.tables import ProjectTables


class Discard(Subcommand):
    """Delete rejects, once the user has agreed."""

    name = "discard"
    summary = "delete stored rejects"
    more = " The ledger keeps how many."
    example = """records whose keys came twice
  python manage.py rejects discard --reason duplicate --run RUN"""

    def add_options(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        add_filter(parser)
        group(parser, CHOOSING).add_argument("--all", action="store_true", help="all rejects, of all tables and runs")
        group(parser, RUNNING).add_argument("--yes", action="store_true", help="do not ask")
        add_lock_timeout(parser)

    def run(self, command: ReportCommand, project: ProjectTables, **options: Any) -> None:
        """Delete the rejects that the options choose, and print how many."""
        chosen = filter_of(project, options)
        if (chosen == async_loader.RejectFilter()) != options["all"]:
            raise ConfigurationError("say what to discard: by --table, --reason and --run, or --all")
        if not options["yes"] and not sys.stdin.isatty():
            raise ConfigurationError("discarding asks first, and stdin is no terminal: add --yes")
        discarded = stored_rejects_of(project, options["lock_timeout"]).discard(
            chosen, lambda counts: options["yes"] or _is_confirmed(command, stored_rejects.counted(counts))
        )
        if discarded is None:
            command.print_lines(["Nothing was discarded."])
        elif discarded:
            command.print_lines([f"{number_of(discarded, 'reject')} discarded."])
        else:
            for line in reason_warnings(project, options):
                command.warn(line)
            command.print_lines([stored_rejects.NOTHING])


def _is_confirmed(command: ReportCommand, rejects: str) -> bool:
    """Ask on the terminal, and return whether the answer is yes."""
    command.stdout.write(f"Discard {rejects}? They cannot be brought back. [y/N] ", ending="")
    command.stdout.flush()
    return answer().strip().lower() in ("y", "yes")
