"""Samples of how fast a table was read, and the chart that is made of them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from async_loader import Counts, TableReport
from async_loader.contrib.django.pages.throughput import throughput
from async_loader.ledger.samples import MOST_SAMPLES, Sample, Samples

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY = TableReport("users", ("u.csv",), Counts(), (), 0.0, {}, ())


def taken(batches: int, size: int = 1000) -> Samples:
    """Return samples of a table that began a second after the run, with a batch each tenth of a second."""
    samples = Samples(BEGAN)
    for batch in range(batches + 1):
        samples.take(BEGAN + timedelta(seconds=1 + batch / 10), batch * size)
    return samples


def table(*samples: Sample) -> TableReport:
    return replace(EMPTY, samples=samples)


@pytest.mark.parametrize(
    "batches", [0, 1, 2, MOST_SAMPLES - 2, MOST_SAMPLES - 1, MOST_SAMPLES, 10 * MOST_SAMPLES + 1, 12_345]
)
def test_samples_are_bounded_and_hold_the_first_and_the_last(batches: int) -> None:
    samples = taken(batches).as_tuple()
    assert len(samples) <= MOST_SAMPLES
    assert len(samples) >= min(batches + 1, MOST_SAMPLES // 2)
    assert samples[0] == (1.0, 0)
    assert samples[-1] == (round(1 + batches / 10, 6), batches * 1000)
    assert list(samples) == sorted(set(samples))


def test_samples_are_thinned_evenly() -> None:
    samples = taken(5000).as_tuple()
    apart = {round(after[0] - before[0], 3) for before, after in pairwise(samples[:-1])}
    assert len(apart) == 1


def test_without_an_origin_the_first_moment_is_it_and_without_a_moment_there_are_no_samples() -> None:
    alone = Samples()
    assert alone.as_tuple() == ()
    alone.take(BEGAN, 5)
    assert alone.as_tuple() == ((0.0, 5),)


def test_the_chart_states_the_rates_of_the_samples() -> None:
    found = throughput({"users": table((0.0, 0), (1.0, 100), (2.0, 400)), "one batch": table((0.0, 0), (1.0, 9))})
    assert found is not None
    [curve] = found.curves
    assert (curve.name, curve.records, curve.average, curve.most) == ("users", 400, 200.0, 300.0)
    assert (found.seconds, found.rates) == ((0, 0.5, 1, 1.5, 2), (0, 100, 200, 300))
    assert curve.outline == "M0.00 100V66.67H50.00V0.00H100.00V100Z"


def test_any_number_of_samples_makes_a_short_outline_that_counts_every_record() -> None:
    found = throughput({"users": table(*taken(3000, 7).as_tuple())})
    assert found is not None
    assert found.curves[0].records == 21_000
    assert len(found.curves[0].outline) < 4000
    numbers = [float(number) for number in re.findall(r"[\d.]+", found.curves[0].outline)]
    assert min(numbers) >= 0
    assert max(numbers) <= 100


@pytest.mark.parametrize(
    "samples",
    [(), ((0.0, 0),), ((0.0, 0), (0.0, 5), (0.0, 9)), ((2.0, 0), (1.0, 5), (0.5, 9))],
    ids=["none", "one", "all at once", "a clock put back"],
)
def test_without_a_course_of_time_there_is_no_chart(samples: tuple[Sample, ...]) -> None:
    assert throughput({"users": table(*samples)}) is None


def test_a_table_that_gave_nothing_makes_a_flat_chart() -> None:
    found = throughput({"users": table((0.0, 5), (1.0, 5), (2.0, 5))})
    assert found is not None
    assert (found.curves[0].most, found.curves[0].outline) == (0, "M0.00 100V100.00H50.00V100.00H100.00V100Z")
