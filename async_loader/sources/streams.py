"""Bytes of a source, decompressed, read to its very end or refused.

Every failure of a file, disk, storage or decompressor leaves here as a SourceError.
"""

from __future__ import annotations

import codecs
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import pyarrow as pa

from async_loader.errors import SourceError, one_line
from async_loader.ledger.contents import Content
from async_loader.sources.addresses import is_remote, shown
from async_loader.sources.opening import CHANGED, STDIN, Facts, opened
from async_loader.sources.ranges import Stretch, Version
from async_loader.sources.signatures import FRONT
from async_loader.sources.summing import SummingFile
from async_loader.sources.transcoding import Bytes, Transcoded, is_marked_as_utf_8, marked_encoding
from async_loader.sources.unpacking import Gunzipped

# Bytes read at a time: large enough that a block's fixed costs vanish, small enough that memory stays flat.
BLOCK = 2 << 20
# A record may span blocks up to this many bytes. A quoted CSV field that has not closed by then is
# taken as never closing.
RECORD_LIMIT = 64 << 20

_GZIP = "gzip"
# Suffix -> name of the codec in pyarrow, whose streams notice a source that was cut off; but those of gzip take no
# padding.
CODECS = {".gz": _GZIP, ".bz2": "bz2", ".zst": "zstd"}

# Names of UTF-8, which is read as it is.
_UTF_8 = ("", "utf-8")


class Stream:
    """A source open for reading, or a stretch of one: `name` as reports have it, `size` in stored bytes (None where
    unknown), `front` the first bytes of what has been read. member: of a ZIP archive, the file in it that is read.
    """

    def __init__(
        self,
        path: str,
        codec: str | None = None,
        stretch: Stretch | None = None,
        *,
        name: str = "",
        encoding: str | None = None,
        member: str = "",
    ) -> None:
        self.name = name or shown(path)
        self.front = b""
        # Of text other than UTF-8; None where it is not read as text.
        self.encoding = "" if encoding in _UTF_8 else encoding
        self._start, self._left = 0, sys.maxsize
        # Of a member of an archive, which says it; 0 where it is not known.
        self._unpacked_size = 0
        with self.failures():
            self._opened = opened(path)
            self._file, self._close = self._opened.file, self._opened.close
            self.size = self._opened.facts.size
            # Not of stdin and pipes, which go on where they are.
            self.can_be_opened_again = path != STDIN and (self.size is not None or is_remote(path))
            self._summing: SummingFile | None = None
            # The version of an object says enough of its content, and a stretch or member is not all of it.
            if self.size is None or not (is_remote(path) or stretch is not None or member):
                self._summing = SummingFile(self._file)
            self._reader: Bytes = self._summing or self._file
        if codec is not None and self.size == 0:
            self.close()
            raise SourceError(self.name, f"is empty, not a {codec} file")
        if member:
            self._enter(member)
        if codec is not None:
            self._reader = _unpacked(self._reader, codec)
        if self.encoding:
            self._reader = Transcoded(self._reader, self.encoding)
        if stretch is not None:
            self._go_to(stretch)

    def read(self, size: int) -> bytes:
        """Return that many bytes, of text as UTF-8; fewer only at the end."""
        size = min(size, self._left)
        with self.failures():
            read = self._read(size)
            if self.encoding == "" and not self.front and (encoding := marked_encoding(read)):
                self.encoding = encoding
                self._reader = Transcoded(self._reader, encoding, read)
                read = self._read(size)
        if self.encoding and not self.front and self._left == sys.maxsize:
            self._refuse_mark_of_utf_8(read)
        self._left -= len(read)
        self.front = self.front or read[:FRONT]
        return read

    def _refuse_mark_of_utf_8(self, read: bytes) -> None:
        if is_marked_as_utf_8(read, self.encoding or ""):
            problem = f"begins with the byte order mark of UTF-8, and was to be read as {self.encoding}"
            raise SourceError(self.name, f"{problem}; say what it is: --encoding utf-8")

    def _read(self, size: int) -> bytes:
        parts = [self._reader.read(size)]
        while parts[-1] and (missing := size - sum(map(len, parts))) > 0:
            parts.append(self._reader.read(missing))
        return b"".join(parts)

    def _enter(self, member: str) -> None:
        """Read what a ZIP archive has as this member, and count its bytes there alone."""
        from async_loader.sources.archives import open_member

        try:
            archive = self.seekable_file()
            with self.failures():
                self._reader, info = open_member(self.name, archive, member)
        except BaseException:
            self.close()
            raise
        self._start, self._unpacked_size = info.header_offset, info.file_size
        if self.size is not None:
            self.size = info.compress_size

    @property
    def facts(self) -> Facts:
        """Of the whole source, when it was opened."""
        return self._opened.facts

    @property
    def version(self) -> Version:
        """The part of the facts that every host sees alike."""
        return self.facts.version

    @property
    def content(self) -> Content | None:
        """What was read, once that is all bytes in their order; None before, and of what is not summed up."""
        if self._summing is None or not self._summing.is_at_end:
            return None
        return Content(self._summing.size, checksum=self._summing.checksum)

    @property
    def read_to(self) -> int:
        """How many bytes on disk have been read; 0 where the source does not say."""
        return self._file.tell() - self._start if self.size is not None else 0

    def seekable_file(self) -> BinaryIO:
        """Return the file itself, for formats read from the end; stdin, pipes and what is packed are copied to a
        temporary file.
        """
        with self.failures():
            if self.size is not None and self._reader in (self._file, self._summing):
                return self._file
            self._check_room()
            copy = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the stream closes it
            shutil.copyfileobj(cast("BinaryIO", self._reader), copy, BLOCK)
            self.close()
            self._file, self._close, self._reader = copy, copy.close, copy
            return copy

    def _check_room(self) -> None:
        """Raise SourceError where a temporary file has no room for what is unpacked, as far as its size is known."""
        directory = tempfile.gettempdir()
        if self._unpacked_size > (free := shutil.disk_usage(directory).free):
            unpacked, room = self._unpacked_size / 2**30, free / 2**30
            problem = f"is {unpacked:,.1f} GiB when it is unpacked, and {directory} has {room:,.1f}"
            raise SourceError(self.name, f"{problem}; set TMPDIR to a place with more room")

    def check_unchanged(self) -> None:
        """Raise SourceError if the source is not the one that was opened, or was written to since."""
        if self.size is None:
            return
        with self.failures():
            now = self._opened.look()
        if now != self._opened.facts:
            raise SourceError(self.name, CHANGED)

    def close(self) -> None:
        """Close the source; stdin is left open."""
        self._close()

    def _go_to(self, stretch: Stretch) -> None:
        """Go to its first byte, but where it is of row groups, which are found by other means."""
        if stretch.version != self.version:
            self.close()
            raise SourceError(self.name, CHANGED)
        self.size = stretch.stop - stretch.start
        if not stretch.groups:
            self._start, self._left = stretch.start, self.size
            with self.failures():
                self._file.seek(self._start)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Translate what reading can raise."""
        try:
            with failures(self.name):
                yield
        except ValueError as error:
            # A thread that still reads gets this when the run has been given up.
            if not self._file.closed:
                raise
            raise SourceError(self.name, f"cannot be read: {error}") from error


def _unpacked(reader: Bytes, codec: str) -> Bytes:
    """Return a reader of what is packed."""
    if codec == _GZIP:
        return Gunzipped(reader)
    return cast("Bytes", pa.CompressedInputStream(pa.PythonFile(reader, mode="r"), codec))


@contextlib.contextmanager
def failures(name: str) -> Iterator[None]:
    """Translate what looking at a source can raise."""
    try:
        yield
    except OSError as error:
        raise SourceError(name, f"cannot be read: {_plain(error)}") from error
    except pa.ArrowException as error:
        raise SourceError(name, f"cannot be read: {one_line(error)}") from error


def without_bom(name: str, head: bytes) -> bytes:
    """Return the first bytes of a text source, less a UTF-8 byte order mark. SourceError for UTF-16 without a mark."""
    if head[:1] and b"\0" in (head[:1], head[1:2]) and any(head[:2]):
        encoding = "utf-16-be" if head[:1] == b"\0" else "utf-16-le"
        raise SourceError(name, f"is UTF-16 without a byte order mark; say so: --encoding {encoding}")
    return head.removeprefix(codecs.BOM_UTF8)


def _plain(error: OSError) -> str:
    return (error.strerror or one_line(error)).lower()
