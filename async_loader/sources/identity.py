"""Whether a source is the one that an earlier run read: its facts in storage, and a digest of both ends; and a
checksum of a whole file, for loads that have to know whether the content is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from dataclasses import replace
from typing import Any, TypeAlias

from async_loader.formats import as_facts
from async_loader.ledger.contents import DIGESTED, Content
from async_loader.sources.addresses import is_remote
from async_loader.sources.opening import STDIN, facts_of, opened
from async_loader.sources.source import Source
from async_loader.sources.streams import BLOCK, failures

# The greatest file that gets a checksum: reading it takes some seconds, in which Ctrl-C is not felt.
MOST_SUMMED = 4 << 30

# As it is kept in `loader_runs`: JSON, and None for a source that cannot be read a second time.
Identity: TypeAlias = dict[str, Any]


def identity(source: Source, part: str | None = None) -> Identity | None:
    """Return path, how it is read, size in bytes, time of change in nanoseconds (or what else its storage says of its
    version), and digest. None for stdin and pipes, and for what a program gives.

    part: the name of the part that is read, where it is known; otherwise the part is as the path names it.
    """
    if source.address == STDIN or source.data is not None:
        return None
    with failures(source.name):
        stored = facts_of(source.address)
        if stored.size is None:
            return None
        digest = _digest(source.address, stored.size)
    facts = {
        "path": source.name,
        "format": source.base,
        "delimiter": source.dialect.delimiter,
        "names": dict(source.names),
        "constants": dict(source.constants),
        "means_null": list(source.means_null),
        "size": stored.size,
        "modified": stored.modified,
        "digest": digest,
    }
    # A run of a version that did not know these can be resumed.
    later = {
        "ignore": list(source.ignore),
        "part": "#".join(filter(None, (source.member, source.part))) if part is None else part,
        "separators": dict(source.separators),
        "encoding": source.encoding,
    }
    later |= as_facts(replace(source.dialect, delimiter=",")) | as_facts(source.spellings)
    return facts | {name: value for name, value in later.items() if value}


def is_read_once(source: Source) -> bool:
    """Return whether a source cannot be read a second time: stdin and pipes, and what a program gives."""
    if source.address == STDIN or source.data is not None:
        return True
    if is_remote(source.path):
        return False
    with contextlib.suppress(OSError):
        return facts_of(source.address).size is None
    return False


def with_checksum(content: Content, path: str, read: Content | None) -> Content:
    """Return the content of a source with the checksum of all its bytes, if it is a local file that is as it was.

    read: the content that was read, if the bytes were read in their order. Otherwise a file is read once more, unless
    it is very large. What is stored elsewhere is not: its version says enough.
    """
    if read is not None and read.size == content.size:
        return replace(content, checksum=read.checksum)
    if content.checksum is not None or path == STDIN or is_remote(path) or content.size > MOST_SUMMED:
        return content
    with contextlib.suppress(OSError):
        source = opened(path)
        with contextlib.closing(source.file) as file:
            checksum = 0
            while block := file.read(BLOCK):
                checksum = zlib.crc32(block, checksum)
        is_unchanged = source.facts.size == content.size and source.look() == source.facts
        if is_unchanged and content.modified in (None, source.facts.modified):
            return replace(content, checksum=checksum)
    return content


def _digest(path: str, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    source = opened(path)
    with contextlib.closing(source.file) as file:
        digest.update(file.read(DIGESTED))
        file.seek(max(0, size - DIGESTED))
        digest.update(file.read(DIGESTED))
    return digest.hexdigest()
