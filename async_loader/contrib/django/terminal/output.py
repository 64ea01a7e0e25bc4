"""Lines on stderr, and what becomes of output that can no longer be written."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from async_loader.contrib.django.terminal.wording import printable


def discard_output(stream: TextIO) -> None:
    """Lead the stream to the null device, so that what it still buffers cannot fail again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_line(line: str) -> None:
    """Write a line to stderr. A stderr that cannot be written changes nothing else about the command."""
    try:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)
