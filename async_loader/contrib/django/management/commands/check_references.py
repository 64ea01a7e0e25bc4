"""`manage.py check_references`: options in, one look at the tables that reference others, text or JSON out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from async_loader import ReferenceCheck, ReferenceReport
from async_loader.contrib.django.management.commands._command import STRICT, Failure
from async_loader.contrib.django.management.commands._report import (
    ReportCommand,
    add_report_options,
    performed,
    progress_as,
)
from async_loader.contrib.django.models.tables import ProjectTables, databases_of
from async_loader.contrib.django.terminal.pace import ROWS
from async_loader.contrib.django.terminal.text import reference_lines


class Command(ReportCommand):
    """See `help`."""

    help = "Find the rows that reference what does not exist. Nothing is written to any database."
    usage = "[TABLE ...] [options]"
    epilog = """\
example: check the orders, and write what was found as a page
  python manage.py check_references shop.Order --report orphans.html

exit codes:
  0 none found, 1 failed, 2 usage, 3 some found, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """The options, as docs/reference.md lists them."""
        parser.add_argument(
            "names", nargs="*", metavar="TABLE", help="a table to check (default: all that reference others)"
        )
        add_report_options(parser, "rows at fault")

    def handle(
        self,
        *,
        names: Sequence[str],
        format: str,  # noqa: A002 - the option's name
        report: Path | None,
        report_rejects: int,
        lock_timeout: float,
        **options: Any,
    ) -> None:
        """Check, and say what was found."""
        project = ProjectTables()
        declared = project.tables(names) if names else self.all_tables(project)
        databases = databases_of(declared)

        def perform() -> tuple[ReferenceReport, Failure | None]:
            with progress_as(options, ROWS) as show:
                check = ReferenceCheck(
                    declared,
                    databases,
                    map(project.name, names),
                    report_rejects=report_rejects,
                    lock_timeout=lock_timeout,
                    show=show,
                )
                return performed(check, lambda: "interrupted: not all rows were looked at; run the same command again")

        self.carry_out(
            perform,
            lines=reference_lines,
            verdict=_findings,
            format=format,
            report=report,
            used=databases.values(),
            nothing="nothing was checked",
        )


def _findings(outcome: ReferenceReport) -> Failure | None:
    if not outcome.rejected:
        return None
    rows = "row references" if outcome.rejected == 1 else "rows reference"
    return Failure(f"{outcome.rejected:,} {rows} what does not exist", STRICT)
