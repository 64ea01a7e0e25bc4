"""How times of a day and durations are spelled: text to values, exactly or not at all. Pure.

As in `spellings`, what is spelled plainly is read by whole columns, and what Django reads besides by Python.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from fractions import Fraction
from typing import Any, TypeAlias

import polars as pl

from async_loader.columns import Column

# What text is read as: a value, or the code of what is wrong with it.
Read: TypeAlias = tuple[Any, str | None]

# In the place of a code: a time or duration that is finer than a microsecond.
FINE = "too fine"
# The patterns are compiled when they are used, which few loads do.
# A part of a second smaller than can be held.
TOO_FINE = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")
_PLAIN_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$"
_ODD_TIME = r"([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.,]([0-9]{1,12}))?)?"
_PLAIN_DURATION = r"^(-?[0-9]{1,7} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$"
# Days, and hours, minutes and seconds of which the last are always there: as Python, Django and PostgreSQL write them.
_CLOCK = (
    r"(?:(?P<days>-?[0-9]+) (?:days?(?:, | ?(?=[-+]?[0-9]+:[0-9]{2}:[0-9]{2}(?:[.]|$))))?)?"
    r"(?P<sign>-|[+](?=[0-9]+:[0-9]{2}:[0-9]{2}(?:[.]|$)))?"
    r"(?:(?P<hours>[0-9]+):(?=[0-9]+:))?(?:(?P<minutes>[0-9]+):)?(?P<seconds>[0-9]+(?:[.,][0-9]+)?)"
)
_DAYS = r"(?P<days>-?[0-9]+) days? ?"
_NUMBER = "[0-9]+(?:[.,][0-9]+)?"
_ISO = (
    rf"(?P<sign>[-+])?P(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?"
)
# Characters of a duration: more digits are past all that a column holds.
_LONGEST = 100
_SECOND = 1_000_000
_MICROSECONDS = {"days": 86_400 * _SECOND, "hours": 3_600 * _SECOND, "minutes": 60 * _SECOND, "seconds": _SECOND}
_DAY = _MICROSECONDS["days"]
_BOUND = 2**63


def plain_time(text: pl.Series, _: Column) -> pl.Series:
    """Return the times of a day that are spelled plainly."""
    plain = pl.select(pl.when(text.str.contains(_PLAIN_TIME)).then(text)).to_series()
    return plain.str.to_time("%H:%M:%S%.f", strict=False)


def odd_time(text: str, _: Column) -> Read:
    """Read a time of a day in another spelling."""
    if TOO_FINE.search(text):
        return None, FINE
    try:
        value = time.fromisoformat(_padded(text))
    except ValueError:
        return None, "not_time"
    return (value, None) if value.tzinfo is None else (None, "has_zone")


def _padded(text: str) -> str:
    """Return a time with two digits for each part, which Python wants."""
    match = re.fullmatch(_ODD_TIME, text)
    if match is None:
        return text
    hour, minute, second, part = match.groups()
    return f"{hour:>02}:{minute:>02}" + (f":{second:>02}" if second else "") + (f".{part[:6]}" if part else "")


def plain_duration(text: pl.Series, column: Column) -> pl.Series:
    """Return the durations that are spelled plainly: days, if there are any, and a clock."""
    plain = pl.select(pl.when(text.str.contains(_PLAIN_DURATION)).then(text)).to_series()
    days = plain.str.extract("^(-?[0-9]+) ").cast(pl.Int64).fill_null(0)
    clock = plain.str.replace("^-?[0-9]+ ", "")
    hours, minutes = clock.str.slice(0, 2).cast(pl.Int64), clock.str.slice(3, 2).cast(pl.Int64)
    seconds = clock.str.slice(6, 2).cast(pl.Int64)
    parts = clock.str.slice(9).str.pad_end(6, "0").cast(pl.Int64)
    return ((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * _SECOND + parts).cast(column.dtype)


def odd_duration(text: str, _: Column) -> Read:
    """Read a duration in another spelling."""
    match = re.fullmatch(_CLOCK, text) or re.fullmatch(_DAYS, text) or re.fullmatch(_ISO, text)
    if match is None or len(text) > _LONGEST:
        return None, "not_duration"
    parts = {name: Fraction(part.replace(",", ".")) for name, part in match.groupdict().items() if _is_number(part)}
    sign = -1 if match.groupdict().get("sign") == "-" else 1
    days = parts.pop("days", Fraction(0)) * _DAY * (sign if match.re.pattern == _ISO else 1)
    total = days + sign * sum(part * _MICROSECONDS[name] for name, part in parts.items())
    if not -_BOUND < total < _BOUND:
        return None, "out_of_range"
    if total.denominator > 1:
        return None, FINE
    return timedelta(microseconds=int(total)), None


def _is_number(part: str | None) -> bool:
    return part is not None and part not in "+-"


def duration_text(duration: timedelta) -> str:
    """Return a duration in its plain spelling."""
    [text] = duration_texts(pl.Series([duration], dtype=pl.Duration("us")))
    return str(text)


def duration_texts(durations: pl.Series) -> pl.Series:
    """Return durations in their plain spelling, which is Django's."""
    whole = durations.cast(pl.Duration("us")).to_physical()
    days, rest = whole // _DAY, whole % _DAY
    seconds, part = rest // _SECOND, rest % _SECOND
    clock = [seconds // 3600, seconds // 60 % 60, seconds % 60]
    return pl.select(
        pl.concat_str(
            pl.when(days != 0).then(pl.concat_str(days, pl.lit(" "))).otherwise(pl.lit("")),
            pl.concat_str([each.cast(pl.String).str.zfill(2) for each in clock], separator=":"),
            pl.when(part != 0)
            .then(pl.concat_str(pl.lit("."), part.cast(pl.String).str.zfill(6)))
            .otherwise(pl.lit("")),
        )
    ).to_series()


def time_texts(times: pl.Series) -> pl.Series:
    """Return times of a day with as many digits of their second as they have, of which a cast gives none."""
    return times.dt.to_string("%H:%M:%S%.f")
