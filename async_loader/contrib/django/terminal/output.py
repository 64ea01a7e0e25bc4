"""Lines on stderr, and output that nobody reads any more."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from async_loader.contrib.django.terminal.wording import printable


def to_nowhere(stream: TextIO) -> None:
    """Let what is still buffered go where it can do no harm."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(line: str) -> None:
    """A line on stderr; where nobody can read it, that changes nothing."""
    try:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
    except OSError:
        to_nowhere(sys.stderr)
