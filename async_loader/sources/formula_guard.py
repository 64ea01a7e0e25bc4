"""The apostrophes that files of rejects put before text which a spreadsheet would run as a formula: put and taken away.

One stands at the beginning of a cell, and one after each separator within it: a program that is set to another
separator than the file's takes what follows for a cell of its own, in quotes or not.

A file of rejects is a CSV file with the columns `_line` and `_reasons`, or `_reject`. Only there does reading take
apostrophes away, so that what is read is what was rejected: a text that has them already gets one more.
"""

from __future__ import annotations

import re

import polars as pl

from async_loader.records.batches import RAW_MARK

# How a formula begins, also with full-width signs.
_SIGN = "[=+\\-@\uff1d\uff0b\uff0d\uff20]"
# How text begins that a spreadsheet would run: after white space that it drops too, or as what marks a whole record.
_MISLEADING = f"'*({_SIGN}|[\\t\\r\\n]|{RAW_MARK})"
_GUARDED = rf"^'({_MISLEADING})"
# What may stand between cells and rows, and what follows it: quotes are dropped at the beginning of a cell.
_SEPARATOR = r"[,;|\t\r\n]"
_GUARDED_WITHIN = rf"({_SEPARATOR})'([\"']*{_SIGN})"

# A plain number with a sign is no formula.
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_IS_NUMBER = re.compile(_NUMBER)
_NEEDS_GUARD = re.compile(_MISLEADING)
_NEEDS_GUARD_WITHIN = re.compile(rf"({_SEPARATOR})(?!{_NUMBER}(?:\1|\Z))(?=[\"']*{_SIGN})")


def guarded(text: str) -> str:
    """Return the text as a file of rejects has it."""
    within = guarded_within(text)
    return f"'{within}" if _NEEDS_GUARD.match(text) and not _IS_NUMBER.fullmatch(text) else within


def guarded_within(text: str) -> str:
    """Return the text as a file of rejects has it after the beginning of a cell."""
    return _NEEDS_GUARD_WITHIN.sub(r"\1'", text)


def unguarded(text: str) -> str:
    """Return the text that a file of rejects has so."""
    return unguarded_within(re.sub(_GUARDED, r"\1", text))


def unguarded_within(text: str) -> str:
    """Return the text that a file of rejects has so after the beginning of a cell."""
    return re.sub(_GUARDED_WITHIN, r"\1\2", text)


def unguarded_columns() -> pl.Expr:
    """Return all columns of a file of rejects, as text, as they were before they were guarded."""
    return pl.all().str.replace(_GUARDED, "${1}").str.replace_all(_GUARDED_WITHIN, "${1}${2}")
