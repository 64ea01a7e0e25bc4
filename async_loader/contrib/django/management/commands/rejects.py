"""`manage.py rejects`: list the runs that have rejects; the subcommands work on the rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from async_loader.contrib.django.management.interrupts import sigterm_as_ctrl_c
from async_loader.contrib.django.management.options import add_format, add_lock_timeout
from async_loader.contrib.django.management.rejects.discard import Discard
from async_loader.contrib.django.management.rejects.export import Export
from async_loader.contrib.django.management.rejects.parsers import add_subcommands
from async_loader.contrib.django.management.rejects.retry import RetryRejects
from async_loader.contrib.django.management.rejects.show import Show
from async_loader.contrib.django.management.rejects.subcommand import Subcommand, add_run, stored_rejects_of
from async_loader.contrib.django.management.reports import ReportCommand
from async_loader.contrib.django.terminal import stored_rejects

if TYPE_CHECKING:
    from async_loader.contrib.django.models.tables import ProjectTables

_SUBCOMMANDS: dict[str, Subcommand] = {each.name: each for each in (Show(), Export(), RetryRejects(), Discard())}


class Command(ReportCommand):
    """The command; `help` describes it."""

    help = (
        "Look at the records that loads have rejected, mend them, try them again or discard them. Without a "
        "subcommand: list the runs, the newest last, with how many of their rejects are still stored, and why. A run "
        "without any, whose sources have been loaded again since, is listed only where --run names it."
    )
    usage = "[SUBCOMMAND] [options]"
    epilog = """\
example: mend rejects in a spreadsheet, and load them again
  python manage.py rejects export bad.csv --table shop.Order
  python manage.py insert_data shop.Order=bad.csv

exit codes:
  0 done, 1 failed, 2 usage, 3 and 4 from retry as from insert_data,
  130 Ctrl-C, 143 SIGTERM
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser; its subparsers report a usage error as it does."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        for subparser in self.subparsers:
            subparser.error = parser.error  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options and subcommands, as docs/reference.md lists them."""
        self.subparsers = add_subcommands(
            parser, _SUBCOMMANDS.values(), own_options=(add_run, add_lock_timeout, add_format)
        )

    def handle(self, *, action: str | None, **options: Any) -> None:
        """Run the subcommand, or print the list of runs."""
        from async_loader.contrib.django.models.tables import ProjectTables

        with sigterm_as_ctrl_c(owns_process=self.owns_process) as interrupts:
            try:
                project = ProjectTables()
                if action is None:
                    self._print_runs(project, options)
                else:
                    _SUBCOMMANDS[action].run(self, project, **options)
            except KeyboardInterrupt as error:
                raise interrupts.ending("interrupted: `rejects` lists what is stored now") from error

    def _print_runs(self, project: ProjectTables, options: dict[str, Any]) -> None:
        runs = stored_rejects_of(project, options["lock_timeout"]).overview(options["run"])
        as_json = options["format"] == "json"
        self.print_lines([stored_rejects.overview_json(runs)] if as_json else stored_rejects.overview_lines(runs))
