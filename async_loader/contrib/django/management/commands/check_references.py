"""`manage.py check_references`: options in, one look at the tables that reference others, text or JSON out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from django.core.management.base import CommandParser

from async_loader import LoaderError, ReferenceCheck, ReferenceReport
from async_loader.contrib.django import tables
from async_loader.contrib.django.management.commands._command import (
    FAILED,
    INTERRUPTED,
    STRICT,
    TERMINATED,
    Failure,
    LoaderCommand,
)
from async_loader.contrib.django.management.commands._report import (
    add_report_options,
    as_file,
    refuse_to_overwrite,
    report_file,
    sigterm_as_ctrl_c,
    write_report,
)
from async_loader.contrib.django.pace import ROWS
from async_loader.contrib.django.progress import progress
from async_loader.contrib.django.text import reference_lines


class Command(LoaderCommand):
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
        no_progress: bool,
        verbosity: int,
        no_color: bool,
        **_: object,
    ) -> None:
        """Check, and say what was found."""
        declared = tables.tables(names) if names else self.all_tables()
        databases = tables.databases(declared)
        if report is not None:
            refuse_to_overwrite(report, databases.values())
        with progress(wanted=not no_progress and verbosity > 0, color=not no_color, words=ROWS) as show:
            check = ReferenceCheck(
                declared,
                databases,
                map(tables.table_name, names),
                report_rejects=report_rejects,
                lock_timeout=lock_timeout,
                show=show,
            )
            with report_file(report, "nothing was checked") as file:
                outcome, failure = _perform(check)
                as_json = json.dumps(outcome.as_dict(), indent=2)
                text = as_file(report, outcome, as_json)
                unwritten = None if file is None else write_report(file, text, "name another file")
        self.conclude(
            as_json if format == "json" else reference_lines(outcome),
            failure or unwritten or _findings(outcome),
            failed=failure is not None,
        )


def _perform(check: ReferenceCheck) -> tuple[ReferenceReport, Failure | None]:
    """The report, and what to leave with where the check did not complete."""
    try:
        with sigterm_as_ctrl_c() as terminated:
            return check.perform(), None
    except LoaderError as error:
        return check.report("failed", str(error)), Failure(str(error), FAILED)
    except KeyboardInterrupt:
        message = "interrupted: not all rows were looked at; run the same command again"
        return check.report("interrupted", message), Failure(message, TERMINATED if terminated else INTERRUPTED)


def _findings(outcome: ReferenceReport) -> Failure | None:
    if not outcome.rejected:
        return None
    rows = "row references" if outcome.rejected == 1 else "rows reference"
    return Failure(f"{outcome.rejected:,} {rows} what does not exist", STRICT)
