"""The bytes at both ends of a file: all of a small one, else the front and, where that can be read alone, the end."""

from __future__ import annotations

from dataclasses import dataclass

from async_loader.errors import SourceError
from async_loader.guessing.kinds import packing_of
from async_loader.sources.addresses import shown
from async_loader.sources.opening import STDIN, opened
from async_loader.sources.streams import CODECS, Stream, failures

# Bytes that are read at each end.
AT_EACH_END = 1 << 20


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a file, unpacked.

    front: all of it where `is_whole`; else `back` is what stands at its end, or nothing where only unpacking all of it
    would show that. size: bytes as they are stored. taken: how many of those the front takes, about.
    """

    front: bytes
    back: bytes
    size: int
    taken: int
    suffix: str
    is_whole: bool

    @property
    def looked_at(self) -> int:
        """The bytes of the file that were read."""
        return min(self.size, self.taken + len(self.back))


def ends_of(path: str) -> Ends:
    """Return both ends of a file. SourceError where it cannot be read, or read only once."""
    name = shown(path)
    if path == STDIN:
        raise SourceError(name, "is read only once: write it to a file to inspect it")
    with failures(name):
        source = opened(path)
        try:
            size = source.facts.size
            if size is None:
                raise SourceError(name, "can be read only once: copy it to a file to inspect it")
            suffix = packing_of(source.file.read(8))
            if suffix:
                return _unpacked(path, size, suffix)
            source.file.seek(0)
            front = _read(source.file, min(size, 2 * AT_EACH_END))
            if size <= 2 * AT_EACH_END:
                return Ends(front, b"", size, size, "", is_whole=True)
            source.file.seek(size - AT_EACH_END)
            return Ends(front[:AT_EACH_END], _read(source.file, AT_EACH_END), size, AT_EACH_END, "", is_whole=False)
        finally:
            source.close()


def _unpacked(path: str, size: int, suffix: str) -> Ends:
    stream = Stream(path, CODECS[suffix])
    try:
        front = stream.read(2 * AT_EACH_END)
        is_whole = len(front) < 2 * AT_EACH_END or not stream.read(1)
        return Ends(front, b"", size, size if is_whole else stream.read_to, suffix, is_whole=is_whole)
    finally:
        stream.close()


def whole_file(path: str) -> bytes:
    """Return all bytes of a file."""
    with failures(shown(path)):
        source = opened(path)
        try:
            return _read(source.file, source.facts.size or 0)
        finally:
            source.close()


def _read(file: object, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (part := file.read(size)):  # type: ignore[attr-defined]
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
