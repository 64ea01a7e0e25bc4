"""How values of types that have no text of their own are spelled: text to values, exactly or not at all. Pure.

What is spelled plainly is read by whole columns. Everything else, which is rare, is read by Python, text by text: it
takes what Django's fields take, and says what is wrong with the rest. Both take time linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal

import polars as pl

from async_loader.columns import MOST_DIGITS, Column, Type
from async_loader.records.json_text import object_of, refuse_constant
from async_loader.records.times import (
    FINE,
    TOO_FINE,
    Read,
    odd_duration,
    odd_time,
    plain_duration,
    plain_time,
)
from async_loader.records.zones import all_in_utc, in_utc


@dataclass(frozen=True, slots=True)
class Spelling:
    """How values of a type are read from text. `plain` gives null where the text is not spelled plainly, `odd` reads
    such text.
    """

    plain: Callable[[pl.Series, Column], pl.Series]
    odd: Callable[[str, Column], Read]


# In the place of a code: a time that clocks of the column's zone never showed.
IN_GAP = "in a DST gap"
# A decimal that has too many digits because of its decimal places.
MANY_PLACES = "many places"
# The codes that rejects have in the place of these.
SPECIAL_CODES = {IN_GAP: "not_datetime", FINE: "out_of_range", MANY_PLACES: "too_many_digits"}

_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|s?nan)", re.IGNORECASE)
_DECIMAL = re.compile(r"([+-]?)(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
# An exponent of more digits is past all that a column can hold, unless the number is zero.
_LONGEST_EXPONENT = 9
# Digits from the first that is not zero to the last: no column takes nearly as many.
_MANY_DIGITS = 400
_EXACT = Context(prec=2 * MOST_DIGITS)
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_PLAIN_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ODD_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_PLAIN_ZONE = "(Z|[+-][0-9]{2}:[0-9]{2})$"
_PLAIN_DATETIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$"
)
_ODD_DATETIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})([.,][0-9]+)?)?\s*(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
# Marks in a UUID that mean nothing.
_MARKS = ("urn:", "uuid:")
_HEXADECIMAL = "^[0-9a-f]{32}$"


def _masked(text: pl.Series, pattern: str) -> pl.Series:
    """Return the text, null where the pattern is not found in it."""
    return pl.select(pl.when(text.str.contains(pattern)).then(text)).to_series()


def _decimal(text: pl.Series, column: Column) -> pl.Series:
    whole = column.digits - column.places
    # Where all digits are after the point, Django counts a zero before it unless some follow.
    fraction = rf"(\.[0-9]{{0,{column.places}}})?" if whole else rf"\.[0-9]{{1,{max(column.places, 1)}}}"
    pattern = rf"^[+-]?0*[0-9]{{0,{whole}}}{fraction}$"
    plain = _masked(_masked(text, "[0-9]"), pattern)
    if column.significant < column.digits:
        plain = pl.select(pl.when(plain.str.count_matches("[0-9]") <= column.significant).then(plain)).to_series()
    return plain.cast(column.dtype, strict=False)


def _odd_decimal(text: str, column: Column) -> Read:
    if _NOT_FINITE.fullmatch(text):
        return None, "not_finite"
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None, "not_number"
    sign, whole, fraction, exponent = (part or "" for part in match.groups())
    digits = (whole + fraction).lstrip("0")
    if len(digits) > _MANY_DIGITS:
        return None, "too_many_digits"
    value = Decimal((int(sign == "-"), tuple(map(int, digits or "0")), _power(exponent) - len(fraction)))
    code = digits_fault(value, column)
    return (None, code) if code else (_placed(value, column), None)


def _power(exponent: str) -> int:
    """Return an exponent as it is written, or one that is as much too large."""
    digits = exponent.lstrip("+-").lstrip("0")
    power = int(digits or "0") if len(digits) <= _LONGEST_EXPONENT else 10**_LONGEST_EXPONENT
    return -power if exponent.startswith("-") else power


def _placed(value: Decimal, column: Column) -> Decimal:
    """Return a value that fits with just the column's places: no exponent of its own, which Polars would not take."""
    return value.quantize(Decimal((0, (1,), -column.places)), context=_EXACT) if value else Decimal(0)


def digits_code(value: Decimal, column: Column) -> str | None:
    """Return the code of what is wrong with how many digits a finite value has, if anything; as Django counts them."""
    _, significant, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    decimals = max(0, -exponent)
    digits = max(len(significant), decimals) + (max(0, exponent) if value else 0)
    fits = digits <= column.digits and decimals <= column.places and digits - decimals <= column.digits - column.places
    kept = len("".join(map(str, significant)).strip("0"))
    return None if fits and kept <= column.significant else "too_many_digits"


def digits_fault(value: Decimal, column: Column) -> str | None:
    """Return what `digits_code` does, or that only the decimal places are too many."""
    code = digits_code(value, column)
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if code is None or -exponent <= column.places or abs(value) >= Decimal(10) ** (column.digits - column.places):
        return code
    return MANY_PLACES


def _boolean(text: pl.Series, column: Column) -> pl.Series:
    return text.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=column.dtype)


def _odd_boolean(_text: str, _column: Column) -> Read:
    return None, "not_boolean"


def _date(text: pl.Series, _: Column) -> pl.Series:
    return _of_our_years(_masked(text, _PLAIN_DATE)).str.to_date("%Y-%m-%d", strict=False)


def _of_our_years(text: pl.Series) -> pl.Series:
    """Return the text, null for the year 0, which Python does not have."""
    return pl.select(pl.when(~text.str.starts_with("0000")).then(text)).to_series()


def _odd_date(text: str, _: Column) -> Read:
    try:
        return date.fromisoformat(text), None
    except ValueError:
        pass
    match = _ODD_DATE.fullmatch(text)
    try:
        return (date(*map(int, match.groups())), None) if match else (None, "not_date")
    except ValueError:
        return None, "not_date"


def _datetime(text: pl.Series, column: Column) -> pl.Series:
    plain = _of_our_years(_masked(text, _PLAIN_DATETIME))
    zone = plain.str.extract(_PLAIN_ZONE)
    local = plain.str.replace(_PLAIN_ZONE, "").str.replace("T", " ", literal=True)
    stamp = local.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    if column.zone is None:
        return pl.select(pl.when(zone.is_null()).then(stamp)).to_series()
    shifted = (stamp - _offset(zone)).dt.replace_time_zone("UTC")
    if not zone.null_count():
        return _within_years(shifted)
    of_column = all_in_utc(pl.select(pl.when(zone.is_null()).then(stamp)).to_series(), column.zone)
    return _within_years(pl.select(pl.when(zone.is_null()).then(of_column).otherwise(shifted)).to_series())


def _offset(zone: pl.Series) -> pl.Series:
    """Return how far a zone such as +02:00 is ahead of UTC; null for null."""
    zone = zone.replace("Z", "+00:00")
    minutes = zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(4, 2).cast(pl.Int64)
    return pl.select(
        pl.duration(minutes=pl.when(zone.str.starts_with("-")).then(-minutes).otherwise(minutes), time_unit="us")
    ).to_series()


def _within_years(stamps: pl.Series) -> pl.Series:
    """Return the times, null where the years of UTC are not Python's."""
    return pl.select(pl.when(stamps.dt.year().is_between(1, 9999)).then(stamps)).to_series()


def _odd_datetime(text: str, column: Column) -> Read:
    if TOO_FINE.search(text):
        return None, FINE
    try:
        value = datetime.fromisoformat(_padded(text))
    except ValueError:
        return None, "not_datetime"
    if column.zone is None:
        return (value, None) if value.tzinfo is None else (None, "has_zone")
    try:
        stamp = in_utc(value, column.zone) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None, "out_of_range"
    return (None, IN_GAP) if stamp is None else (stamp, None)


def _padded(text: str) -> str:
    """Return a time with two digits for each part, which Python wants."""
    match = _ODD_DATETIME.fullmatch(text)
    if match is None:
        return text
    year, month, day, hour, minute, second, part, zone = match.groups()
    if hour is None:
        return f"{year}-{month:>02}-{day:>02}"
    seconds = f":{second:>02}{(part or '').replace(',', '.')}" if second else ""
    return f"{year}-{month:>02}-{day:>02} {hour:>02}:{minute:>02}{seconds}{zone or ''}"


def _uuid(text: pl.Series, _: Column) -> pl.Series:
    bare = text
    for mark in _MARKS:
        bare = bare.str.replace_all(mark, "", literal=True)
    bare = bare.str.strip_chars("{}").str.replace_all("-", "", literal=True).str.to_lowercase()
    return _masked(bare, _HEXADECIMAL)


def _odd_uuid(_text: str, _column: Column) -> Read:
    return None, "not_uuid"


def _json(text: pl.Series, column: Column) -> pl.Series:
    """Return nulls: how a value is written shows only from its whole text, so none is plain."""
    return pl.Series([None], dtype=column.dtype).new_from_index(0, len(text))


def _odd_json(text: str, column: Column) -> Read:
    """Read JSON, of which null is null, as Django stores it."""
    try:
        value = json.loads(text, object_pairs_hook=object_of, parse_constant=refuse_constant)
        if value is None:
            return None, None if column.nullable else "missing"
        return json.dumps(value, allow_nan=False), None
    except (ValueError, RecursionError):
        return None, "not_json"


def _binary(text: pl.Series, _: Column) -> pl.Series:
    """Return the bytes of base64 that is written in the one way in which it can be."""
    read = text.str.decode("base64", strict=False)
    return pl.select(pl.when(read.bin.encode("base64") == text).then(read)).to_series()


def _odd_binary(_text: str, _column: Column) -> Read:
    return None, "not_base64"


SPELLINGS: Mapping[Type, Spelling] = {
    Type.DECIMAL: Spelling(_decimal, _odd_decimal),
    Type.BOOLEAN: Spelling(_boolean, _odd_boolean),
    Type.DATE: Spelling(_date, _odd_date),
    Type.DATETIME: Spelling(_datetime, _odd_datetime),
    Type.UUID: Spelling(_uuid, _odd_uuid),
    Type.JSON: Spelling(_json, _odd_json),
    Type.TIME: Spelling(plain_time, odd_time),
    Type.DURATION: Spelling(plain_duration, odd_duration),
    Type.BINARY: Spelling(_binary, _odd_binary),
}
