"""`manage.py verify`: options in, one look at the ledgers of all databases, text or JSON out."""

from __future__ import annotations

from pathlib import Path

from django.core.management.base import CommandParser

from async_loader import Verification, VerificationReport
from async_loader.contrib.django.management.commands._command import STRICT, USAGE, Failure
from async_loader.contrib.django.management.commands._report import ReportCommand, add_output_options, performed
from async_loader.contrib.django.models.tables import ProjectTables, databases_of
from async_loader.contrib.django.terminal.text import verification_lines
from async_loader.contrib.django.terminal.wording import number_of


class Command(ReportCommand):
    """See `help`."""

    help = "Hold what loads said that they did against what is in the databases. Nothing is written to any of them."
    usage = "[RUN] [options]"
    epilog = """\
example: look at all runs, for a program
  python manage.py verify --format json

exit codes:
  0 all agrees, 1 failed, 2 usage, 3 something does not, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """The options, as docs/reference.md lists them."""
        parser.add_argument("run", nargs="?", metavar="RUN", help="the run to look at (default: all)")
        add_output_options(parser)

    def handle(
        self,
        *,
        run: str | None,
        format: str,  # noqa: A002 - the option's name
        report: Path | None,
        lock_timeout: float,
        **_: object,
    ) -> None:
        """Look, and say what was found."""
        declared = self.all_tables(ProjectTables())
        databases = databases_of(declared)
        verification = Verification(declared, databases, run, lock_timeout=lock_timeout)
        self.carry_out(
            lambda: performed(
                verification,
                lambda: "interrupted: not everything was looked at; run the same command again",
                misconfigured=USAGE,
            ),
            lines=verification_lines,
            verdict=_findings,
            format=format,
            report=report,
            used=databases.values(),
            nothing="nothing was verified",
        )


def _findings(outcome: VerificationReport) -> Failure | None:
    if not outcome.findings:
        return None
    findings = number_of(outcome.findings, "finding")
    return Failure(f"{findings}: ledger and databases do not agree, or a run is unfinished", STRICT)
