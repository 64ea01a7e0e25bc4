"""How values, numbers and line numbers are written in a text. Light: every command imports it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from async_loader import Reject

# How many characters of one value are shown.
_VALUE_SHOWN = 200


def printable(text: str) -> str:
    """Return the text with escapes for all characters that could steer a terminal, and for bytes that are not UTF-8."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":
        # Stands for a byte of a file's name.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def shell_quoted(text: str) -> str:
    """Return the text as one word of a shell's command line, in printable characters."""
    if text.isprintable():
        return shlex.quote(text)
    parts = (_in_quotes(character) for character in text)
    return f"$'{''.join(parts)}'"


def _in_quotes(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def clipped(text: str) -> str:
    """Return the text, or the beginning and the length of a long one."""
    return text if len(text) <= _VALUE_SHOWN else f"{text[:_VALUE_SHOWN]}... ({len(text):,} characters)"


def number_of(count: int, noun: str) -> str:
    """Return the number with its noun, as in `1 reject` and `2,000 rejects`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def lines_of(reject: Reject) -> str:
    """Return the lines of its source on which a reject stands."""
    return f"line {reject.line}" if reject.line == reject.line_end else f"lines {reject.line}-{reject.line_end}"
