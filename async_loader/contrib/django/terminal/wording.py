"""How values, numbers and places are written in a line of text. Light: whoever says anything imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from async_loader import Reject

# Characters of one value that are worth showing.
_VALUE_SHOWN = 200


def printable(text: str) -> str:
    """The text with everything that could steer a terminal as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clipped(text: str) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= _VALUE_SHOWN else f"{text[:_VALUE_SHOWN]}... ({len(text):,} characters)"


def number_of(count: int, what: str) -> str:
    """So many, as in `1 reject` and `2,000 rejects`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def lines_of(reject: Reject) -> str:
    """Where a reject stands in its source."""
    return f"line {reject.line}" if reject.line == reject.line_end else f"lines {reject.line}-{reject.line_end}"
