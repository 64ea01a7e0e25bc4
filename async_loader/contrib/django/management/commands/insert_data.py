"""`manage.py insert_data`: options in, one run of the loader, text or JSON out."""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from async_loader import DASK, MODES, ConfigurationError, Options, Report, Run, Source
from async_loader.contrib.django.management.commands._cluster import add_cluster_options, cluster_of
from async_loader.contrib.django.management.commands._command import Failure
from async_loader.contrib.django.management.commands._help import READING, STORED, group
from async_loader.contrib.django.management.commands._report import ReportCommand, add_report_options, performed
from async_loader.contrib.django.management.commands._run import add_run_options, interrupted, strictness
from async_loader.contrib.django.output import complain
from async_loader.contrib.django.progress import progress
from async_loader.contrib.django.tables import ProjectTables, databases_of
from async_loader.contrib.django.text import report_lines

_DEFAULTS = Options()
_DELIMITERS = {"tab": "\t", "\\t": "\t"}


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
        _add_reading_options(parser)
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
        delimiter: str,
        mode: str,
        format: str,  # noqa: A002 - the option's name
        report: Path | None,
        strict: bool,
        no_progress: bool,
        verbosity: int,
        no_color: bool,
        **options: Any,
    ) -> None:
        """Load, and say what came of it."""
        project = ProjectTables()
        delimiter = _DELIMITERS.get(delimiter, delimiter)
        reading = Reading.of(project, delimiter, names=options["map"], constants=options["set"], nulls=options["null"])
        chosen = _sources(sources or _sample(project), reading)
        declared = project.tables(chosen)
        databases = databases_of(declared)
        cluster = cluster_of(mode, options)
        wanted = Options(**{field.name: options[field.name] for field in dataclasses.fields(Options)})

        def perform() -> tuple[Report, Failure | None]:
            with progress(wanted=not no_progress and verbosity > 0, color=not no_color) as show:
                # What is imported by now stays: the garbage collector need not look at it again and again.
                gc.freeze()
                run = Run(declared, chosen, databases, wanted, mode=mode, cluster=cluster, show=show)
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


def _add_reading_options(parser: CommandParser) -> None:
    reading = group(parser, READING)
    reading.add_argument(
        "--delimiter",
        default=",",
        metavar="C",
        help="what separates the fields of CSV; tab or \\t is a tab (default: %(default)s)",
    )
    reading.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="TABLE.COLUMN=NAME",
        help="what the source calls a column, if neither by its own name nor as Django calls the attribute; may be "
        "given several times",
    )
    reading.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.COLUMN=VALUE",
        help="the value of a column in all records, whatever the source has; may be given several times",
    )
    reading.add_argument(
        "--null",
        action="append",
        default=[],
        metavar="[TABLE=]TEXT",
        help="text that stands for null, in all tables or in one; may be given several times",
    )


def _sample(project: ProjectTables) -> list[str]:
    """A file for each table that the project declares."""
    if not project.declared:
        raise ConfigurationError("nothing to load: name sources as TABLE=SOURCE; --help tells more")
    directory = os.path.relpath(settings.BASE_DIR / "data")
    return [f"{table.name}={os.path.join(directory, table.name)}.csv" for table in project.declared]


@dataclass(frozen=True, slots=True)
class Reading:
    """How sources are read into a project's tables: `names`, `constants` and `nulls` by table, null spellings for all
    tables under no name.
    """

    project: ProjectTables
    delimiter: str
    names: Mapping[str, Mapping[str, str]]
    constants: Mapping[str, Mapping[str, str]]
    nulls: Mapping[str, Sequence[str]]

    @classmethod
    def of(
        cls,
        project: ProjectTables,
        delimiter: str,
        *,
        names: Sequence[str],
        constants: Sequence[str],
        nulls: Sequence[str],
    ) -> Reading:
        """From the command line. ConfigurationError for what is not of the form that its option wants."""
        spellings: dict[str, list[str]] = {}
        for given in nulls:
            table, equals, text = given.partition("=")
            table, text = (table, text) if equals else ("", given)
            spellings.setdefault(project.name(table) if table else "", []).append(text)
        return cls(
            project,
            delimiter,
            _by_column(project, "--map", names),
            _by_column(project, "--set", constants),
            spellings,
        )

    def source(self, table: str, path: str, file_format: str) -> Source:
        """A source of that table."""
        return Source(
            path,
            file_format,
            self.delimiter,
            names=self.names.get(table, {}),
            expected=self.project.source_names(table),
            constants=self.constants.get(table, {}),
            means_null=(*self.nulls.get("", ()), *self.nulls.get(table, ())),
        )

    def tables(self) -> set[str]:
        """All that are spoken of."""
        return {*self.names, *self.constants, *self.nulls} - {""}


def _by_column(project: ProjectTables, option: str, arguments: Sequence[str]) -> dict[str, dict[str, str]]:
    """What is said of columns, by table and column."""
    said: dict[str, dict[str, str]] = {}
    for argument in arguments:
        target, equals, text = argument.partition("=")
        table, _, column = target.rpartition(".")
        if not (equals and table and column) or (option == "--map" and not text):
            raise ConfigurationError(f"{option} {argument!r} is not of the form TABLE.COLUMN=...")
        name = project.name(table)
        said.setdefault(name, {})[project.column_name(name, column)] = text
    return said


def _sources(arguments: Sequence[str], reading: Reading) -> dict[str, list[Source]]:
    """By table, in the order given. ConfigurationError for what is no TABLE[:FORMAT]=SOURCE."""
    sources: dict[str, list[Source]] = {}
    for argument in arguments:
        target, equals, path = argument.partition("=")
        if not (equals and target and path):
            raise ConfigurationError(f"{argument!r} is not of the form TABLE=SOURCE")
        table, _, file_format = target.partition(":")
        name = reading.project.name(table)
        sources.setdefault(name, []).append(reading.source(name, path, file_format))
    if others := reading.tables() - set(sources):
        raise ConfigurationError(f"--map, --set or --null speaks of {', '.join(sorted(others))}, which is not loaded")
    return sources


def _paths(sources: Mapping[str, Sequence[Source]]) -> list[Path]:
    return [source.file for given in sources.values() for source in given if source.file is not None]
