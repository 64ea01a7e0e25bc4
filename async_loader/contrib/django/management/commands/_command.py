"""What all commands share: errors as one line, exit codes, and output that no terminal can choke on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from async_loader import ConfigurationError, LoaderError, Table
from async_loader.contrib.django.management.commands._help import DJANGO, HelpFormatter, put_last
from async_loader.contrib.django.models.tables import ProjectTables
from async_loader.contrib.django.terminal.output import complain, to_nowhere

FAILED, USAGE, STRICT, OVER_LIMIT, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143


class Failure(CommandError):
    """What ends a command: one line, and its exit code."""

    def __init__(self, message: str, returncode: int = FAILED) -> None:
        super().__init__(message, returncode=returncode)


class LoaderCommand(BaseCommand):
    """A command that fails with one line, `error: ...`, and an exit code."""

    requires_system_checks = []
    # What the command line is, behind the command's name; and what stands below the options.
    usage = "[options]"
    epilog = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """One that says what is wrong with the command line in one line."""
        parser = super().create_parser(
            prog_name,
            subcommand,
            usage=f"%(prog)s {self.usage}",
            epilog=self.epilog,
            formatter_class=HelpFormatter,
            **kwargs,
        )
        put_last(parser, DJANGO)
        if parser.called_from_command_line:
            parser.error = _usage_error  # type: ignore[method-assign]
        return parser

    @staticmethod
    def all_tables(project: ProjectTables) -> tuple[Table, ...]:
        """All tables of the project; a warning says which models cannot be loaded."""
        found, problems = project.all_tables()
        for problem in problems:
            complain(f"warning: {problem}")
        return found

    def say(self, lines: Iterable[str]) -> bool:
        """Print lines. Who reads them may leave early; that changes nothing about what was done. Failure where they
        cannot be written. Returns whether somebody still reads.
        """
        try:
            for line in lines:
                self.stdout.write(line)
            self.stdout.flush()
        except BrokenPipeError:
            to_nowhere(sys.stdout)
            return False
        except OSError as error:
            to_nowhere(sys.stdout)
            raise Failure(f"the output cannot be written: {error.strerror or error}") from error
        return True

    def conclude(self, outcome: str | Iterable[str], ended_by: Failure | None, *, failed: bool) -> None:
        """Print JSON, or lines unless the command failed; then leave with what ended it, if anything did."""
        if isinstance(outcome, str):
            self.say([outcome])
        elif not failed:
            self.say(outcome)
        if ended_by is not None:
            raise ended_by

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line and leave with the exit code."""
        for stream in (sys.stdout, sys.stderr):
            # A terminal that is not UTF-8 gets escapes instead of a traceback.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        # Libraries may have changed how Ctrl-C reaches a thread that waits for a pipe or a lock: change it back.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._called_from_command_line = True
        try:
            parser = self.create_parser(argv[0], argv[1])
            options = vars(parser.parse_args(argv[2:]))
            arguments = options.pop("args", ())
            self.execute(*arguments, **options)
        except CommandError as error:
            _leave(str(error), error.returncode)
        except ConfigurationError as error:
            _leave(str(error), USAGE)
        except LoaderError as error:
            _leave(str(error), FAILED)
        except KeyboardInterrupt:
            _leave("interrupted", INTERRUPTED)


def _usage_error(message: str) -> NoReturn:
    _leave(f"{message}; --help tells more", USAGE)


def _leave(message: str, code: int) -> NoReturn:
    complain(f"error: {message}")
    if threading.active_count() > 1:
        # A thread that waits for a pipe would keep the process for as long as nothing comes.
        os._exit(code)
    sys.exit(code)
