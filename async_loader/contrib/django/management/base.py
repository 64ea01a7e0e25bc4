"""The base of all commands: an error is one line with an exit code, in any thread, from the command line or a program.

A command that `manage.py` runs owns its process: it tunes it, takes its signals and ends it. `call_command` runs a
command in the process of a server, a worker or a test, where it changes nothing of that kind.

Light: the process is tuned before the engine is imported, so command modules import it only where they use it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import functools
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from async_loader import ConfigurationError, LoaderError
from async_loader.contrib.django.management.help import DJANGO, HelpFormatter, put_last
from async_loader.contrib.django.process import tune
from async_loader.contrib.django.terminal.output import discard_output, write_line
from async_loader.contrib.django.terminal.wording import printable

FAILED, USAGE, STRICT, OVER_LIMIT, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143


class Failure(CommandError):
    """The end of a command that did not succeed: a message of one line, and an exit code as `returncode`."""

    def __init__(self, message: str, returncode: int = FAILED) -> None:
        super().__init__(printable(message), returncode=returncode)


class LoaderCommand(BaseCommand):
    """A command that fails with one line and an exit code: `error: ...` on stderr, or a CommandError to the caller."""

    requires_system_checks = []
    # For --help: the command line after the command's name, and the text below the options.
    usage = "[options]"
    epilog = ""
    # The arguments that hold names of files, in which any bytes may be.
    paths: tuple[str, ...] = ()
    # Whether the process was started to run this command, and runs it in its main thread.
    owns_process = False

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
        self._parser = parser
        return parser

    def execute(self, *arguments: Any, **options: Any) -> Any:
        """Run the command in this thread or, where this one runs an event loop, in a thread of its own.

        Raises Failure for whatever is wrong with the usage, the declarations, a source or a database.
        """
        run = functools.partial(self._execute, *arguments, **options)
        return _in_own_thread(run) if _runs_event_loop() else run()

    def _execute(self, *arguments: Any, **options: Any) -> Any:
        with _new_connections_closed():
            try:
                return super().execute(*arguments, **self._as_parsed(options))
            except ConfigurationError as error:
                raise Failure(str(error), USAGE) from error
            except LoaderError as error:
                raise Failure(str(error)) from error

    def _as_parsed(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options that a program gave by name, as text on a command line would be parsed."""
        parsed = dict(options)
        for action in _actions(self._parser) if hasattr(self, "_parser") else ():
            if isinstance(parsed.get(action.dest), str):
                parsed[action.dest] = _parsed(self._parser, action, parsed[action.dest])
            if action.dest not in self.paths:
                _refuse_bytes(action, parsed.get(action.dest))
        return parsed

    def warn(self, warning: str) -> None:
        """Write a warning to stderr."""
        self.write_line(f"warning: {warning}")

    def write_line(self, line: str) -> None:
        """Write a line to stderr. A stderr that cannot be written changes nothing else about the command."""
        try:
            self.stderr.write(printable(line), style_func=str)
            self.stderr.flush()
        except OSError:
            self._discard(sys.stderr)

    def print_lines(self, lines: Iterable[str]) -> bool:
        """Print lines, and return whether the output is still read. A reader that closes a pipe early is no failure.

        Raises Failure where the output cannot be written for another reason, such as a full disk.
        """
        try:
            for line in lines:
                self.stdout.write(line)
            self.stdout.flush()
        except BrokenPipeError:
            self._discard(sys.stdout)
            return False
        except OSError as error:
            self._discard(sys.stdout)
            raise Failure(f"the output cannot be written: {error.strerror or error}") from error
        return True

    def _discard(self, stream: Any) -> None:
        if self.owns_process:
            discard_output(stream)

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command from the command line, and exit with its code."""
        self._called_from_command_line = True
        if threading.current_thread() is threading.main_thread():
            self._take_process()
        try:
            parser = self.create_parser(argv[0], argv[1])
            options = vars(parser.parse_args(argv[2:]))
            arguments = options.pop("args", ())
            self.execute(*arguments, **options)
        except CommandError as error:
            _leave(str(error), error.returncode)
        except KeyboardInterrupt:
            _leave("interrupted", INTERRUPTED)

    def _take_process(self) -> None:
        self.owns_process = True
        tune()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that is not UTF-8 gets escapes instead of a traceback.
                stream.reconfigure(errors="backslashreplace")
        # A library may have changed how Ctrl-C reaches a thread that waits for a pipe or a lock. Python's handler does.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _runs_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_own_thread(work: Callable[[], Any]) -> Any:
    """Do the work in a new thread, where it may wait and run an event loop of its own; return its result."""
    with ThreadPoolExecutor(1, "command") as executor:
        return executor.submit(contextvars.copy_context().run, work).result()


@contextmanager
def _new_connections_closed() -> Iterator[None]:
    """Close, after the block, the connections of Django that were opened in it: they belong to this thread."""
    before = {each.alias for each in connections.all(initialized_only=True) if each.connection is not None}
    try:
        yield
    finally:
        for each in connections.all(initialized_only=True):
            if each.connection is not None and each.alias not in before and not each.in_atomic_block:
                each.close()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return all arguments and options of a parser and its subparsers."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from _actions(subparser)


def _parsed(parser: argparse.ArgumentParser, action: argparse.Action, text: str) -> Any:
    """Return the value of one option. Raises Failure where the option cannot have it."""
    if isinstance(action, argparse._AppendAction) or action.nargs == "*":
        return [text]
    try:
        value = parser._get_value(action, text)
        parser._check_value(action, value)
    except argparse.ArgumentError as error:
        raise Failure(str(error), USAGE) from error
    return value


def _refuse_bytes(action: argparse.Action, value: Any) -> None:
    """Raise Failure for text with bytes that are not UTF-8. A path is no text."""
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and re.search("[\ud800-\udfff]", text):
            name = "/".join(action.option_strings) or action.metavar or action.dest
            raise Failure(f"argument {name}: '{printable(text)}' holds bytes that are not UTF-8", USAGE)


def _leave_for_usage(message: str) -> NoReturn:
    _leave(f"{message}; see --help", USAGE)


def _leave(message: str, code: int) -> NoReturn:
    """End the process with an error line and a code, without waiting for threads that wait for a pipe."""
    write_line(f"error: {message}")
    if threading.current_thread() is threading.main_thread() and threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)
