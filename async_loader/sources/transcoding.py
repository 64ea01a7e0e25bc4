"""Text of other encodings as UTF-8, byte for byte accounted for.

A byte that is no text of its encoding stands in what is read as a surrogate of its own (`UNDECODED`), which no UTF-8
has: so the readers of text find it as they find what is no UTF-8, and `undecoded` says which bytes there were.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple, Protocol

import polars as pl

# Python's surrogates from here on stand for bytes, as in `surrogateescape`, but for all bytes.
_FIRST = 0xDC00
_ERRORS = "async_loader.undecoded"
UNDECODED = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")
_EVERY_BYTE = bytes(range(256))
# Byte order marks: what follows is read with the encoding, which takes them off.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Undecodable(NamedTuple):
    """What messages show of the texts of a column that could not be decoded, null for all others; and their code."""

    code: str
    shown: pl.Series


class Bytes(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return some bytes; none at the end."""


class Transcoded:
    """A reader of text in some encoding, as a reader of UTF-8. `front`: bytes that have been read of it already."""

    def __init__(self, reader: Bytes, encoding: str, front: bytes = b"") -> None:
        self._reader, self._front = reader, front
        self._decode = codecs.getincrementaldecoder(encoding)(_ERRORS).decode
        self._ready = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return that many bytes of UTF-8; fewer only at the end."""
        parts, ready = [self._ready], len(self._ready)
        while ready < size and not self._ended:
            raw, self._front = self._front or self._reader.read(size), b""
            self._ended = not raw
            parts.append(self._decode(raw, self._ended).encode(errors="surrogatepass"))
            ready += len(parts[-1])
        whole = b"".join(parts)
        self._ready = whole[size:]
        return whole[:size]


def marked_encoding(front: bytes) -> str:
    """Return the encoding whose byte order mark stands at the front; nothing for UTF-8."""
    return next((encoding for mark, encoding in _MARKS if front.startswith(mark)), "")


def is_of_single_bytes(encoding: str) -> bool:
    """Return whether each byte is a character of its own in an encoding."""
    return not encoding.startswith("utf") and len(_EVERY_BYTE.decode(encoding, "replace")) == len(_EVERY_BYTE)


def is_marked_as_utf_8(text: bytes, encoding: str) -> bool:
    """Return whether what was read in an encoding of single bytes begins with the byte order mark of UTF-8."""
    mark = codecs.BOM_UTF8.decode(encoding, _ERRORS).encode(errors="surrogatepass")
    return text.startswith(mark) and is_of_single_bytes(encoding)


def decoded(text: bytes) -> str:
    """Return what was read, with surrogates for bytes that are no text."""
    return text.decode(errors="surrogatepass")


def undecoded(text: str) -> tuple[int, int] | None:
    """Return the first byte that is no text, and its place among the characters from 1; None where there is none."""
    found = UNDECODED.search(text)
    return None if found is None else (ord(found[0]) - _FIRST, found.start() + 1)


def escaped(text: str) -> str:
    r"""Return the text with an escape, as in `\x81`, for each byte that is no text."""
    return UNDECODED.sub(lambda byte: f"\\x{ord(byte[0]) - _FIRST:02x}", text)


def _keep(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_FIRST + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_ERRORS, _keep)
