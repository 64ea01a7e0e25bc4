"""Times that name no time zone, in UTC, and the other way round. Pure.

Python's `zoneinfo` alone says what a clock showed, as it does for Django: libraries that come with tables of their own
disagree about years before 1970, and about rules that changed after they were built. What makes it fast is that an
offset changes on few days: `zoneinfo` is asked about each day once, and single times are converted only where it does.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from async_loader.records.arrays import from_flags, from_integers

_DAY = 86_400_000_000
_SECOND = 1_000_000
_FIRST_DAY, _LAST_DAY = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))
# Midnights at which the offset is looked at: that of the day, and two more. Between two changes of any zone lie four
# days at least; a DST gap that begins on one day may end on the next.
_MIDNIGHTS = 3
# Of a day is kept its offset in seconds plus this, or that it has no one offset; zero where nothing is known yet.
_KNOWN = 1 << 20
_CHANGES = -1


def in_utc(value: datetime, zone: str) -> datetime | None:
    """Return a time of that zone in UTC: the earlier of two that clocks showed alike, None for one that none showed.

    Raises OverflowError where UTC has another year than 1 to 9999.
    """
    home = ZoneInfo(zone)
    stamp = value.replace(tzinfo=home).astimezone(UTC)
    return stamp if stamp.astimezone(home).replace(tzinfo=None) == value else None


def all_in_utc(local: pl.Series, zone: str) -> pl.Series:
    """Return times of that zone, in microseconds and of the years 1 to 9999, in UTC; null where `in_utc` gives none."""
    if zone == "UTC":
        return local.dt.replace_time_zone("UTC")
    times = local.to_physical()
    clocks = times.fill_null(0).to_numpy()
    kept = _kept_of_days(clocks // _DAY, zone)
    stamps = from_integers(clocks - (kept.astype(np.int64) - _KNOWN) * _SECOND).cast(pl.Datetime("us", "UTC"))
    single = (from_flags(kept == _CHANGES) & times.is_not_null()).arg_true()
    if len(single):
        converted = [_in_utc_or_none(value, zone) for value in local.gather(single)]
        stamps = stamps.scatter(single, pl.Series(converted, dtype=stamps.dtype))
    return pl.select(pl.when(times.is_not_null()).then(stamps)).to_series() if times.null_count() else stamps


def all_of_zone(stamps: pl.Series, zone: str) -> pl.Series:
    """Return times in UTC, in microseconds, as clocks of that zone show them."""
    if zone == "UTC":
        return stamps.dt.replace_time_zone(None)
    times = stamps.to_physical()
    instants = times.fill_null(0).to_numpy()
    days = instants // _DAY
    # A clock may show the day before or after that of UTC.
    kept = _kept_of_days(days, zone)
    same = (kept != _CHANGES) & (_kept_of_days(np.maximum(days - 1, _FIRST_DAY), zone) == kept)
    offsets = np.where(same, kept.astype(np.int64) - _KNOWN, 0)
    clocks = from_integers(instants + offsets * _SECOND).cast(pl.Datetime("us"))
    single = (from_flags(~same) & times.is_not_null()).arg_true()
    if len(single):
        shown = [_shown(value, zone) for value in stamps.gather(single)]
        clocks = clocks.scatter(single, pl.Series(shown, dtype=clocks.dtype))
    return pl.select(pl.when(times.is_not_null()).then(clocks)).to_series() if times.null_count() else clocks


def _kept_of_days(days: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int32]:
    """Return what is kept of each of some days."""
    table = _table(zone)
    kept = table[days - _FIRST_DAY]
    if not kept.all():
        for day in np.unique(days[kept == 0]).tolist():
            table[day - _FIRST_DAY] = _look_at(day, zone)
        kept = table[days - _FIRST_DAY]
    return kept


@cache
def _table(_zone: str) -> npt.NDArray[np.int32]:
    """Return the place for what is kept of each day of a zone; memory is taken only where something is."""
    return np.zeros(_LAST_DAY - _FIRST_DAY + 1, np.int32)


def _look_at(day: int, zone: str) -> int:
    """Return what to keep of a day, counted from 1970. It has no one offset also where a DST gap may reach into it, and
    at either end of the calendar, where UTC may be out of it.
    """
    if not _FIRST_DAY < day <= _LAST_DAY - _MIDNIGHTS:
        return _CHANGES
    home, midnight = ZoneInfo(zone), datetime(1970, 1, 1) + timedelta(days=day)  # noqa: DTZ001 - a clock of that zone
    offsets = {home.utcoffset(midnight + timedelta(days=more)) for more in range(_MIDNIGHTS)}
    offset = offsets.pop()
    return _CHANGES if offsets or offset is None else offset // timedelta(seconds=1) + _KNOWN


def _in_utc_or_none(value: datetime, zone: str) -> datetime | None:
    try:
        return in_utc(value, zone)
    except OverflowError:
        return None


def _shown(value: datetime, zone: str) -> datetime:
    """Return a time as clocks of a zone show it; as in UTC where the calendar has no such day."""
    try:
        return value.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    except OverflowError:
        return value.replace(tzinfo=None)
