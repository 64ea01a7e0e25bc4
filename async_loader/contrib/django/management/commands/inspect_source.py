"""`manage.py inspect_source`: guess how a file is written, and print the command that loads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from async_loader.contrib.django.management.base import USAGE
from async_loader.contrib.django.management.commands import insert_data
from async_loader.contrib.django.management.finding import finding_options
from async_loader.contrib.django.management.options import add_format, add_report_file
from async_loader.contrib.django.management.reports import Assignment, ReportCommand
from async_loader.contrib.django.management.sources import sources_of

if TYPE_CHECKING:
    from async_loader import Source
    from async_loader.contrib.django.models.tables import ProjectTables


class Command(ReportCommand):
    """The command; `help` describes it."""

    help = (
        "Look at a file and guess how it is written: its format, encoding, dialect and header, the types and spellings "
        "of its columns, with the evidence; how they fit a model; and what a load would reject. Prints the insert_data "
        "command that reads the file right, and without a model a model to paste. Of a large file, samples of both "
        "ends are looked at. Nothing is written to any database."
    )
    paths = ("file",)
    usage = "FILE [--model MODEL] [options]"
    epilog = """\
example: see how a price list fits a model
  python manage.py inspect_source prices.csv --model shop.Product

exit codes:
  0 done, 1 failed, 2 usage, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        parser.add_argument(
            "file",
            metavar="FILE",
            help="the file, or an address on shared or object storage; of a JSON document, FILE#results.items names "
            "the array; of a spreadsheet, FILE#Sheet the sheet",
        )
        parser.add_argument(
            "--model",
            metavar="MODEL",
            default="",
            help="the table that the file is for: Django's name of its model (shop.Order), or the table's name in its "
            "database (default: none; a model is proposed)",
        )
        parser.add_argument(
            "--base",
            metavar="FORMAT",
            default="",
            help="the file's format, such as csv or jsonl, if it is known (default: guessed by its content)",
        )
        add_format(parser)
        add_report_file(parser)

    def handle(self, *, file: str, model: str, base: str, **options: Any) -> None:
        """Inspect the file, and print the report."""
        from async_loader.contrib.django.inspection.work import InspectionWork
        from async_loader.contrib.django.models.tables import ProjectTables
        from async_loader.contrib.django.terminal.inspection import inspection_lines

        project = ProjectTables()
        if model:
            project.check(project.name(model))
        self.carry_out(
            Assignment(
                begin=lambda _: InspectionWork(file, base, project, model, _parsed),
                lines=lambda _, report: inspection_lines(report),
                verdict=lambda _: None,
                interrupted=lambda _: "interrupted: the file was not looked at to its end",
                used=[Path(file.partition("#")[0])],
                nothing_done="nothing was inspected",
                counted=None,
                misconfigured=USAGE,
            ),
            options,
        )


def _parsed(project: ProjectTables, arguments: list[str]) -> tuple[dict[str, list[Source]], dict[str, Any]]:
    """Return the sources and options of a load that `insert_data` would make of its arguments."""
    parser = insert_data.Command().create_parser("manage.py", "insert_data")
    options = vars(parser.parse_args(arguments))
    return sources_of(project, options["sources"], options), finding_options(project, options)
