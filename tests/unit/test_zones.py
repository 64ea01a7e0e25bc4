"""Whole columns of times without a zone become what `zoneinfo` says of each, in every zone that there is."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader.records.zones import all_in_utc, in_utc

ZONES = sorted(zoneinfo.available_timezones())
HOUR = timedelta(hours=1)


def one_by_one(times: list[datetime | None], zone: str) -> list[datetime | None]:
    def converted(time: datetime | None) -> datetime | None:
        try:
            return None if time is None else in_utc(time, zone)
        except OverflowError:
            return None

    return [converted(time) for time in times]


def agree(times: list[datetime | None], zone: str) -> bool:
    return all_in_utc(pl.Series(times, dtype=pl.Datetime("us")), zone).to_list() == one_by_one(times, zone)


@given(st.sampled_from(ZONES), st.lists(st.none() | st.datetimes(), max_size=20))
def test_any_times_of_any_zone(zone: str, times: list[datetime | None]) -> None:
    assert agree(times, zone)


def around_changes(zone: str) -> list[datetime | None]:
    """Return times on both sides of each change of a zone's offset, and within it."""
    home, times = zoneinfo.ZoneInfo(zone), list[datetime | None]()
    noon, before = datetime(1850, 1, 1, 12), None  # noqa: DTZ001
    while noon.year < 2045:
        offset = home.utcoffset(noon)
        if before not in (None, offset):
            begins = noon - timedelta(days=4)
            times += [begins + number * HOUR / 2 + timedelta(microseconds=number % 3) for number in range(240)]
        noon, before = noon + timedelta(days=3), offset
    return times


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param(zone, marks=() if number % 60 == 7 or zone == "Pacific/Apia" else pytest.mark.long)
        for number, zone in enumerate(ZONES)
    ],
)
def test_times_around_all_changes_of_a_zone(zone: str) -> None:
    ends = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)]  # noqa: DTZ001
    assert agree([*around_changes(zone), *ends], zone)
