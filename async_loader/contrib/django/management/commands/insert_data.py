"""`manage.py insert_data`: options in, one run of the loader, text or JSON out."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from async_loader import (
    MODES,
    ON_CONFLICT,
    ConfigurationError,
    LoaderError,
    Options,
    OverLimitError,
    Report,
    Run,
    Source,
)
from async_loader.contrib.django import tables
from async_loader.contrib.django.management.commands._command import (
    FAILED,
    INTERRUPTED,
    OVER_LIMIT,
    STRICT,
    TERMINATED,
    Failure,
    LoaderCommand,
)
from async_loader.contrib.django.management.commands._report import (
    add_report_options,
    refuse_to_overwrite,
    report_file,
    sigterm_as_ctrl_c,
    write_report,
)
from async_loader.contrib.django.output import complain
from async_loader.contrib.django.progress import progress
from async_loader.contrib.django.text import report_lines

_DEFAULTS = Options()
_DELIMITERS = {"tab": "\t", "\\t": "\t"}
_EXIT_CODES = """\
exit codes: 0 done, 1 failed, 2 usage, 3 records rejected with
--strict, 4 more than --max-rejects, 130 Ctrl-C, 143 SIGTERM"""


class Command(LoaderCommand):
    """See `help`."""

    help = "Check records and load them into their tables, each in its own database."
    epilog = _EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        """The options, as the README lists them."""
        parser.add_argument(
            "sources",
            nargs="*",
            metavar="TABLE[:FORMAT]=SOURCE",
            help="what to read into a table: a file, or - for stdin; may be given several times for a table. FORMAT is "
            "csv, jsonl, ndjson or parquet, the first three also with .gz, .bz2 or .zst behind; without it the file's "
            "suffixes say it (default: data/TABLE.csv for every table)",
        )
        parser.add_argument("--mode", choices=list(MODES), default="async", help="how the run waits (default: async)")
        parser.add_argument(
            "--on-conflict",
            choices=ON_CONFLICT,
            default=_DEFAULTS.on_conflict,
            help="for a key that the database holds with other values: reject the record (default), update the row, "
            "or stop the run",
        )
        parser.add_argument(
            "--batch-size",
            type=int,
            metavar="N",
            default=_DEFAULTS.batch_size,
            help="records per batch (default: %(default)s)",
        )
        parser.add_argument(
            "--commit-every",
            type=int,
            metavar="N",
            default=_DEFAULTS.commit_every,
            help="commit each N records of a table with a checkpoint, from which the same command goes on after a "
            "crash; 0 (default) is one transaction per database",
        )
        parser.add_argument(
            "--restart",
            action="store_true",
            help="begin anew, even where an earlier run of these sources is unfinished",
        )
        parser.add_argument("--max-rejects", type=int, metavar="N", help="more rejects than N: keep nothing, exit 4")
        parser.add_argument("--strict", action="store_true", help="exit 3 when anything was rejected")
        parser.add_argument("-n", "--dry-run", action="store_true", help="read and check everything, write nothing")
        parser.add_argument(
            "--delimiter", default=",", metavar="C", help="what separates the fields of CSV; tab is a tab"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="TABLE.COLUMN=NAME",
            help="what the source calls a column; may be given several times",
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="TABLE.COLUMN=VALUE",
            help="the value of a column in all records, whatever the source has; may be given several times",
        )
        parser.add_argument(
            "--null",
            action="append",
            default=[],
            metavar="[TABLE=]TEXT",
            help="text that stands for null, in all tables or in one; may be given several times",
        )
        parser.add_argument(
            "--rejects-dir",
            type=Path,
            metavar="DIR",
            help="write rejects to DIR/RUN/TABLE.csv (or the source's own format)",
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
        **options: Any,
    ) -> None:
        """Load, and say what came of it."""
        reading = Reading.of(_DELIMITERS.get(delimiter, delimiter), options["map"], options["set"], options["null"])
        chosen = _sources(sources or _sample(), reading)
        declared = tables.tables(chosen)
        databases = tables.databases(declared)
        wanted = Options(**{field.name: options[field.name] for field in dataclasses.fields(Options)})
        if report is not None:
            refuse_to_overwrite(report, [*_paths(chosen), *databases.values()])
        with report_file(report, "nothing was loaded") as file:
            with progress(wanted=not no_progress) as show:
                # What is imported by now stays: the garbage collector need not look at it again and again.
                gc.freeze()
                run = Run(declared, chosen, databases, wanted, mode=mode, show=show)
                outcome, failure = _perform(run)
            as_json = json.dumps(outcome.as_dict(), indent=2)
            unwritten = (
                None if file is None else write_report(file, as_json, "look at loader_runs for what the run did")
            )
        self._warn_of_ignored_columns(outcome)
        self.conclude(
            as_json if format == "json" else report_lines(outcome, declared),
            failure or unwritten or (_strictness(outcome) if strict else None),
            failed=failure is not None,
        )

    @staticmethod
    def _warn_of_ignored_columns(outcome: Report) -> None:
        for name, table in outcome.tables.items():
            if table.ignored_columns:
                ignored = ", ".join(table.ignored_columns)
                complain(f"warning: {name}: columns that the table does not have were ignored: {ignored}")


def _strictness(outcome: Report) -> Failure | None:
    rejected = sum(table.rejected for table in outcome.tables.values())
    if not rejected:
        return None
    were = "record was" if rejected == 1 else "records were"
    kept = "nothing was written" if outcome.dry_run else "all others were kept"
    return Failure(f"{rejected:,} {were} rejected; {kept}", STRICT)


def _perform(run: Run) -> tuple[Report, Failure | None]:
    """The report, and what to leave with where the run did not complete."""
    try:
        with sigterm_as_ctrl_c() as terminated:
            return run.perform(), None
    except LoaderError as error:
        code = OVER_LIMIT if isinstance(error, OverLimitError) else FAILED
        return error.report or run.report("failed", error.told), Failure(error.told, code)
    except KeyboardInterrupt:
        if run.is_kept:
            message = "interrupted, but everything was kept already"
        elif run.kept:
            message = f"interrupted: {run.kept} kept, the rest not; run the same command again to go on from there"
        else:
            message = "interrupted: nothing was kept; run the same command again"
        return run.report("interrupted", message), Failure(message, TERMINATED if terminated else INTERRUPTED)


def _sample() -> list[str]:
    """A file for each table that the project declares."""
    declared = tables.declared()
    if not declared:
        raise ConfigurationError("nothing to load: name sources as TABLE=SOURCE; --help tells more")
    directory = os.path.relpath(settings.BASE_DIR / "data")
    return [f"{table.name}={os.path.join(directory, table.name)}.csv" for table in declared]


@dataclass(frozen=True, slots=True)
class Reading:
    """How sources are read; all but the delimiter by table, null spellings for all tables under no name."""

    delimiter: str
    names: Mapping[str, Mapping[str, str]]
    constants: Mapping[str, Mapping[str, str]]
    nulls: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, delimiter: str, names: Sequence[str], constants: Sequence[str], nulls: Sequence[str]) -> Reading:
        """From the command line. ConfigurationError for what is not of the form that its option wants."""
        spellings: dict[str, list[str]] = {}
        for given in nulls:
            table, equals, text = given.partition("=")
            table, text = (table, text) if equals else ("", given)
            spellings.setdefault(tables.table_name(table) if table else "", []).append(text)
        return cls(delimiter, _by_column("--map", names), _by_column("--set", constants), spellings)

    def source(self, table: str, path: str, file_format: str) -> Source:
        """A source of that table."""
        return Source(
            path,
            file_format,
            self.delimiter,
            names={**tables.source_names(table), **self.names.get(table, {})},
            constants=self.constants.get(table, {}),
            means_null=(*self.nulls.get("", ()), *self.nulls.get(table, ())),
        )

    def tables(self) -> set[str]:
        """All that are spoken of."""
        return {*self.names, *self.constants, *self.nulls} - {""}


def _by_column(option: str, arguments: Sequence[str]) -> dict[str, dict[str, str]]:
    """What is said of columns, by table and column."""
    said: dict[str, dict[str, str]] = {}
    for argument in arguments:
        target, equals, text = argument.partition("=")
        table, _, column = target.rpartition(".")
        if not (equals and table and column) or (option == "--map" and not text):
            raise ConfigurationError(f"{option} {argument!r} is not of the form TABLE.COLUMN=...")
        name = tables.table_name(table)
        said.setdefault(name, {})[tables.column_name(name, column)] = text
    return said


def _sources(arguments: Sequence[str], reading: Reading) -> dict[str, list[Source]]:
    """By table, in the order given. ConfigurationError for what is no TABLE[:FORMAT]=SOURCE."""
    sources: dict[str, list[Source]] = {}
    for argument in arguments:
        target, equals, path = argument.partition("=")
        if not (equals and target and path):
            raise ConfigurationError(f"{argument!r} is not of the form TABLE=SOURCE")
        table, _, file_format = target.partition(":")
        name = tables.table_name(table)
        sources.setdefault(name, []).append(reading.source(name, path, file_format))
    if others := reading.tables() - set(sources):
        raise ConfigurationError(f"--map, --set or --null speaks of {', '.join(sorted(others))}, which is not loaded")
    return sources


def _paths(sources: Mapping[str, Sequence[Source]]) -> list[Path]:
    return [Path(source.path) for given in sources.values() for source in given]
