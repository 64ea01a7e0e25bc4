"""Counts in words, for lines of evidence. Pure."""

from __future__ import annotations


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 line` and `2,000 lines`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
