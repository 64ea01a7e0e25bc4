"""A real terminal for tests, a clock that is set by hand, and commands that show at once how far they are."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from async_loader import Show
from tests.commands.conftest import Project
from tests.processes import PATIENCE

# Steers a terminal.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLORS = re.compile(r"\x1b\[[0-9;]*[34]8?[0-9;]*m")
# Commands that need not wait before they show how far they are.
HASTY = """\
from async_loader.contrib.django.terminal import progress
progress.DELAY_SECONDS = progress.LINE_SECONDS = 0
progress.FRAME_SECONDS = 0.01
"""


class Terminal:
    """A real terminal of a size. A thread reads what is written to `stream`, as a person in front of it would."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.stream = os.fdopen(slave, "w")
        self.seen = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # A terminal gives this error when no process has it open any more.
        with contextlib.suppress(OSError):
            while read := os.read(self._master, 1 << 16):
                with self._news:
                    self.seen += read.decode(errors="replace")
                    self._news.notify_all()
        os.close(self._master)

    def until(self, wanted: str) -> str:
        """Wait for a text, and return all that was written."""
        with self._news:
            assert self._news.wait_for(lambda: wanted in self.seen, timeout=PATIENCE)
        return self.seen

    def to_the_end(self) -> str:
        """Return all that was written, when no process can write any more."""
        self.stream.close()
        self._reader.join(timeout=PATIENCE)
        return self.seen


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Beats:
    """Draws when the test wants it."""

    draw: Callable[[], None] = field(default=lambda: None)

    @contextmanager
    def __call__(self, draw: Callable[[], None]) -> Iterator[None]:
        self.draw = draw
        yield


def users(given: int, read_to: int, size: int | None = 1000, rejected: int = 0) -> Show:
    return Show("users", given, rejected, read_to, size)


@contextmanager
def hasty(project: Project, terminal: Terminal, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command that reads stdin, on a terminal, and shows at once how far it is."""
    with project.start(*arguments, after=HASTY, stdin=subprocess.PIPE, stderr=terminal.stream) as process:
        try:
            yield process
        finally:
            process.kill()
