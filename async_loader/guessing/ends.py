"""The bytes at both ends of a file: all of a small one, else the front and, where that can be read alone, the end."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from async_loader.errors import SourceError
from async_loader.guessing.kinds import packing_of
from async_loader.sources.addresses import in_archive, shown
from async_loader.sources.opening import STDIN, opened
from async_loader.sources.streams import BLOCK, CODECS, Stream, failures
from async_loader.sources.transcoding import Bytes

# Bytes that are read at each end.
AT_EACH_END = 1 << 20
# Bytes that show how a file is packed.
_MARK = 8


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


def stream_of(path: str, suffix: str = "", encoding: str | None = None) -> Stream:
    """Open a file, or one in an archive, unpacked. The caller closes the stream."""
    address, member = in_archive(path) or (path, "")
    return Stream(address, CODECS.get(suffix), name=shown(path), encoding=encoding, member=member)


def ends_of(path: str) -> Ends:
    """Return both ends of a file. SourceError where it cannot be read, or read only once."""
    name = shown(path)
    if path == STDIN:
        raise SourceError(name, "is read only once: write it to a file to inspect it")
    if in_archive(path) is not None:
        return _unpacked(path, _suffix_in_archive(path))
    with failures(name), closing(opened(path)) as source:
        size = source.facts.size
        if size is None:
            raise SourceError(name, "can be read only once: copy it to a file to inspect it")
        if suffix := packing_of(source.file.read(_MARK)):
            return _unpacked(path, suffix)
        source.file.seek(0)
        front = _read(source.file, min(size, 2 * AT_EACH_END))
        if size <= 2 * AT_EACH_END:
            return Ends(front, b"", size, size, "", is_whole=True)
        source.file.seek(size - AT_EACH_END)
        return Ends(front[:AT_EACH_END], _read(source.file, AT_EACH_END), size, AT_EACH_END, "", is_whole=False)


def _suffix_in_archive(path: str) -> str:
    with closing(stream_of(path)) as stream:
        return packing_of(stream.read(_MARK))


def _unpacked(path: str, suffix: str) -> Ends:
    """Return the front of a file that is packed; all of it where that is not more than two ends."""
    with closing(stream_of(path, suffix)) as stream:
        front = stream.read(2 * AT_EACH_END)
        is_whole = len(front) < 2 * AT_EACH_END or not stream.read(1)
        size = stream.size or len(front)
        return Ends(front, b"", size, size if is_whole else min(size, stream.read_to), suffix, is_whole=is_whole)


def _read(file: Bytes, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (part := file.read(min(size, BLOCK))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
