"""`manage.py rejects retry`: load rejects again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader import ConfigurationError
from async_loader.contrib.django.management.base import USAGE, Failure
from async_loader.contrib.django.management.options import add_report_options, add_run_options, options_of
from async_loader.contrib.django.management.rejects.subcommand import (
    Subcommand,
    add_filter,
    filter_of,
    reason_warnings,
)
from async_loader.contrib.django.management.reports import Assignment, ReportCommand
from async_loader.contrib.django.management.runs import interrupted, strictness
from async_loader.contrib.django.terminal import stored_rejects
from async_loader.contrib.django.terminal.text import rejected_lines, report_lines

if TYPE_CHECKING:
    from async_loader import Report, Retry, Table
    from async_loader.contrib.django.models.tables import ProjectTables


class RetryRejects(Subcommand):
    """Load rejects again from where they are stored."""

    name = "retry"
    summary = "try stored rejects again as they are"
    more = (
        " Those that pass now are stored and leave the rejects; those that fail again stay, with the reasons that they "
        "have now."
    )
    example = """once the customers have been loaded
  python manage.py rejects retry --reason customer_id.exists_in"""

    def add_options(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        add_filter(parser)
        add_run_options(parser)
        add_report_options(parser)

    def run(self, command: ReportCommand, project: ProjectTables, **options: Any) -> None:
        """Load the rejects that the options choose, and print the report."""
        from async_loader.contrib.django.models.tables import databases_of

        tables = project.all_tables(with_links=True)
        databases = databases_of(tables)
        chosen, engine_options = filter_of(project, options), options_of(options)
        command.carry_out(
            Assignment(
                begin=lambda show: _RetryWork(
                    async_loader.Retry(tables, chosen, databases, engine_options, mode=options["mode"], show=show)
                ),
                warnings=lambda work, report: [
                    *work.retry.left,
                    *(
                        reason_warnings(project, options)
                        if report.status == "complete" and work.retry.nothing_to_do
                        else ()
                    ),
                ],
                lines=lambda work, report: _lines(work.retry, report, tables),
                over_limit=lambda _, report: rejected_lines(report, tables),
                verdict=lambda report: strictness(report) if options["strict"] else None,
                interrupted=lambda work: interrupted(work.retry),
                used=databases.values(),
                nothing_done="nothing was tried again",
                look_at="look at loader_runs for what the run did",
            ),
            options,
        )


def _lines(retry: Retry, report: Report, tables: Sequence[Table]) -> Iterable[str]:
    return [stored_rejects.NOTHING] if retry.nothing_to_do else report_lines(report, tables)


class _RetryWork:
    """A retry, for which a filter with an unknown run or reason is a usage error."""

    def __init__(self, retry: Retry) -> None:
        self.retry = retry

    def perform(self) -> Report:
        """Find the rejects, and try them again. Raises LoaderError, and Failure for the filter."""
        try:
            self.retry.find()
        except ConfigurationError as error:
            raise Failure(str(error), USAGE) from error
        return self.retry.perform()

    def report(self, status: str, error: str | None = None) -> Report:
        """Return the report of what has been done by now, under this status."""
        return self.retry.report(status, error)
