"""Packed bytes as what they were, in bounded memory whatever is packed: gzip, and the members of ZIP archives.

Their end is noticed: what is cut off or damaged is an error, and never a shorter source.
"""

from __future__ import annotations

import zipfile
import zlib

from async_loader.sources.transcoding import Bytes

# What the standard library raises where an archive is broken, or packed in a way that it does not know.
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    zlib.error,
)

# Packed bytes that are taken at a time: what is left of them is copied after each step.
_PACKED = 1 << 16
_GZIP = zlib.MAX_WBITS | 16
_MAGIC = b"\x1f\x8b"


class Gunzipped:
    """What a reader of gzip has packed. Several packed one after another are one; NULs after one are padding, as tapes
    and some servers leave it.

    Raises OSError where it ends too early, is damaged, or is followed by something else.
    """

    def __init__(self, reader: Bytes) -> None:
        self._reader = reader
        self._unpack = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._is_begun = False

    def read(self, size: int) -> bytes:
        """Return some bytes, that many at most; none at the end."""
        while True:
            if not self._packed and not self._more():
                return b""
            try:
                unpacked = self._unpack.decompress(self._packed, size)
            except zlib.error as error:
                raise OSError(str(error)) from error
            self._packed = self._unpack.unconsumed_tail
            if self._unpack.eof:
                self._next()
            if unpacked:
                return unpacked

    def _more(self) -> bool:
        """Take more packed bytes. Returns whether there are any."""
        self._packed = self._reader.read(_PACKED)
        self._is_begun = self._is_begun or bool(self._packed)
        if not self._packed and self._is_begun:
            raise OSError("it ends too early: it is cut off")
        return bool(self._packed)

    def _next(self) -> None:
        """Go on with what is packed after this, past padding."""
        rest = self._unpack.unused_data.lstrip(b"\0")
        while not rest and (more := self._reader.read(_PACKED)):
            rest = more.lstrip(b"\0")
        if len(rest) == 1:
            rest += self._reader.read(_PACKED)
        if rest and not rest.startswith(_MAGIC):
            raise OSError("something else than gzip follows its end")
        self._unpack = zlib.decompressobj(_GZIP)
        self._packed, self._is_begun = rest, bool(rest)


class Member:
    """A member of a ZIP archive, as it was before it was packed. Raises OSError where it is damaged."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._file = archive.open(info)

    def read(self, size: int) -> bytes:
        """Return some bytes, that many at most; none at the end."""
        try:
            return self._file.read(size)
        except EOFError as error:
            raise OSError("it ends too early: the archive is cut off") from error
        except BROKEN_ARCHIVE as error:
            raise OSError(f"the archive is damaged: {error}") from error
