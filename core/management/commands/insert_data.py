"""`manage.py insert_data`: options in, one run of the loader, text or JSON out."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import signal
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

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
    Table,
)
from core import tables
from core.management.commands._command import (
    FAILED,
    INTERRUPTED,
    OVER_LIMIT,
    STRICT,
    TERMINATED,
    Failure,
    LoaderCommand,
    complain,
)
from core.progress import progress
from core.text import report_lines

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
        parser.add_argument("--max-rejects", type=int, metavar="N", help="more rejects than N: keep nothing, exit 4")
        parser.add_argument("--strict", action="store_true", help="exit 3 when anything was rejected")
        parser.add_argument("-n", "--dry-run", action="store_true", help="read and check everything, write nothing")
        parser.add_argument(
            "--delimiter", default=",", metavar="C", help="what separates the fields of CSV; tab is a tab"
        )
        parser.add_argument("--format", choices=("text", "json"), default="text", help="what goes to stdout")
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")
        parser.add_argument(
            "--report-rejects",
            type=int,
            metavar="N",
            default=_DEFAULTS.report_rejects,
            help="rejects per table that the report names (default: %(default)s)",
        )
        parser.add_argument(
            "--lock-timeout",
            type=float,
            metavar="SECONDS",
            default=_DEFAULTS.lock_timeout,
            help="how long to wait for a database that another writer holds (default: %(default)s)",
        )
        parser.add_argument(
            "--rejects-dir",
            type=Path,
            metavar="DIR",
            help="write rejects to DIR/RUN/TABLE.csv (or the source's own format)",
        )
        parser.add_argument("--no-progress", action="store_true", help="draw no progress bars")

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
        declared = tables.tables()
        databases = tables.databases(declared)
        wanted = Options(**{field.name: options[field.name] for field in dataclasses.fields(Options)})
        chosen = _sources(sources or _sample(declared), _DELIMITERS.get(delimiter, delimiter))
        if report is not None:
            _refuse_to_overwrite(report, [*_paths(chosen), *databases.values()])
        with _report_file(report) as report_file:
            with progress(wanted=not no_progress) as show:
                # What is imported by now stays: the garbage collector need not look at it again and again.
                gc.freeze()
                run = Run(declared, chosen, databases, wanted, mode=mode, show=show)
                outcome, failure = _perform(run)
            as_json = json.dumps(outcome.as_dict(), indent=2)
            unwritten = None if report_file is None else _write_report(report_file, as_json)
        self._warn_of_ignored_columns(outcome)
        if format == "json":
            self.say([as_json])
        elif failure is None:
            self.say(report_lines(outcome, declared))
        ended_by = failure or unwritten or (_strictness(outcome) if strict else None)
        if ended_by is not None:
            raise ended_by

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
        with _sigterm_as_ctrl_c() as terminated:
            return run.perform(), None
    except LoaderError as error:
        code = OVER_LIMIT if isinstance(error, OverLimitError) else FAILED
        return error.report or run.report("failed", str(error)), Failure(str(error), code)
    except KeyboardInterrupt:
        if run.is_kept:
            message = "interrupted, but everything was kept already"
        elif run.committed:
            message = f"interrupted: {', '.join(run.committed)} kept, the rest not; run the same command again"
        else:
            message = "interrupted: nothing was kept; run the same command again"
        return run.report("interrupted", message), Failure(message, TERMINATED if terminated else INTERRUPTED)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[list[int]]:
    """Let SIGTERM end a run as Ctrl-C does; the list tells that it was SIGTERM."""
    terminated: list[int] = []

    def on_sigterm(number: int, _: FrameType | None) -> None:
        terminated.append(number)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before)


def _sample(declared: Sequence[Table]) -> list[str]:
    directory = os.path.relpath(settings.BASE_DIR / "data")
    return [f"{table.name}={os.path.join(directory, table.name)}.csv" for table in declared]


def _sources(arguments: Sequence[str], delimiter: str) -> dict[str, list[Source]]:
    """By table, in the order given. ConfigurationError for what is no TABLE[:FORMAT]=SOURCE."""
    sources: dict[str, list[Source]] = {}
    for argument in arguments:
        target, equals, path = argument.partition("=")
        if not (equals and target and path):
            raise ConfigurationError(f"{argument!r} is not of the form TABLE=SOURCE")
        table, _, file_format = target.partition(":")
        sources.setdefault(table, []).append(Source(path, file_format, delimiter))
    return sources


def _paths(sources: Mapping[str, Sequence[Source]]) -> list[Path]:
    return [Path(source.path) for given in sources.values() for source in given]


def _refuse_to_overwrite(report: Path, used: Iterable[Path]) -> None:
    """ConfigurationError where the report would replace what this run reads or writes."""
    for path in used:
        if path.exists() and report.exists() and path.samefile(report):
            raise ConfigurationError(f"--report {report}: is a source or database of this run; name another file")


@contextmanager
def _report_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """The file, opened before anything is loaded: who cannot have a report learns it first. Written at the end."""
    if path is None:
        yield None
        return
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise _unwritable(str(path), error, "nothing was loaded") from error
    with file:
        yield file


def _write_report(file: BinaryIO, text: str) -> Failure | None:
    """Replace the file's text; what to fail with where that cannot be done."""
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(0)
        file.write(f"{text}\n".encode())
    except OSError as error:
        return _unwritable(file.name, error, "look at loader_runs for what the run did")
    return None


def _unwritable(path: str, error: OSError, outcome: str) -> Failure:
    return Failure(f"report {path}: cannot be written: {error.strerror or error}; {outcome}")
