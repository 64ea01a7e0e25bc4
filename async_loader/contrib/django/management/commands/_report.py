"""What commands that end with a report share: its options, its file, progress, and how a signal ends a run."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Protocol, TypeVar

from django.core.management.base import CommandParser

from async_loader import (
    ConfigurationError,
    LoaderError,
    Options,
    OverLimitError,
    ReferenceReport,
    Report,
    VerificationReport,
)
from async_loader.contrib.django.management.commands._command import (
    FAILED,
    INTERRUPTED,
    OVER_LIMIT,
    TERMINATED,
    Failure,
    LoaderCommand,
)
from async_loader.contrib.django.management.commands._help import TOLD, WORK, group
from async_loader.contrib.django.models.databases import Location
from async_loader.contrib.django.terminal.pace import RECORDS, Words
from async_loader.contrib.django.terminal.progress import Watcher, progress

AnyReport = TypeVar("AnyReport", Report, ReferenceReport, VerificationReport)
Told_co = TypeVar("Told_co", covariant=True)

_DEFAULTS = Options()
_PAGES = (".html", ".htm")


def add_format(parser: CommandParser) -> None:
    """Text, or JSON for programs."""
    group(parser, TOLD).add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="what goes to stdout; json: the report and nothing else (default: %(default)s)",
    )


def add_lock_timeout(parser: CommandParser) -> None:
    """Patience with others."""
    group(parser, WORK).add_argument(
        "--lock-timeout",
        type=float,
        metavar="SECONDS",
        default=_DEFAULTS.lock_timeout,
        help="how long to wait for a database that another writer holds (default: %(default)g)",
    )


def add_output_options(parser: CommandParser) -> None:
    """What goes where, and how long to wait for a database."""
    add_lock_timeout(parser)
    add_format(parser)
    group(parser, TOLD).add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the report to FILE: as a page to look at where it ends in .html or .htm, else as JSON",
    )


def add_report_options(parser: CommandParser, named: str = "rejects") -> None:
    """Those, and how much of it; `named` is what the report names the first of."""
    add_output_options(parser)
    told = group(parser, TOLD)
    told.add_argument(
        "--report-rejects",
        type=int,
        metavar="N",
        default=_DEFAULTS.report_rejects,
        help=f"{named} per table that the report names (default: %(default)s)",
    )
    told.add_argument("--no-progress", action="store_true", help="show no progress on stderr; nor does -v 0")


def progress_as(options: Mapping[str, Any], words: Words = RECORDS) -> AbstractContextManager[Watcher]:
    """Progress as these options, and Django's, want it."""
    wanted = not options["no_progress"] and options["verbosity"] > 0
    return progress(wanted=wanted, color=not options["no_color"], words=words)


class Work(Protocol[Told_co]):
    """What a command has done, and what is told of it at any moment."""

    def perform(self) -> Told_co:
        """Do it, and block until done. Raises LoaderError."""

    def report(self, status: str, error: str | None = None) -> Told_co:
        """What there is to tell by now, under this status."""


def performed(
    work: Work[AnyReport], interrupted: Callable[[], str], *, misconfigured: int = FAILED
) -> tuple[AnyReport, Failure | None]:
    """The report, and what to leave with where the work did not complete. `interrupted` says what an interrupt left,
    `misconfigured` is the exit code where the declaration or the call is found at fault.
    """
    try:
        with sigterm_as_ctrl_c() as terminated:
            return work.perform(), None
    except LoaderError as error:
        codes = {OverLimitError: OVER_LIMIT, ConfigurationError: misconfigured}
        code = codes.get(type(error), FAILED)
        return work.report(error.status, error.told), Failure(error.told, code)
    except KeyboardInterrupt:
        message = interrupted()
        return work.report("interrupted", message), Failure(message, TERMINATED if terminated else INTERRUPTED)


class ReportCommand(LoaderCommand):
    """A command that ends with a report: on stdout, and in a file where one is wanted."""

    def carry_out(
        self,
        perform: Callable[[], tuple[AnyReport, Failure | None]],
        *,
        lines: Callable[[AnyReport], Iterable[str]],
        verdict: Callable[[AnyReport], Failure | None],
        format: str,  # noqa: A002 - the option's name
        report: Path | None,
        used: Iterable[Location],
        nothing: str,
        advice: str = "name another file",
    ) -> None:
        """Perform, and tell the outcome: as JSON or in `lines`. Leaves with what kept it from completing, or with the
        verdict on what was found.

        used: what is read and written; the report must not replace those of it that are files.
        nothing, advice: what to say where the report's file cannot be opened, and where it cannot be written.
        """
        if report is not None:
            refuse_to_overwrite(report, used)
        with report_file(report, nothing) as file:
            outcome, failure = perform()
            as_json = json.dumps(outcome.as_dict(), indent=2)
            unwritten = None if file is None else write_report(file, as_file(report, outcome, as_json), advice)
        self.conclude(
            as_json if format == "json" else lines(outcome),
            failure or unwritten or verdict(outcome),
            failed=failure is not None,
        )


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[list[int]]:
    """Let SIGTERM end a run as Ctrl-C does; the list tells that it was SIGTERM.

    From then on Ctrl-C does nothing: all that is left is to say so and to leave, and another would only cut that short.
    """
    terminated: list[int] = []

    def on_sigterm(number: int, _: FrameType | None) -> None:
        terminated.append(number)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield terminated
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def as_file(path: Path | None, report: Report | ReferenceReport | VerificationReport, as_json: str) -> str:
    """The report as the file's name wants it: as a page, or as it is in JSON."""
    if path is None or path.suffix.lower() not in _PAGES:
        return as_json
    # Django's templates take a while to import.
    from async_loader.contrib.django.pages.pages import page

    return page(report)


def refuse_to_overwrite(report: Path, used: Iterable[Location]) -> None:
    """ConfigurationError where the report would replace what this run reads or writes."""
    for place in used:
        if isinstance(place, Path) and _is_same(place, report):
            raise ConfigurationError(f"--report {report}: is a source or database of this run; name another file")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        # One of them is not there, or nobody lets us look.
        return False


@contextmanager
def report_file(path: Path | None, outcome: str) -> Iterator[BinaryIO | None]:
    """The file, opened before anything is done: who cannot have a report learns it first. Written at the end. `outcome`
    says what was done where it cannot be opened.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise _unwritable(str(path), error, outcome) from error
    with file:
        yield file


def write_report(file: BinaryIO, text: str, advice: str) -> Failure | None:
    """Replace the file's text; what to fail with where that cannot be done."""
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(0)
        rest = memoryview(f"{text}\n".encode())
        # A pipe, or a disk that is nearly full, takes a part and says so.
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        return _unwritable(file.name, error, advice)
    return None


def _unwritable(path: str, error: OSError, outcome: str) -> Failure:
    return Failure(f"report {path}: cannot be written: {error.strerror or error}; {outcome}")
