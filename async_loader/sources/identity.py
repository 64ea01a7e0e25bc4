"""What tells that a source is the one that an earlier run read: its facts in storage, and a digest of both ends."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any, TypeAlias

from async_loader.sources import Source
from async_loader.sources.opening import STDIN, facts_of, opened
from async_loader.sources.streams import failures

# Bytes at either end that the digest covers. With size and time of change, enough to tell a file from an edited one.
DIGESTED = 1 << 16

# As it is kept in `loader_runs`: JSON, and None for a source that cannot be read a second time.
Identity: TypeAlias = dict[str, Any]


def identity(source: Source) -> Identity | None:
    """Path, how it is read, size in bytes, time of change in nanoseconds (or what else its storage says of its
    version), digest. None for stdin and pipes.
    """
    if source.path == STDIN:
        return None
    with failures(source.name):
        facts = facts_of(source.path)
        if facts.size is None:
            return None
        digest = _digest(source.path, facts.size)
    return {
        "path": source.name,
        "format": source.format,
        "delimiter": source.delimiter,
        "names": dict(source.names),
        "constants": dict(source.constants),
        "means_null": list(source.means_null),
        "size": facts.size,
        "modified": facts.modified,
        "digest": digest,
    }


def _digest(path: str, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    source = opened(path)
    with contextlib.closing(source.file) as file:
        digest.update(file.read(DIGESTED))
        file.seek(max(0, size - DIGESTED))
        digest.update(file.read(DIGESTED))
    return digest.hexdigest()
