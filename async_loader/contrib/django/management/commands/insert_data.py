"""`manage.py insert_data`: load sources into their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.cluster import add_cluster_options, cluster_of
from async_loader.contrib.django.management.deleting import add_deleting_options, deleting_options
from async_loader.contrib.django.management.finding import add_finding_options, finding_options
from async_loader.contrib.django.management.formats import add_format_options
from async_loader.contrib.django.management.help import STORING, group
from async_loader.contrib.django.management.options import add_report_options, add_run_options, options_of
from async_loader.contrib.django.management.reports import Assignment, ReportCommand
from async_loader.contrib.django.management.runs import interrupted, strictness
from async_loader.contrib.django.management.sources import add_reading_options, sources_of
from async_loader.contrib.django.terminal.text import rejected_lines, report_lines

if TYPE_CHECKING:
    from async_loader import Report, Source


_NAMELESS = "(one without a name)"
# Names of ignored columns in a warning; the report has all of them.
_IGNORED_SHOWN = 20


class Command(ReportCommand):
    """The command; `help` describes it."""

    help = "Check the records of sources and load them into their tables, each in its own database."
    paths = ("sources",)
    usage = "[TABLE[:FORMAT]=SOURCE ...] [options]"
    epilog = """\
example: check two files, and write nothing yet
  python manage.py insert_data shop.Customer=new.csv shop.Order=all.jsonl.gz -n

exit codes:
  0 done, 1 failed, 2 usage, 3 records rejected with --strict, 4 more rejects
  than --max-rejects or more rows to delete than --max-deletes, 130 Ctrl-C,
  143 SIGTERM
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser of the options, which may stand between sources."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        parser.add_argument(
            "sources",
            nargs="*",
            # A program may name `sources` then.
            default=[],
            metavar="TABLE[:FORMAT]=SOURCE",
            help="a source for a table; a table may have several. TABLE is the table's name in its database, or "
            "Django's name of its model (shop.Order), or of a many-to-many field for the table that Django makes of it "
            "(shop.Order.tags). SOURCE is a file, an address on shared or object storage "
            "(s3://bucket/all.csv), or - for stdin; of a JSON document, FILE#results.items names the array; of a "
            "spreadsheet, FILE#Sheet the sheet; of a ZIP archive, FILE.zip#member the file in it, which need not be "
            "named if it is the only one. FORMAT is csv, jsonl, ndjson, json, parquet or arrow, which may end in .gz, "
            ".bz2 or .zst, or xlsx, xlsm, xlsb, xls or ods. Without FORMAT the suffixes of the file's name decide, and "
            "stdin is csv "
            "(default: data/TABLE.csv for each table that ASYNC_LOADER_TABLES declares)",
        )
        add_reading_options(parser)
        add_format_options(parser)
        add_finding_options(parser)
        add_run_options(parser, with_dask=True)
        add_cluster_options(parser)
        storing = group(parser, STORING)
        storing.add_argument(
            "--commit-every",
            type=int,
            metavar="N",
            default=async_loader.Options().commit_every,
            help="commit after each N records of a table, with a checkpoint from which the same command goes on after "
            "a crash; 0 is one transaction for each database (default: %(default)s)",
        )
        storing.add_argument(
            "--restart",
            action="store_true",
            help="begin anew, even if an earlier run of these sources is unfinished",
        )
        add_deleting_options(parser)
        add_report_options(parser)

    def handle(self, *, sources: Sequence[str], mode: str, strict: bool, **options: Any) -> None:
        """Load the sources, and print the report."""
        from async_loader.contrib.django.models.databases import location, refuse_transactions
        from async_loader.contrib.django.models.tables import ProjectTables, databases_of

        project = ProjectTables()
        chosen = sources_of(project, sources, options)
        tables = project.tables(chosen, with_links=True)
        finding = finding_options(project, options) | deleting_options(project, tables, options)
        databases = databases_of(tables)
        databases |= {each.database: location(each.database) for each in finding.get("referrers", ())}
        cluster = cluster_of(mode, options)
        if cluster is not None:
            refuse_transactions(databases)
        self.carry_out(
            Assignment(
                begin=lambda show: async_loader.Run(
                    tables, chosen, databases, options_of(options, **finding), mode=mode, cluster=cluster, show=show
                ),
                lines=lambda _, report: report_lines(report, tables, is_reference=not sources),
                over_limit=lambda _, report: rejected_lines(report, tables),
                warnings=lambda _, report: _left_out(report),
                verdict=lambda report: strictness(report) if strict else None,
                interrupted=interrupted,
                used=[*_paths(chosen), *databases.values()],
                nothing_done="nothing was loaded",
                look_at="look at loader_runs for what the run did",
            ),
            options,
        )


def _left_out(report: Report) -> Iterator[str]:
    for name, table in report.tables.items():
        if table.blank_lines:
            lines = "1 line has" if table.blank_lines == 1 else f"{table.blank_lines:,} lines have"
            yield f"{name}: {lines} nothing in any field, which are no records"
        yield from (f"{name}: {warning}" for warning in table.warnings)
        if table.ignored_columns:
            more = len(table.ignored_columns) - _IGNORED_SHOWN
            columns = ", ".join(name or _NAMELESS for name in table.ignored_columns[:_IGNORED_SHOWN]) + (
                f" and {more:,} more" if more > 0 else ""
            )
            yield f"{name}: columns that the table does not have were ignored: {columns}"


def _paths(chosen: Mapping[str, Sequence[Source]]) -> list[Path]:
    return [source.file for sources in chosen.values() for source in sources if source.file is not None]
