"""`manage.py rejects export`: write rejects to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from async_loader.contrib.django.management.options import add_lock_timeout
from async_loader.contrib.django.management.rejects.subcommand import (
    Subcommand,
    add_filter,
    filter_of,
    reason_warnings,
    stored_rejects_of,
)
from async_loader.contrib.django.management.reports import ReportCommand
from async_loader.contrib.django.terminal import stored_rejects

if TYPE_CHECKING:
    from async_loader.contrib.django.models.tables import ProjectTables


class Export(Subcommand):
    """Write rejects to a file in the format of their source."""

    name = "export"
    summary = "write stored rejects of one table to a file, to be mended and loaded again"
    usage = "FILE [options]"
    example = """the rejects of one run
  python manage.py rejects export bad.csv --table shop.Order --run RUN
  python manage.py insert_data shop.Order=bad.csv"""

    def add_options(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        parser.add_argument(
            "file",
            type=Path,
            metavar="FILE",
            help="a new file; its suffix names the format, which is that of the source: .csv, .jsonl, .ndjson, "
            ".json, .parquet or .xlsx. Rejects of sources with other columns go to FILE-2 and so on, before the suffix",
        )
        add_filter(parser)
        add_lock_timeout(parser)

    def run(self, command: ReportCommand, project: ProjectTables, **options: Any) -> None:
        """Write the rejects that the options choose, and print the command line that loads them."""
        stored = stored_rejects_of(project, options["lock_timeout"])
        exported = stored.export(filter_of(project, options), options["file"])
        if exported is None:
            for line in reason_warnings(project, options):
                command.warn(line)
            command.print_lines([stored_rejects.NOTHING])
            return
        for line in exported.left:
            command.warn(line)
        command.print_lines(stored_rejects.exported_lines(exported))
