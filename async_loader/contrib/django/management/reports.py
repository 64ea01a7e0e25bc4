"""The commands that end with a report: the work is performed, its report printed, and written to a file on request."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from async_loader import ConfigurationError, DeleteLimitError, LoaderError, OverLimitError
from async_loader.contrib.django.management.base import FAILED, OVER_LIMIT, Failure, LoaderCommand
from async_loader.contrib.django.management.interrupts import sigterm_as_ctrl_c
from async_loader.contrib.django.management.report_files import (
    refuse_to_overwrite,
    report_file,
    text_for,
    write_report,
)
from async_loader.contrib.django.models.databases import Location
from async_loader.contrib.django.terminal.pace import RECORDS, Words
from async_loader.contrib.django.terminal.progress import Watcher, progress
from async_loader.contrib.django.terminal.wording import printable

if TYPE_CHECKING:
    from async_loader import ReferenceReport, Report, VerificationReport
    from async_loader.contrib.django.inspection.report import InspectionReport

AnyReport = TypeVar("AnyReport", bound="Report | ReferenceReport | VerificationReport | InspectionReport")
Report_co = TypeVar(
    "Report_co", bound="Report | ReferenceReport | VerificationReport | InspectionReport", covariant=True
)
AnyWork = TypeVar("AnyWork", bound="Work[Any]")


class Work(Protocol[Report_co]):
    """Work of the engine that ends with a report."""

    def perform(self) -> Report_co:
        """Do the work, and block until it is done. Raises LoaderError."""

    def report(self, status: str, error: str | None = None) -> Report_co:
        """Return the report of what has been done by now, under this status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment(Generic[AnyWork, AnyReport]):
    """Work for a command, and the words for each way in which it may end.

    begin: makes the work, given the function that takes its progress. An error that it raises ends the command without
        a report.
    warnings: what to say on stderr after the work, line by line.
    lines: the report as text. over_limit: the same where more records were rejected than may be.
    verdict: the failure that a complete report means, if any.
    interrupted: what an interrupt has left, as a line.
    used: the sources and databases, of which the report's file must be none.
    nothing_done, look_at: what an error line says where the report's file cannot be opened before the work, and where
        it cannot be written after it.
    counted: what the progress calls the things that are counted; None for work that shows no progress.
    misconfigured: the exit code for a ConfigurationError in the work.
    """

    begin: Callable[[Watcher], AnyWork]
    lines: Callable[[AnyWork, AnyReport], Iterable[str]]
    verdict: Callable[[AnyReport], Failure | None]
    interrupted: Callable[[AnyWork], str]
    used: Iterable[Location | Path]
    nothing_done: str
    look_at: str = "name another file"
    warnings: Callable[[AnyWork, AnyReport], Iterable[str]] = lambda *_: ()
    over_limit: Callable[[AnyWork, AnyReport], Iterable[str]] = lambda *_: ()
    counted: Words | None = RECORDS
    misconfigured: int = FAILED


class ReportCommand(LoaderCommand):
    """A command that ends with a report: on stdout, and in a file if one is named."""

    def carry_out(self, assignment: Assignment[AnyWork, AnyReport], options: Mapping[str, Any]) -> None:
        """Perform the work, and print its report as text or JSON.

        Raises Failure where the work did not complete, its report could not be written, or the verdict is a failure.
        """
        path: Path | None = options["report"]
        if path is not None:
            refuse_to_overwrite(path, assignment.used)
        with report_file(path, assignment.nothing_done) as file:
            with self._progress(assignment.counted, options) as show:
                work = assignment.begin(show)
                report, ended_by = self._performed(assignment, work)
            for warning in assignment.warnings(work, report):
                self.warn(warning)
            as_json = json.dumps(report.as_dict(), indent=2)
            unwritten = None
            if path is not None and file is not None:
                unwritten = write_report(file, text_for(path, report, as_json), assignment.look_at)
        if options["format"] == "json":
            self.print_lines([as_json])
        elif ended_by is None:
            self.print_lines(assignment.lines(work, report))
        elif report.status == OverLimitError.status:
            self.print_lines(assignment.over_limit(work, report))
        if ending := ended_by or unwritten or assignment.verdict(report):
            raise ending

    def _progress(self, counted: Words | None, options: Mapping[str, Any]) -> AbstractContextManager[Watcher]:
        """Return progress as the options want it. Only a command that owns its process may draw on the terminal."""
        if counted is None:
            return nullcontext(lambda _: None)
        return progress(
            wanted=not options["no_progress"] and options["verbosity"] > 0,
            color=not options["no_color"],
            words=counted,
            write=self.write_line,
            may_draw=self.owns_process,
        )

    def _performed(
        self, assignment: Assignment[AnyWork, AnyReport], work: AnyWork
    ) -> tuple[AnyReport, Failure | KeyboardInterrupt | None]:
        """Perform the work, and return its report, with the exception to end with where it did not complete."""
        if self.owns_process:
            # What is imported by now stays, so the garbage collector need not look at it again and again.
            gc.freeze()
        try:
            with sigterm_as_ctrl_c(owns_process=self.owns_process) as interrupts:
                return work.perform(), None
        except LoaderError as error:
            codes = {
                OverLimitError: OVER_LIMIT,
                DeleteLimitError: OVER_LIMIT,
                ConfigurationError: assignment.misconfigured,
            }
            code = codes.get(type(error), FAILED)
            message = printable(error.text)
            return work.report(error.status, message), Failure(message, code)
        except KeyboardInterrupt:
            message = assignment.interrupted(work)
            return work.report("interrupted", message), interrupts.ending(message)
