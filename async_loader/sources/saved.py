"""In which encoding a program has saved a file of rejects: that of its run, or another one, as its bytes show."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from async_loader.errors import SourceError
from async_loader.sources.source import Source
from async_loader.sources.streams import BLOCK, Stream
from async_loader.sources.transcoding import is_of_single_bytes, marked_encoding

# What programs write in place of bytes that they cannot read.
_REPLACED = "\ufffd"


def why_another_encoding(source: Source, encoding: str) -> str:
    """Return why a file of rejects is not in the encoding of its run, but in one that is found without its name: by a
    byte order mark, or UTF-8. Nothing where it may be as the run had it.

    SourceError where the file may be both, or has lost characters to a program that took it for UTF-8.
    """
    if source.encoding or not source.is_text or encoding in ("", "utf-8", "utf-8-sig"):
        return ""
    front = next(_blocks(source), b"")
    if front.startswith(codecs.BOM_UTF8) or marked_encoding(front) not in ("", encoding):
        return "begins with a byte order mark"
    if encoding.startswith(("utf-16", "utf-32")):
        # ASCII has zeros in these, and the names of the columns for rejects are ASCII.
        return "" if b"\0" in front else "has no zeros between its letters, as UTF-8 has none"
    if not _is_text(source, "utf-8"):
        return ""
    lost = _line_of_lost(source)
    if lost is None:
        return ""
    if lost:
        problem = f"line {lost} has U+FFFD in place of what a program could not read"
        raise SourceError(source.name, f"{problem}: export the rejects again, and open the file as {encoding}")
    if is_of_single_bytes(encoding) or not _is_text(source, encoding):
        return "has letters in UTF-8, and nothing that is none"
    problem = f"may be UTF-8, and may be {encoding}, as its run read"
    raise SourceError(source.name, f"{problem}; say which: --encoding utf-8, or --encoding {encoding}")


def _blocks(source: Source) -> Iterator[bytes]:
    stream = Stream(source.address, source.codec, name=source.name, member=source.member)
    try:
        while block := stream.read(BLOCK):
            yield block
    finally:
        stream.close()


def _is_text(source: Source, encoding: str) -> bool:
    try:
        for _text in codecs.iterdecode(_blocks(source), encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _line_of_lost(source: Source) -> int | None:
    """Return the line of a file in UTF-8 in which a character is lost, 0 for none; None for a file of ASCII alone."""
    lines, is_ascii = 1, True
    for text in codecs.iterdecode(_blocks(source), "utf-8"):
        if (place := text.find(_REPLACED)) >= 0:
            return lines + text.count("\n", 0, place)
        lines, is_ascii = lines + text.count("\n"), is_ascii and text.isascii()
    return None if is_ascii else 0
