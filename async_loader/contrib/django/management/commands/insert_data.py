"""`manage.py insert_data`: options in, one run of the loader, text or JSON out."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from async_loader import DASK, MODES, Options, Report, Run, Source
from async_loader.contrib.django.management.commands._cluster import add_cluster_options, cluster_of
from async_loader.contrib.django.management.commands._command import Failure
from async_loader.contrib.django.management.commands._help import STORED, group
from async_loader.contrib.django.management.commands._report import (
    ReportCommand,
    add_report_options,
    performed,
    progress_as,
)
from async_loader.contrib.django.management.commands._run import (
    add_run_options,
    interrupted,
    options_of,
    strictness,
)
from async_loader.contrib.django.management.commands._sources import add_reading_options, sources_of
from async_loader.contrib.django.models.tables import ProjectTables, databases_of
from async_loader.contrib.django.terminal.output import complain
from async_loader.contrib.django.terminal.text import report_lines

_DEFAULTS = Options()


class Command(ReportCommand):
    """See `help`."""

    help = "Check the records of sources and load them into their tables, each in its own database."
    usage = "[TABLE[:FORMAT]=SOURCE ...] [options]"
    epilog = """\
example: check two files, and write nothing yet
  python manage.py insert_data shop.Customer=new.csv shop.Order=all.jsonl.gz -n

exit codes:
  0 done, 1 failed, 2 usage, 3 records rejected with --strict, 4 more rejects
  than --max-rejects, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """The options, as docs/reference.md lists them."""
        parser.add_argument(
            "sources",
            nargs="*",
            metavar="TABLE[:FORMAT]=SOURCE",
            help="what to load into a table; may be given several times for one. TABLE is called as in its database or "
            "as Django calls its model (shop.Order). SOURCE is a file, an address on shared or object storage "
            "(s3://bucket/all.csv), or - for stdin. FORMAT is csv, jsonl, ndjson or parquet, the first three also with "
            ".gz, .bz2 or .zst behind; without it the suffixes of the file say it, "
            "and stdin is csv (default: data/TABLE.csv for every table that ASYNC_LOADER_TABLES declares)",
        )
        add_reading_options(parser)
        add_run_options(parser, (*MODES, DASK))
        add_cluster_options(parser)
        stored = group(parser, STORED)
        stored.add_argument(
            "--commit-every",
            type=int,
            metavar="N",
            default=_DEFAULTS.commit_every,
            help="commit each N records of a table with a checkpoint, from which the same command goes on after a "
            "crash; 0 is one transaction per database (default: %(default)s)",
        )
        stored.add_argument(
            "--restart",
            action="store_true",
            help="begin anew, even where an earlier run of these sources is unfinished",
        )
        add_report_options(parser)

    def handle(
        self,
        *,
        sources: Sequence[str],
        mode: str,
        format: str,  # noqa: A002 - the option's name
        report: Path | None,
        strict: bool,
        **options: Any,
    ) -> None:
        """Load, and say what came of it."""
        project = ProjectTables()
        chosen = sources_of(project, sources, options)
        declared = project.tables(chosen)
        databases = databases_of(declared)
        cluster = cluster_of(mode, options)

        def perform() -> tuple[Report, Failure | None]:
            with progress_as(options) as show:
                # What is imported by now stays: the garbage collector need not look at it again and again.
                gc.freeze()
                run = Run(declared, chosen, databases, options_of(options), mode=mode, cluster=cluster, show=show)
                outcome, failure = performed(run, lambda: interrupted(run))
            _warn_of_ignored_columns(outcome)
            return outcome, failure

        self.carry_out(
            perform,
            lines=lambda outcome: report_lines(outcome, declared),
            verdict=lambda outcome: strictness(outcome) if strict else None,
            format=format,
            report=report,
            used=[*_paths(chosen), *databases.values()],
            nothing="nothing was loaded",
            advice="look at loader_runs for what the run did",
        )


def _warn_of_ignored_columns(outcome: Report) -> None:
    for name, table in outcome.tables.items():
        if table.ignored_columns:
            ignored = ", ".join(table.ignored_columns)
            complain(f"warning: {name}: columns that the table does not have were ignored: {ignored}")


def _paths(sources: Mapping[str, Sequence[Source]]) -> list[Path]:
    return [source.file for given in sources.values() for source in given if source.file is not None]
