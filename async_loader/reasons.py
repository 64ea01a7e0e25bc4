"""Why records are rejected: codes and messages, made into JSON by whole columns. Pure.

A reason is (code, column, message). Half of a large source may be bad, so the texts of a batch are made at once, and
just for the records that need them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

# Stands in a message for the record's own value.
SHOWN = "{shown}"

FAULT_MESSAGES = {
    "missing": "{column} is missing",
    "not_integer": "{column} must be an integer, not {shown}",
    "not_number": "{column} must be a number, not {shown}",
    "not_text": "{column} must be text, not {shown}",
    "not_finite": "{column} must be finite, not {shown}",
    "out_of_range": "{column} is out of range: {shown}",
    "nul_character": "{column} holds a NUL character: {shown}",
    "invalid_utf8": "{column} is not valid UTF-8: {shown}",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of all n records of a batch, and which of them failed it.

    `message` may hold `{shown}`: what `shown` gives for the records at some places, asked only about failed ones.
    """

    code: str
    column: str | None
    message: str
    failed: pl.Series
    shown: Callable[[pl.Series], pl.Series] | None = None

    @property
    def name(self) -> str:
        """As counts name it."""
        return self.code if self.column is None else f"{self.column}.{self.code}"


def reason_json(code: str, column: str | None, message: str) -> str:
    """One reason as a JSON object."""
    return json.dumps({"code": code, "column": column, "message": message}, ensure_ascii=False)


def reasons_json(checks: Sequence[Check], places: pl.Series) -> pl.Series:
    """For the records at these places, JSON arrays of all their reasons, in the order of the checks."""
    texts = [_texts(check, places).alias(str(number)) for number, check in enumerate(checks)]
    joined = pl.concat_str(pl.all(), separator=", ", ignore_nulls=True)
    return pl.DataFrame(texts).select(reasons=pl.concat_str(pl.lit("["), joined, pl.lit("]"))).to_series()


def _texts(check: Check, places: pl.Series) -> pl.Series:
    """The check's reason where a record failed it, else null."""
    text = reason_json(check.code, check.column, check.message)
    whole: pl.Expr = pl.lit(text)
    if check.shown is not None and SHOWN in text:
        before, after = text.split(SHOWN, 1)
        whole = pl.concat_str(pl.lit(before), _escaped(check.shown(places)), pl.lit(after))
    return pl.select(pl.when(check.failed.gather(places)).then(whole)).to_series()


def _escaped(texts: pl.Series) -> pl.Series:
    """The texts as they stand inside a JSON text; nothing for null."""
    encoded = texts.fill_null("").to_frame("text").select(pl.struct("text").struct.json_encode()).to_series()
    prefix, suffix = len('{"text":"'), len('"}')
    return encoded.str.slice(prefix).str.head(-suffix)
