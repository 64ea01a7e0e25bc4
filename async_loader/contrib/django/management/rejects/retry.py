"""`manage.py rejects retry`: load rejects again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from async_loader import ConfigurationError, Report, Retry
from async_loader.contrib.django.management.base import USAGE, Failure
from async_loader.contrib.django.management.options import add_report_options, add_run_options, options_of
from async_loader.contrib.django.management.rejects.subcommand import Subcommand, add_filter, filter_of
from async_loader.contrib.django.management.reports import Assignment, ReportCommand
from async_loader.contrib.django.management.runs import interrupted, strictness
from async_loader.contrib.django.models.tables import ProjectTables, databases_of
from async_loader.contrib.django.terminal import stored_rejects
from async_loader.contrib.django.terminal.text import report_lines


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
        tables = command.all_tables(project)
        databases = databases_of(tables)
        chosen = filter_of(project, options)

        def lines(retry: Retry, report: Report) -> Any:
            return [stored_rejects.NOTHING] if retry.nothing_to_do else report_lines(report, tables)

        command.carry_out(
            Assignment(
                begin=lambda show: _Retry(
                    tables, chosen, databases, options_of(options), mode=options["mode"], show=show
                ),
                warnings=lambda retry, _: retry.left,
                lines=lines,
                verdict=lambda report: strictness(report) if options["strict"] else None,
                interrupted=interrupted,
                used=databases.values(),
                nothing_done="nothing was tried again",
                look_at="look at loader_runs for what the run did",
            ),
            options,
        )


class _Retry(Retry):
    """A retry that ends as a usage error where the filter names a run or reason that does not exist."""

    def find(self) -> None:
        """Find the rejects to try again."""
        try:
            super().find()
        except ConfigurationError as error:
            raise Failure(str(error), USAGE) from error
