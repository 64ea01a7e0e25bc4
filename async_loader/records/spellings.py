"""How decimals, booleans, dates, datetimes, UUIDs and JSON are spelled: text to values, exactly or not at all. Pure.

What is spelled plainly is read by whole columns. Everything else, which is rare, is read by Python, text by text: it
takes what Django's fields take, and says what is wrong with the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import polars as pl

from async_loader.tables import Column, Type

# What text is read as: a value, or the code of what is wrong with it.
Read: TypeAlias = tuple[Any, str | None]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How values of a type are read from text. `plain` gives null where the text is not spelled plainly, `odd` reads
    such text.
    """

    plain: Callable[[pl.Series, Column], pl.Series]
    odd: Callable[[str, Column], Read]


_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|s?nan)", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
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
# Years whose clocks Polars and Python know alike: Polars has no summer time behind them.
COMMON_YEARS = (1900, 2099)
# A part of a second smaller than can be held.
_TOO_FINE = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")
# Marks in a UUID that mean nothing.
_MARKS = ("urn:", "uuid:")
_HEXADECIMAL = "^[0-9a-f]{32}$"


def _masked(text: pl.Series, pattern: str) -> pl.Series:
    """Null where the pattern is not found."""
    return pl.select(pl.when(text.str.contains(pattern)).then(text)).to_series()


def _decimal(text: pl.Series, column: Column) -> pl.Series:
    whole = column.digits - column.places
    # Where all digits are behind the point, Django counts a zero before it unless some follow.
    behind = rf"(\.[0-9]{{0,{column.places}}})?" if whole else rf"\.[0-9]{{1,{max(column.places, 1)}}}"
    pattern = rf"^[+-]?0*[0-9]{{0,{whole}}}{behind}$"
    plain = _masked(_masked(text, "[0-9]"), pattern)
    if column.significant < column.digits:
        plain = pl.select(pl.when(plain.str.count_matches("[0-9]") <= column.significant).then(plain)).to_series()
    return plain.cast(column.dtype, strict=False)


def _odd_decimal(text: str, column: Column) -> Read:
    if _NOT_FINITE.fullmatch(text):
        return None, "not_finite"
    if not _DECIMAL.fullmatch(text):
        return None, "not_number"
    value = Decimal(text)
    code = digits_code(value, column)
    return (None, code) if code else (value, None)


def digits_code(value: Decimal, column: Column) -> str | None:
    """What is wrong with how many digits a finite value has, if anything."""
    _, significant, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    decimals = max(0, -exponent)
    digits = max(len(significant), decimals) + (max(0, exponent) if value else 0)
    fits = digits <= column.digits and decimals <= column.places and digits - decimals <= column.digits - column.places
    kept = len("".join(map(str, significant)).strip("0"))
    return None if fits and kept <= column.significant else "too_many_digits"


def _boolean(text: pl.Series, column: Column) -> pl.Series:
    return text.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=column.dtype)


def _odd_boolean(_text: str, _column: Column) -> Read:
    return None, "not_boolean"


def _date(text: pl.Series, _: Column) -> pl.Series:
    return _of_our_years(_masked(text, _PLAIN_DATE)).str.to_date("%Y-%m-%d", strict=False)


def _of_our_years(text: pl.Series) -> pl.Series:
    """Null for the year 0, which Python does not have."""
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
    at_home = pl.select(pl.when(stamp.dt.year().is_between(*COMMON_YEARS)).then(stamp)).to_series()
    at_home = at_home.dt.replace_time_zone(column.zone, ambiguous="earliest", non_existent="null")
    at_home = at_home.dt.convert_time_zone("UTC")
    return _within_years(pl.select(pl.when(zone.is_null()).then(at_home).otherwise(shifted)).to_series())


def _offset(zone: pl.Series) -> pl.Series:
    """How far a zone such as +02:00 is ahead of UTC; null for null."""
    zone = zone.replace("Z", "+00:00")
    minutes = zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(4, 2).cast(pl.Int64)
    return pl.select(
        pl.duration(minutes=pl.when(zone.str.starts_with("-")).then(-minutes).otherwise(minutes), time_unit="us")
    ).to_series()


def _within_years(stamps: pl.Series) -> pl.Series:
    """Null where the years of UTC are not Python's."""
    return pl.select(pl.when(stamps.dt.year().is_between(1, 9999)).then(stamps)).to_series()


def _odd_datetime(text: str, column: Column) -> Read:
    if _TOO_FINE.search(text):
        return None, "out_of_range"
    try:
        value = datetime.fromisoformat(_padded(text))
    except ValueError:
        return None, "not_datetime"
    return at_home(value, column)


def at_home(value: datetime, column: Column) -> Read:
    """A time as the column has it."""
    if column.zone is None:
        return (value, None) if value.tzinfo is None else (None, "has_zone")
    try:
        return _in_utc(value, ZoneInfo(column.zone))
    except OverflowError:
        return None, "out_of_range"


def _padded(text: str) -> str:
    """With two digits for each part, which Python wants."""
    match = _ODD_DATETIME.fullmatch(text)
    if match is None:
        return text
    year, month, day, hour, minute, second, part, zone = match.groups()
    if hour is None:
        return f"{year}-{month:>02}-{day:>02}"
    seconds = f":{second:>02}{(part or '').replace(',', '.')}" if second else ""
    return f"{year}-{month:>02}-{day:>02} {hour:>02}:{minute:>02}{seconds}{zone or ''}"


def _in_utc(value: datetime, home: ZoneInfo) -> Read:
    if value.tzinfo is not None:
        return value.astimezone(UTC), None
    stamp = value.replace(tzinfo=home).astimezone(UTC)
    # An hour that clocks leave out in spring is no time at all.
    return (stamp, None) if stamp.astimezone(home).replace(tzinfo=None) == value else (None, "not_datetime")


def _uuid(text: pl.Series, _: Column) -> pl.Series:
    bare = text
    for mark in _MARKS:
        bare = bare.str.replace_all(mark, "", literal=True)
    bare = bare.str.strip_chars("{}").str.replace_all("-", "", literal=True).str.to_lowercase()
    return _masked(bare, _HEXADECIMAL)


def _odd_uuid(_text: str, _column: Column) -> Read:
    return None, "not_uuid"


def _json(text: pl.Series, column: Column) -> pl.Series:
    """None is plain: how a value is written can be told from the whole text only."""
    return pl.Series([None], dtype=column.dtype).new_from_index(0, len(text))


def _odd_json(text: str, column: Column) -> Read:
    """JSON's null is null, as Django stores it."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        if value is None:
            return None, None if column.nullable else "missing"
        return json.dumps(value, allow_nan=False), None
    except (ValueError, RecursionError):
        return None, "not_json"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key comes twice")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


SPELLINGS: Mapping[Type, Spelling] = {
    Type.DECIMAL: Spelling(_decimal, _odd_decimal),
    Type.BOOLEAN: Spelling(_boolean, _odd_boolean),
    Type.DATE: Spelling(_date, _odd_date),
    Type.DATETIME: Spelling(_datetime, _odd_datetime),
    Type.UUID: Spelling(_uuid, _odd_uuid),
    Type.JSON: Spelling(_json, _odd_json),
}
