"""Why records are rejected: codes and messages, made into JSON by whole columns. Pure.

A reason is (code, column, message). Half of a large source may be bad, so the texts of a batch are made at once, and
just for the records that need them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

# Values are shown in messages up to so many characters; the record as read has them whole.
_SHOWN = 60
_READ = "{read}"

FAULT_MESSAGES = {
    "missing": "{column} is missing",
    "not_integer": "{column} must be an integer, not {read}",
    "not_number": "{column} must be a number, not {read}",
    "not_text": "{column} must be text, not {read}",
    "not_finite": "{column} must be finite, not {read}",
    "out_of_range": "{column} is out of range: {read}",
    "nul_character": "{column} holds a NUL character: {read}",
    "invalid_utf8": "{column} is not valid UTF-8: {read}",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of all n records of a batch, and which of them failed it.

    `message` may hold `{read}`, which stands for the record's own text in `read` (n long).
    """

    code: str
    column: str | None
    message: str
    failed: pl.Series
    read: pl.Series | None = None

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
    if check.read is not None and _READ in text:
        before, after = text.split(_READ, 1)
        whole = pl.concat_str(pl.lit(before), _escaped(check.read.gather(places)), pl.lit(after))
    return pl.select(pl.when(check.failed.gather(places)).then(whole)).to_series()


def _escaped(read: pl.Series) -> pl.Series:
    """The texts as they stand inside a JSON text, cut to what a message shows."""
    text = pl.col("text")
    cut = pl.when(text.str.len_chars() > _SHOWN).then(text.str.head(_SHOWN) + "…").otherwise(text)
    encoded = pl.DataFrame({"text": read.cast(pl.String).fill_null("")}).select(pl.struct(cut).struct.json_encode())
    prefix, suffix = len('{"text":"'), len('"}')
    return encoded.to_series().str.slice(prefix).str.head(-suffix)
