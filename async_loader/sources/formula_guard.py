"""The apostrophe that files of rejects put before text which a spreadsheet would run as a formula: put and taken away.

A file of rejects is a CSV file with the columns `_line` and `_reasons`, or `_reject`. Only there does reading take an
apostrophe away, so that what is read is what was rejected.
"""

from __future__ import annotations

import re

import polars as pl

from async_loader.records.batches import RAW_MARK

# How text begins that a spreadsheet would run as a formula, with full-width signs and after white space that it drops
# too, or that marks a whole record.
_MISLEADING = "'*([=+\\-@\uff1d\uff0b\uff0d\uff20\\t\\r\\n]|" + RAW_MARK + ")"
_GUARDED = rf"^'({_MISLEADING})"

_NEEDS_GUARD = re.compile(_MISLEADING)
# A plain number with a sign is no formula.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def guarded(text: str) -> str:
    """Return the text as a file of rejects has it."""
    return f"'{text}" if _NEEDS_GUARD.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """Return the text that a file of rejects has so."""
    return re.sub(_GUARDED, r"\1", text)


def unguarded_columns() -> pl.Expr:
    """Return all columns of a file of rejects, as text, as they were before they were guarded."""
    return pl.all().str.replace(_GUARDED, "${1}")
