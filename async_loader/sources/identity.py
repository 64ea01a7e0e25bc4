"""What tells that a source is the one that an earlier run read: its facts on disk, and a digest of both its ends."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any, TypeAlias

from async_loader.errors import SourceError
from async_loader.sources import Source
from async_loader.sources.streams import STDIN

# Bytes at either end that the digest covers. With size and time of change, enough to tell a file from an edited one.
DIGESTED = 1 << 16

# As it is kept in `loader_runs`: JSON, and None for a source that cannot be read a second time.
Identity: TypeAlias = dict[str, Any]


def identity(source: Source) -> Identity | None:
    """Path, how it is read, size in bytes, time of change in nanoseconds, digest. None for stdin and pipes."""
    if source.path == STDIN or not stat.S_ISREG((facts := _facts(source.path)).st_mode):
        return None
    return {
        "path": source.path,
        "format": source.format,
        "delimiter": source.delimiter,
        "names": dict(source.names),
        "constants": dict(source.constants),
        "means_null": list(source.means_null),
        "size": facts.st_size,
        "modified": facts.st_mtime_ns,
        "digest": _digest(source.path, facts.st_size),
    }


def _facts(path: str) -> os.stat_result:
    try:
        return Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error) from error


def _digest(path: str, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    try:
        with Path(path).open("rb") as file:
            digest.update(file.read(DIGESTED))
            file.seek(max(0, size - DIGESTED))
            digest.update(file.read(DIGESTED))
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(path, f"cannot be read: {(error.strerror or str(error)).lower()}")
