"""`manage.py verify`: options in, one look at the ledgers of all databases, text or JSON out."""

from __future__ import annotations

import json
from pathlib import Path

from django.core.management.base import CommandParser

from async_loader import ConfigurationError, LoaderError, Verification, VerificationReport
from async_loader.contrib.django import tables
from async_loader.contrib.django.management.commands._command import (
    FAILED,
    INTERRUPTED,
    STRICT,
    TERMINATED,
    USAGE,
    Failure,
    LoaderCommand,
)
from async_loader.contrib.django.management.commands._report import (
    add_output_options,
    as_file,
    refuse_to_overwrite,
    report_file,
    sigterm_as_ctrl_c,
    write_report,
)
from async_loader.contrib.django.text import verification_lines


class Command(LoaderCommand):
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
        declared = self.all_tables()
        databases = tables.databases(declared)
        if report is not None:
            refuse_to_overwrite(report, databases.values())
        verification = Verification(declared, databases, run, lock_timeout=lock_timeout)
        with report_file(report, "nothing was verified") as file:
            outcome, failure = _perform(verification)
            as_json = json.dumps(outcome.as_dict(), indent=2)
            text = as_file(report, outcome, as_json)
            unwritten = None if file is None else write_report(file, text, "name another file")
        self.conclude(
            as_json if format == "json" else verification_lines(outcome),
            failure or unwritten or _findings(outcome),
            failed=failure is not None,
        )


def _perform(verification: Verification) -> tuple[VerificationReport, Failure | None]:
    """The report, and what to leave with where the look did not complete."""
    try:
        with sigterm_as_ctrl_c() as terminated:
            return verification.perform(), None
    except LoaderError as error:
        code = USAGE if isinstance(error, ConfigurationError) else FAILED
        return verification.report("failed", str(error)), Failure(str(error), code)
    except KeyboardInterrupt:
        message = "interrupted: not everything was looked at; run the same command again"
        return verification.report("interrupted", message), Failure(message, TERMINATED if terminated else INTERRUPTED)


def _findings(outcome: VerificationReport) -> Failure | None:
    if not outcome.findings:
        return None
    findings = "1 finding" if outcome.findings == 1 else f"{outcome.findings:,} findings"
    return Failure(f"{findings}: ledger and databases do not agree, or a run is unfinished", STRICT)
