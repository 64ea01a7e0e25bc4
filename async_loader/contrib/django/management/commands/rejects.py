"""`manage.py rejects`: what loads have rejected, listed, shown, exported to be mended, tried again or discarded."""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from async_loader import (
    ConfigurationError,
    LoaderError,
    RejectFilter,
    Report,
    Retry,
    StoredReject,
    StoredRejects,
)
from async_loader.contrib.django.management.commands._command import INTERRUPTED, TERMINATED, Failure
from async_loader.contrib.django.management.commands._help import (
    DJANGO,
    TOLD,
    WHICH,
    WORK,
    HelpFormatter,
    group,
    put_last,
)
from async_loader.contrib.django.management.commands._report import (
    ReportCommand,
    add_format,
    add_lock_timeout,
    add_report_options,
    performed,
    progress_as,
    sigterm_as_ctrl_c,
)
from async_loader.contrib.django.management.commands._run import (
    add_run_options,
    interrupted,
    options_of,
    strictness,
)
from async_loader.contrib.django.models.tables import ProjectTables, databases_of
from async_loader.contrib.django.terminal import stored_rejects
from async_loader.contrib.django.terminal.output import complain
from async_loader.contrib.django.terminal.text import report_lines
from async_loader.contrib.django.terminal.wording import number_of

# Rejects that `show` shows unless told otherwise.
_SHOWN = 20


class Command(ReportCommand):
    """See `help`."""

    help = (
        "Look at what loads have rejected, mend it, try it again or discard it. Without a subcommand: every run, "
        "the newest last, with how many of its rejects are still stored, and why they were rejected."
    )
    usage = "[SUBCOMMAND] [options]"
    epilog = """\
example: mend rejects in a spreadsheet, and load them again
  python manage.py rejects export bad.csv --table shop.Order
  python manage.py insert_data shop.Order=bad.csv

exit codes:
  0 done, 1 failed, 2 usage, 3 and 4 from retry as from insert_data,
  130 Ctrl-C, 143 SIGTERM
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """One whose subcommands, too, say what is wrong in one line."""
        self._subparsers: list[CommandParser] = []
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        for each in self._subparsers:
            each.error = parser.error  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """The subcommands with their options, as docs/reference.md lists them."""
        djangos = _djangos_options(parser)
        subparsers = parser.add_subparsers(
            dest="action",
            metavar="SUBCOMMAND",
            title="subcommands",
            description="SUBCOMMAND --help tells more",
            prog=parser.prog,
        )
        add_lock_timeout(parser)
        add_format(parser)

        def add(name: str, told: str, example: str, *, more: str = "", usage: str = "[options]") -> CommandParser:
            added: CommandParser = subparsers.add_parser(
                name,
                help=told,
                description=f"{told.capitalize()}.{more}",
                epilog=f"example: {example}",
                usage=f"%(prog)s {usage}",
                formatter_class=HelpFormatter,
                parents=[djangos],
            )
            self._subparsers.append(added)
            return added

        _add_show(add)
        _add_export(add)
        _add_retry(add)
        _add_discard(add)
        for each in self._subparsers:
            put_last(each, DJANGO)
            _leave_defaults_to_the_command(each, parser)

    def handle(self, *, action: str | None, **options: Any) -> None:
        """Do what the subcommand says."""
        actions: dict[str | None, Callable[..., None]] = {
            None: self._list,
            "show": self._show,
            "export": self._export,
            "retry": self._retry,
            "discard": self._discard,
        }
        with _interruptible():
            actions[action](ProjectTables(), **options)

    def _stored(self, project: ProjectTables, lock_timeout: float) -> StoredRejects:
        declared = self.all_tables(project)
        return StoredRejects(declared, databases_of(declared), lock_timeout=lock_timeout)

    def _list(
        self,
        project: ProjectTables,
        *,
        format: str,  # noqa: A002 - the option's name
        lock_timeout: float,
        **_: object,
    ) -> None:
        runs = self._stored(project, lock_timeout).overview()
        self.say([stored_rejects.overview_json(runs)] if format == "json" else stored_rejects.overview_lines(runs))

    def _show(
        self,
        project: ProjectTables,
        *,
        limit: int,
        format: str,  # noqa: A002 - the option's name
        lock_timeout: float,
        **options: Any,
    ) -> None:
        if limit < 0:
            raise ConfigurationError(f"--limit is at least 0, not {limit}")
        wanted, stored = _filter(project, options), self._stored(project, lock_timeout)
        total = sum(stored.count(wanted).values())
        most = min(limit or total, total)
        shown = 0

        def take(several: Sequence[StoredReject]) -> bool:
            nonlocal shown
            several = several[: most - shown]
            lines = stored_rejects.shown_json(several, first=not shown) if format == "json" else _texts(several)
            shown += len(several)
            return self.say(lines) and shown < most

        if format == "json":
            self.say(['{"version": 1, "rejects": ['])
        if most:
            stored.each(wanted, take)
        if format == "json":
            self.say([f'], "more": {total - shown}}}'])
        elif not total:
            self.say([stored_rejects.NOTHING])
        elif total > shown:
            self.say([stored_rejects.more_line(total - shown)])

    def _export(self, project: ProjectTables, *, file: Path, lock_timeout: float, **options: Any) -> None:
        exported = self._stored(project, lock_timeout).export(_filter(project, options), file)
        if exported is None:
            self.say([stored_rejects.NOTHING])
            return
        for line in exported.left:
            complain(f"warning: {line}")
        self.say(stored_rejects.exported_lines(exported))

    def _discard(
        self,
        project: ProjectTables,
        *,
        all: bool,  # noqa: A002 - likewise
        yes: bool,
        lock_timeout: float,
        **options: Any,
    ) -> None:
        wanted = _filter(project, options)
        if (wanted == RejectFilter()) != all:
            raise ConfigurationError("say what to discard: by --table, --reason and --run, or --all")
        if not yes and not sys.stdin.isatty():
            raise ConfigurationError("nobody can be asked whether to discard them: add --yes")
        discarded = self._stored(project, lock_timeout).discard(
            wanted, lambda counts: yes or self._is_meant(stored_rejects.counted(counts))
        )
        if discarded is None:
            self.say(["Nothing was discarded."])
        else:
            self.say([f"{number_of(discarded, 'reject')} discarded." if discarded else stored_rejects.NOTHING])

    def _is_meant(self, what: str) -> bool:
        """Ask on the terminal."""
        self.stdout.write(f"Discard {what}? They cannot be had back. [y/N] ", ending="")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _retry(
        self,
        project: ProjectTables,
        *,
        mode: str,
        format: str,  # noqa: A002 - the option's name
        report: Path | None,
        strict: bool,
        **options: Any,
    ) -> None:
        declared = self.all_tables(project)
        databases = databases_of(declared)
        wanted = _filter(project, options)
        run: Retry

        def perform() -> tuple[Report, Failure | None]:
            nonlocal run
            with progress_as(options) as show:
                run = Retry(declared, wanted, databases, options_of(options), mode=mode, show=show)
                outcome, failure = _performed(run)
            for line in run.left:
                complain(f"warning: {line}")
            return outcome, failure

        self.carry_out(
            perform,
            lines=lambda outcome: [stored_rejects.NOTHING] if run.nothing_to_do else report_lines(outcome, declared),
            verdict=lambda outcome: strictness(outcome) if strict else None,
            format=format,
            report=report,
            used=databases.values(),
            nothing="nothing was tried again",
            advice="look at loader_runs for what the run did",
        )


def _add_show(add: Callable[..., CommandParser]) -> None:
    show = add(
        "show",
        "show stored rejects with their records and all reasons",
        """orders that name a customer who is not there
  python manage.py rejects show --reason customer_id.exists_in""",
    )
    _add_filter(show)
    add_lock_timeout(show)
    group(show, TOLD).add_argument(
        "--limit", type=int, default=_SHOWN, metavar="N", help="rejects to show; 0 is all (default: %(default)s)"
    )
    add_format(show)


def _add_export(add: Callable[..., CommandParser]) -> None:
    export = add(
        "export",
        "write stored rejects of one table to a file, to mend and load again",
        """those of one run
  python manage.py rejects export bad.csv --table shop.Order --run RUN
  python manage.py insert_data shop.Order=bad.csv""",
        usage="FILE [options]",
    )
    export.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a new file; its suffix says the format, which is that of the source: .csv, .jsonl, .ndjson or "
        ".parquet. Rejects of sources with other columns go to FILE-2 and so on, before the suffix",
    )
    _add_filter(export)
    add_lock_timeout(export)


def _add_retry(add: Callable[..., CommandParser]) -> None:
    retry = add(
        "retry",
        "try stored rejects again as they are",
        """once the customers have been loaded
  python manage.py rejects retry --reason customer_id.exists_in""",
        more=" Those that pass leave the rejects; those that fail again stay, with the reasons that they have now.",
    )
    _add_filter(retry)
    add_run_options(retry)
    add_report_options(retry)


def _add_discard(add: Callable[..., CommandParser]) -> None:
    discard = add(
        "discard",
        "delete stored rejects",
        """those whose keys came twice
  python manage.py rejects discard --reason duplicate --run RUN""",
        more=" The ledger keeps how many.",
    )
    _add_filter(discard)
    which = group(discard, WHICH)
    which.add_argument("--all", action="store_true", help="all rejects, of all tables and runs")
    group(discard, WORK).add_argument("--yes", action="store_true", help="do not ask")
    add_lock_timeout(discard)


def _add_filter(parser: CommandParser) -> None:
    which = group(parser, WHICH)
    which.add_argument("--table", help="only rejects of this table")
    which.add_argument(
        "--reason", metavar="[COLUMN.]CODE", help="only rejects with this reason, such as missing or name.missing"
    )
    which.add_argument("--run", help="only rejects of this run")


def _djangos_options(parser: CommandParser) -> CommandParser:
    """What a new command has by itself, for subcommands to have too."""
    options = CommandParser(add_help=False)
    for action in parser._actions:
        if action.dest != "help":
            options._add_action(copy.copy(action))
    return options


def _leave_defaults_to_the_command(subparser: CommandParser, parser: CommandParser) -> None:
    """An option of both that stands before the subcommand holds unless one behind it says otherwise."""
    shared = {action.dest for action in parser._actions}
    for action in subparser._actions:
        if action.dest in shared:
            action.help = (action.help or "") % {"default": action.default}
            action.default = argparse.SUPPRESS


def _filter(project: ProjectTables, options: dict[str, Any]) -> RejectFilter:
    table = options["table"]
    return RejectFilter(None if table is None else project.name(table), options["run"], options["reason"])


def _performed(run: Retry) -> tuple[Report, Failure | None]:
    """As a load is performed. What is wrong with the filter is told as usage."""
    try:
        run.find()
    except ConfigurationError:
        raise
    except LoaderError as error:
        return run.report("failed", error.told), Failure(error.told)
    return performed(run, lambda: interrupted(run))


def _texts(several: Sequence[StoredReject]) -> Iterator[str]:
    for each in several:
        yield from stored_rejects.reject_lines(each)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end it with one line."""
    with sigterm_as_ctrl_c() as terminated:
        try:
            yield
        except KeyboardInterrupt as error:
            message = "interrupted: `rejects` lists what is stored now"
            raise Failure(message, TERMINATED if terminated else INTERRUPTED) from error
