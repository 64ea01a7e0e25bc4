"""The file of `--report`: opened before the work, so that nothing is done in vain, and written after it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from async_loader import ConfigurationError
from async_loader.contrib.django.management.base import Failure
from async_loader.contrib.django.models.databases import Location, file_of

if TYPE_CHECKING:
    from async_loader import ReferenceReport, Report, VerificationReport
    from async_loader.contrib.django.inspection.report import InspectionReport

_PAGES = (".html", ".htm")


def refuse_to_overwrite(report: Path, used: Iterable[Location | Path]) -> None:
    """Raise ConfigurationError where the report would replace a file that the command reads or writes."""
    for location in used:
        if (path := file_of(location)) is not None and _is_same(path, report):
            raise ConfigurationError(f"--report {report}: is a source or database of this run; name another file")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        # One of them does not exist, or may not be looked at.
        return False


@contextmanager
def report_file(path: Path | None, nothing_done: str) -> Iterator[BinaryIO | None]:
    """Open the file, or give None where there is no path. Raises Failure, which says `nothing_done`, if it cannot."""
    if path is None:
        yield None
        return
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise _unwritable(str(path), error, nothing_done) from error
    with file:
        yield file


def text_for(path: Path, report: Report | ReferenceReport | VerificationReport | InspectionReport, as_json: str) -> str:
    """Return what the file is to hold: an HTML page if its name asks for one, else the JSON."""
    if path.suffix.lower() not in _PAGES:
        return as_json
    # Django's templates take a while to import.
    from async_loader.contrib.django.pages.pages import page

    return page(report)


def write_report(file: BinaryIO, text: str, advice: str) -> Failure | None:
    """Replace the file's text. Return the failure, which ends with `advice`, where that is not possible."""
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(0)
        rest = memoryview(f"{text}\n".encode(errors="backslashreplace"))
        # A pipe, or a disk that is nearly full, may take only a part.
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        return _unwritable(file.name, error, advice)
    return None


def _unwritable(path: str, error: OSError, advice: str) -> Failure:
    return Failure(f"report {path}: cannot be written: {error.strerror or error}; {advice}")
