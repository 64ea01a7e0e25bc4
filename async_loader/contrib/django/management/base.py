"""The base of all commands: an error is one line with an exit code, and output suits any terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from async_loader import ConfigurationError, LoaderError
from async_loader.contrib.django.management.help import DJANGO, HelpFormatter, put_last
from async_loader.contrib.django.terminal.output import discard_output, write_line

if TYPE_CHECKING:
    from async_loader import Table
    from async_loader.contrib.django.models.tables import ProjectTables

FAILED, USAGE, STRICT, OVER_LIMIT, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143


class Failure(CommandError):
    """The end of a command that did not succeed: a message of one line, and an exit code."""

    def __init__(self, message: str, returncode: int = FAILED) -> None:
        super().__init__(message, returncode=returncode)


class LoaderCommand(BaseCommand):
    """A command that fails with one line, `error: ...`, and an exit code."""

    requires_system_checks = []
    # For --help: the command line after the command's name, and the text below the options.
    usage = "[options]"
    epilog = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser of the options; it reports a usage error in one line."""
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
            parser.error = _leave_for_usage  # type: ignore[method-assign]
        return parser

    @staticmethod
    def all_tables(project: ProjectTables) -> tuple[Table, ...]:
        """Return all tables of the project, and warn of each model that cannot be loaded."""
        tables, problems = project.all_tables()
        for problem in problems:
            write_line(f"warning: {problem}")
        return tables

    def print_lines(self, lines: Iterable[str]) -> bool:
        """Print lines, and return whether the output is still read. A reader that closes a pipe early is no failure.

        Raises Failure where the output cannot be written for another reason, such as a full disk.
        """
        try:
            for line in lines:
                self.stdout.write(line)
            self.stdout.flush()
        except BrokenPipeError:
            discard_output(sys.stdout)
            return False
        except OSError as error:
            discard_output(sys.stdout)
            raise Failure(f"the output cannot be written: {error.strerror or error}") from error
        return True

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command from the command line, and exit with its code."""
        for stream in (sys.stdout, sys.stderr):
            # A terminal that is not UTF-8 gets escapes instead of a traceback.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        # A library may have changed how Ctrl-C reaches a thread that waits for a pipe or a lock. Python's handler does.
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


def _leave_for_usage(message: str) -> NoReturn:
    _leave(f"{message}; see --help", USAGE)


def _leave(message: str, code: int) -> NoReturn:
    """End the process with an error line and a code, without waiting for threads that wait for a pipe."""
    write_line(f"error: {message}")
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)
