"""`manage.py rejects show`: print rejects one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from async_loader import ConfigurationError
from async_loader.contrib.django.management.help import REPORTING, group
from async_loader.contrib.django.management.options import add_format, add_lock_timeout
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
    from async_loader import StoredReject
    from async_loader.contrib.django.models.tables import ProjectTables

# How many rejects are shown without --limit.
_LIMIT = 20


class Show(Subcommand):
    """Print rejects one by one, as text or as a JSON document that is written while they are read."""

    name = "show"
    summary = "show stored rejects with their records and all reasons"
    example = """orders of customers that do not exist
  python manage.py rejects show --reason customer_id.exists_in"""

    def add_options(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        add_filter(parser)
        add_lock_timeout(parser)
        group(parser, REPORTING).add_argument(
            "--limit",
            type=int,
            default=_LIMIT,
            metavar="N",
            help="how many rejects to show; 0 shows all (default: %(default)s)",
        )
        add_format(parser)

    def run(self, command: ReportCommand, project: ProjectTables, **options: Any) -> None:
        """Print the first rejects that the options choose, and how many more there are."""
        limit = options["limit"]
        if limit < 0:
            raise ConfigurationError(f"--limit is at least 0, not {limit}")
        chosen = filter_of(project, options)
        stored = stored_rejects_of(project, options["lock_timeout"])
        total = sum(stored.count(chosen).values())
        if not total:
            for line in reason_warnings(project, options):
                command.warn(line)
        listing = (_JsonListing if options["format"] == "json" else _TextListing)(command)
        listing.begin()
        left = most = min(limit or total, total)

        def take(rejects: Sequence[StoredReject]) -> bool:
            nonlocal left
            rejects = rejects[:left]
            left -= len(rejects)
            return listing.print_rejects(rejects) and left > 0

        if most:
            stored.each(chosen, take)
        listing.end(shown=most - left, total=total)


class _TextListing:
    """A listing of rejects as text."""

    def __init__(self, command: ReportCommand) -> None:
        self._command = command

    def begin(self) -> None:
        """Print nothing: a text has no opening."""

    def print_rejects(self, rejects: Sequence[StoredReject]) -> bool:
        """Print them, and return whether the output is still read."""
        return self._command.print_lines(_lines(rejects))

    def end(self, *, shown: int, total: int) -> None:
        """Print what was left out."""
        if not total:
            self._command.print_lines([stored_rejects.NOTHING])
        elif total > shown:
            self._command.print_lines([stored_rejects.more_line(total - shown)])


def _lines(rejects: Sequence[StoredReject]) -> Iterator[str]:
    for reject in rejects:
        yield from stored_rejects.reject_lines(reject)


class _JsonListing:
    """A listing of rejects as one JSON document, a line for each."""

    def __init__(self, command: ReportCommand) -> None:
        self._command = command
        self._is_first = True

    def begin(self) -> None:
        """Print the opening of the document."""
        self._command.print_lines(['{"version": 1, "rejects": ['])

    def print_rejects(self, rejects: Sequence[StoredReject]) -> bool:
        """Print them, and return whether the output is still read."""
        is_first, self._is_first = self._is_first, False
        return self._command.print_lines(stored_rejects.shown_json(rejects, first=is_first))

    def end(self, *, shown: int, total: int) -> None:
        """Print the end of the document, with the number of those left out."""
        self._command.print_lines([f'], "more": {total - shown}}}'])
