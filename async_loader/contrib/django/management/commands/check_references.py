"""`manage.py check_references`: find stored rows that reference rows which do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.base import STRICT, Failure
from async_loader.contrib.django.management.options import add_report_options
from async_loader.contrib.django.management.reports import Assignment, ReportCommand
from async_loader.contrib.django.terminal.pace import ROWS
from async_loader.contrib.django.terminal.text import reference_lines

if TYPE_CHECKING:
    from async_loader import ReferenceReport


class Command(ReportCommand):
    """The command; `help` describes it."""

    help = "Find the rows that reference rows which do not exist. Nothing is written to any database."
    usage = "[TABLE ...] [options]"
    epilog = """\
example: check the orders, and write the report as a page
  python manage.py check_references shop.Order --report orphans.html

exit codes:
  0 none found, 1 failed, 2 usage, 3 some found, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        parser.add_argument(
            "names",
            nargs="*",
            default=[],
            metavar="TABLE",
            help="a table to check (default: all that reference others)",
        )
        add_report_options(parser, "rows at fault")

    def handle(self, *, names: Sequence[str], report_rejects: int, lock_timeout: float, **options: Any) -> None:
        """Check the tables, and print the report."""
        from async_loader.contrib.django.models.tables import ProjectTables, databases_of

        project = ProjectTables()
        tables = project.tables(names) if names else project.all_tables()
        databases = databases_of(tables)
        self.carry_out(
            Assignment(
                begin=lambda show: async_loader.ReferenceCheck(
                    tables,
                    databases,
                    map(project.name, names),
                    report_rejects=report_rejects,
                    lock_timeout=lock_timeout,
                    show=show,
                ),
                lines=lambda _, report: reference_lines(report),
                verdict=_findings,
                interrupted=lambda _: "interrupted: not all rows were checked; run the same command again",
                used=databases.values(),
                nothing_done="nothing was checked",
                counted=ROWS,
            ),
            options,
        )


def _findings(report: ReferenceReport) -> Failure | None:
    if not report.rejected:
        return None
    rows = "row references" if report.rejected == 1 else "rows reference"
    return Failure(f"{report.rejected:,} {rows} what does not exist", STRICT)
