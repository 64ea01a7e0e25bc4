"""Why records are rejected: codes and messages, made into JSON by whole columns. Pure.

A reason is (code, column, message). A message is one line: control characters in it are escaped. Half of a large source
may be bad, so the texts of a batch are made at once, and only for the records that need them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

# Stands in a message for the record's own value.
SHOWN = "{shown}"

# What JSON, or an encoder of it, may write otherwise than it is.
_TO_ESCAPE = r"[^ -~]|[\"\\\\]"
# Characters that end a line, move the cursor of a terminal, or turn the order of what it shows.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"
_CONTROLS = re.compile(_CONTROL)

# The code of a rule that raised on a record.
RULE_FAILED = "rule_failed"

FAULT_MESSAGES = {
    "missing": "{column} is missing",
    "not_integer": "{column} must be an integer, not {shown}",
    "not_number": "{column} must be a number, not {shown}",
    "not_text": "{column} must be text, not {shown}",
    "not_list": "{column} must be a list, not {shown}",
    "not_boolean": "{column} must be true or false, not {shown}",
    "not_date": "{column} must be a date, not {shown}",
    "not_datetime": "{column} must be a date and time, not {shown}",
    "has_zone": "{column} must have no time zone: {shown}",
    "not_time": "{column} must be a time of day, not {shown}",
    "not_duration": "{column} must be a duration, not {shown}",
    "not_base64": "{column} must be base64, not {shown}",
    "not_uuid": "{column} must be a UUID, not {shown}",
    "not_json": "{column} must be JSON, not {shown}",
    "too_many_digits": "{column} has too many digits: {shown}",
    "not_finite": "{column} must be finite, not {shown}",
    "out_of_range": "{column} is out of range: {shown}",
    "nul_character": "{column} holds a NUL character: {shown}",
    "invalid_utf8": "{column} is not valid UTF-8: {shown}",
    "invalid_encoding": "{column} is not text in its encoding: {shown}",
    "error_cell": "{column} is an error of the spreadsheet: {shown}",
    "no_value": "{column} is a formula without a value: {shown}; save the file in a spreadsheet program",
}


def fault_message(code: str, column: str) -> str:
    """Return the message of a fault of a column. Of one that a column's `convert` found, that is what it said."""
    return FAULT_MESSAGES.get(code, SHOWN).replace("{column}", column)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of all n records of a batch, and which of them failed it.

    `message` may hold `{shown}`: what `shown` gives for the records at some places, asked only about failed ones.
    `columns` are those that the check looks at, where it is not asked about what a record lacks.
    """

    code: str
    column: str | None
    message: str
    failed: pl.Series
    shown: Callable[[pl.Series], pl.Series] | None = None
    columns: tuple[str, ...] = ()

    def chosen(self, which: pl.Series) -> Check:
        """Return the check of some of the records."""
        shown, places = self.shown, which.arg_true()

        def of_chosen(chosen: pl.Series) -> pl.Series:
            assert shown is not None
            return shown(places.gather(chosen))

        return replace(self, failed=self.failed.filter(which), shown=None if shown is None else of_chosen)

    @property
    def name(self) -> str:
        """The name under which its reason is counted."""
        return reason_name(self.code, self.column)


def reason_name(code: str, column: str | None) -> str:
    """Return the name under which a reason is counted: `column.code`, or `code` where the whole record is at fault."""
    return code if column is None else f"{column}.{code}"


def lost_parents(headers: Iterable[str], table: str, shown: pl.Series, where: pl.Series, source: str) -> pl.Series:
    """Return the messages of records of a source which name what is not there. Each has what it names, as messages show
    it, and the place of the record that was rejected under this name, where there is one.
    """
    stands = pl.lit(where.str.replace(f" of {source}", "", literal=True))
    ending = pl.when(stands.is_not_null()).then(pl.lit(": its record, ") + stands + pl.lit(", was rejected"))
    said = pl.lit(f"{' and '.join(headers)} ") + pl.lit(shown) + pl.lit(f" does not exist in {table}")
    return pl.select(said + ending.otherwise(pl.lit(""))).to_series()


def commonest_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts of reasons by name, the greatest first; names with the same count in the order of the alphabet."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def reason_json(code: str, column: str | None, message: str) -> str:
    """Return one reason as a JSON object."""
    return json.dumps({"code": code, "column": column, "message": on_one_line(message)}, ensure_ascii=False)


def on_one_line(text: str) -> str:
    """Return text with escapes for control characters, as JSON has them: a message is one line."""
    return _CONTROLS.sub(lambda control: f"\\u{ord(control[0]):04x}", text)


def reasons_json(checks: Sequence[Check], places: pl.Series) -> pl.Series:
    """Return JSON arrays of all reasons of the records at these places, each of which failed a check, in the order of
    the checks.

    Few combinations of checks fail, however many records: each combination's texts are made at once.
    """
    failed = pl.DataFrame([check.failed.gather(places).alias(str(number)) for number, check in enumerate(checks)])
    parts = []
    for combination, numbers in failed.with_row_index("record").group_by(failed.columns, maintain_order=True):
        chosen = [check for check, has_failed in zip(checks, combination, strict=True) if has_failed]
        records = numbers["record"]
        parts.append(pl.DataFrame({"record": records, "reasons": _texts(chosen, places.gather(records))}))
    return pl.concat(parts).sort("record")["reasons"]


def _texts(checks: Sequence[Check], places: pl.Series) -> pl.Series:
    """Return JSON arrays for the records at these places, which have failed all of these checks."""
    pieces: list[pl.Expr] = []
    constant = "["
    for check in checks:
        text = reason_json(check.code, check.column, check.message)
        if check.shown is not None and SHOWN in text:
            before, text = text.split(SHOWN, 1)
            pieces += [pl.lit(constant + before), pl.lit(_escaped(check.shown(places)))]
            constant = ""
        constant += text + ", "
    pieces.append(pl.lit(constant.removesuffix(", ") + "]"))
    texts = pl.select(reasons=pl.concat_str(pieces)).to_series()
    return texts if len(texts) == len(places) else texts.new_from_index(0, len(places))


def _escaped(texts: pl.Series) -> pl.Series:
    """Return texts as they stand inside a JSON text, each on one line; nothing for null."""
    texts = texts.fill_null("")
    if not texts.str.contains(_TO_ESCAPE).any():
        return texts
    if len(places := texts.str.contains(_CONTROL).arg_true()):
        texts = texts.scatter(places, pl.Series(map(on_one_line, texts.gather(places)), dtype=pl.String))
    encoded = texts.to_frame("text").select(pl.struct("text").struct.json_encode()).to_series()
    prefix, suffix = len('{"text":"'), len('"}')
    return encoded.str.slice(prefix).str.head(-suffix)
