"""Opening a source by its name: stdin, a file, or an object on shared or object storage.

The only place that opens what is read. Local failures leave here as the OSError they are, others as `remote` puts it.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from async_loader.sources.addresses import is_remote, local_path
from async_loader.sources.ranges import Version

STDIN = "-"
CHANGED = "changed while it was read; load it again when nothing writes to it"


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts by which a source is known to be the same.

    size: in bytes; None for a source that can be read only once, or whose size is unknown.
    modified: the time of change in nanoseconds, or what else its storage says of its version.
    node: of a file, device and number there.
    """

    size: int | None
    modified: int | str
    node: tuple[int, int] = (0, 0)

    @property
    def version(self) -> Version:
        """The part of it that is the same for every host that sees the source."""
        return self.size, self.modified


@dataclass(frozen=True, slots=True)
class Opened:
    """Something open for reading, the facts of it when it was opened, and a way to look at them again."""

    file: BinaryIO
    facts: Facts
    look: Callable[[], Facts]
    close: Callable[[], None]


def opened(name: str) -> Opened:
    """Open the source of this name, at its first byte."""
    if name == STDIN:
        return _stdin()
    if is_remote(name):
        from async_loader.sources import remote

        return remote.opened(name)
    path = local_path(name)
    file = cast("BinaryIO", open(path, "rb", buffering=0))  # noqa: SIM115 - the caller closes it
    status = os.fstat(file.fileno())
    if stat.S_ISDIR(status.st_mode):
        file.close()
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return Opened(file, _facts(status), lambda: _facts(os.stat(path)), file.close)


def facts_of(name: str) -> Facts:
    """Return the facts of a source without opening it; of stdin, that nothing is known."""
    if name == STDIN:
        return Facts(None, 0)
    if is_remote(name):
        from async_loader.sources import remote

        return remote.facts_of(name)
    return _facts(os.stat(local_path(name)))


def _stdin() -> Opened:
    """Open stdin, which stays open when all is read."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "stdin is closed")
    file = sys.stdin.buffer

    def look() -> Facts:
        return _facts(os.fstat(file.fileno()))

    return Opened(file, look(), look, lambda: None)


def _facts(status: os.stat_result) -> Facts:
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    return Facts(size, status.st_mtime_ns, (status.st_dev, status.st_ino))
