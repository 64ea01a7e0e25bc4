"""Dates and times as they are written, among the formats that are common. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from async_loader.columns import Type

# Formats of dates, in the order in which they are preferred where several fit: the day before the month.
_DATES = (
    "%d.%m.%Y",
    "%d.%m.%y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
_DATETIMES = (
    *(f"{date} {time}" for date in _DATES for time in _TIMES),
    *(f"{date}, {time}" for date in _DATES[:2] for time in _TIMES[:2]),
    "%Y%m%d%H%M%S",
    "%d.%m.%YT%H:%M:%S",
)
# Formats that differ only in which of day and month comes first.
_SWAPPED = (("%d", "%m"), ("%m", "%d"))
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?\s*(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
TIME = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?")
# As `TIME`, with hours that no day has.
DURATION = re.compile(r"[0-9]+:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?")
# What may be a date, maybe with a time: digits of a year and more, three parts with the same mark between them, or the
# name of a month.
_LIKELY = re.compile(
    r"(?:(?:19|20|21)[0-9]{6}(?:[0-9]{6})?|[0-9]{1,4}([-./])(?:[0-9]{1,2}|[^\W\d_]{3,9})\1[0-9]{2,4}"
    r"|[0-9]{1,2} [^\W\d_]{3,9} [0-9]{4}|[^\W\d_]{3,9} [0-9]{1,2}, [0-9]{4})(?:,?[T ].{4,20})?"
)
# Texts that are tried before a format is tried on all; and the part of all that it must fit.
_TRIED, _MOST = 50, 0.8
_YEARS = range(1900, 2101)
# Characters of a date with a time that has no colon.
_SHORTEST_TIME = 14


@dataclass(frozen=True, slots=True)
class Moments:
    """The dates or times of a column: which type they are, and how they are written; empty where that is in ISO 8601.

    doubt: a date that may be read in two ways, where no other decides; else empty.
    """

    type: Type
    formats: tuple[str, ...] = ()
    doubt: str = ""

    def read(self, text: str) -> datetime | None:
        """Return the moment that a text is; None where it is none."""
        if not self.formats:
            return _iso(text)
        return next((moment for each in self.formats if (moment := _read(text, each)) is not None), None)


def moments_of(texts: Mapping[str, int]) -> Moments | None:
    """Return the dates or times that most of the texts are; None where they are none."""
    total = sum(texts.values())
    iso = sum(count for text, count in texts.items() if _iso(text) is not None)
    if iso and iso >= _MOST * total:
        has_times = any(_ISO_DATETIME.fullmatch(text) for text in texts)
        return Moments(Type.DATETIME if has_times else Type.DATE)
    likely = [text for text in texts if _LIKELY.fullmatch(text)]
    if len(likely) < _MOST * len(texts):
        return None
    return _written(texts, [*islice(likely, _TRIED)], total)


def _written(texts: Mapping[str, int], few: list[str], total: int) -> Moments | None:
    with_times = [text for text in few if ":" in text or len(text) >= _SHORTEST_TIME]
    possible = (*(_DATES if len(with_times) < len(few) else ()), *(_DATETIMES if with_times else ()))
    scores = {each: sum(_read(text, each) is not None for text in few) for each in possible}
    candidates = [each for each in scores if scores[each]]
    if not candidates:
        return None
    counts = {each: sum(count for text, count in texts.items() if _read(text, each) is not None) for each in candidates}
    best = max(candidates, key=lambda each: counts[each])
    formats = [best]
    left = {text: count for text, count in texts.items() if _read(text, best) is None}
    for each in candidates:
        if not left or each == _swapped(best):
            continue
        read = {text for text in left if _read(text, each) is not None}
        if read:
            formats.append(each)
            left = {text: count for text, count in left.items() if text not in read}
    if sum(left.values()) > (1 - _MOST) * total:
        return None
    has_times = any("%H" in each or "%I" in each for each in formats)
    doubt = _doubt([text for text in texts if _read(text, best) is not None], best)
    return Moments(Type.DATETIME if has_times else Type.DATE, tuple(formats), doubt)


def _doubt(texts: list[str], form: str) -> str:
    """Return a date that is another one with day and month in the other order, which all texts can be read in."""
    other = _swapped(form)
    if day_comes_first(form) is None or has_year_first(form) or any(_read(text, other) is None for text in texts):
        return ""
    return next((text for text in texts if _read(text, form) != _read(text, other)), "")


def swapped(moments: Moments) -> Moments:
    """Return the same dates with day and month in the other order, and no doubt."""
    first, *others = moments.formats
    return Moments(moments.type, (_swapped(first), *others))


def _swapped(form: str) -> str:
    return form.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")


def day_comes_first(form: str) -> bool | None:
    """Return whether a format has the day before the month; None where it says none in digits."""
    if "%d" not in form or "%m" not in form:
        return None
    return form.index("%d") < form.index("%m")


def has_year_first(form: str) -> bool:
    """Return whether a format begins with the year, so that no one takes its month for a day."""
    return form.startswith("%Y")


def is_digits_alone(moments: Moments) -> bool:
    """Return whether the dates are written as digits, so that they may be numbers."""
    return any(each.isalnum() for each in (form.replace("%", "") for form in moments.formats))


def _read(text: str, form: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - a zone is the column's
    except ValueError:
        return None
    return moment if moment.year in _YEARS else None


def _iso(text: str) -> datetime | None:
    if not (_ISO_DATE.fullmatch(text) or _ISO_DATETIME.fullmatch(text)):
        return None
    try:
        return datetime.fromisoformat(text.replace(",", ".")).replace(tzinfo=None)
    except ValueError:
        return None
