"""`manage.py verify`: compare what the ledgers say with what the databases hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.base import STRICT, USAGE, Failure
from async_loader.contrib.django.management.options import add_output_options
from async_loader.contrib.django.management.reports import Assignment, ReportCommand
from async_loader.contrib.django.terminal.text import verification_lines
from async_loader.contrib.django.terminal.wording import number_of

if TYPE_CHECKING:
    from async_loader import VerificationReport


class Command(ReportCommand):
    """The command; `help` describes it."""

    help = "Compare what loads have recorded with what the databases hold. Nothing is written to any of them."
    usage = "[RUN] [options]"
    epilog = """\
example: verify all runs, with a report for a program
  python manage.py verify --format json

exit codes:
  0 all agrees, 1 failed, 2 usage, 3 something does not, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        parser.add_argument("run", nargs="?", metavar="RUN", help="the id of the run to verify (default: all)")
        add_output_options(parser)

    def handle(self, *, run: str | None, lock_timeout: float, **options: Any) -> None:
        """Verify the runs, and print the report."""
        from async_loader.contrib.django.models.tables import ProjectTables, databases_of

        tables = ProjectTables().all_tables()
        databases = databases_of(tables)
        self.carry_out(
            Assignment(
                begin=lambda _: async_loader.Verification(tables, databases, run, lock_timeout=lock_timeout),
                lines=lambda _, report: verification_lines(report),
                verdict=_findings,
                interrupted=lambda _: "interrupted: not everything was verified; run the same command again",
                used=databases.values(),
                nothing_done="nothing was verified",
                counted=None,
                misconfigured=USAGE,
            ),
            options,
        )


def _findings(report: VerificationReport) -> Failure | None:
    if not report.findings:
        return None
    findings = number_of(report.findings, "finding")
    return Failure(f"{findings}: ledger and databases do not agree, or a run is unfinished", STRICT)
