"""How values, numbers and line numbers are written in a text. Light: every command imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from async_loader import Reject

# How many characters of one value are shown.
_VALUE_SHOWN = 200


def printable(text: str) -> str:
    """Return the text with escapes in place of all characters that could steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clipped(text: str) -> str:
    """Return the text, or the beginning and the length of a long one."""
    return text if len(text) <= _VALUE_SHOWN else f"{text[:_VALUE_SHOWN]}... ({len(text):,} characters)"


def number_of(count: int, noun: str) -> str:
    """Return the number with its noun, as in `1 reject` and `2,000 rejects`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def lines_of(reject: Reject) -> str:
    """Return the lines of its source on which a reject stands."""
    return f"line {reject.line}" if reject.line == reject.line_end else f"lines {reject.line}-{reject.line_end}"
