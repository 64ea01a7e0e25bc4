"""One value counts records wherever they are counted: it adds up, and says whether it does."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from async_loader import Counts
from async_loader.ledger.counts import NOTHING, flattened


def test_counts_are_added_name_by_name() -> None:
    many = [Counts(given=5, inserted=2, rejected=3), Counts(given=4, updated=1, unchanged=2, rejected=1, deleted=7)]
    assert sum(many, NOTHING) == Counts(9, 2, 1, 2, 4, 7)


@pytest.mark.parametrize("name", ["inserted", "updated", "unchanged", "rejected"])
def test_counts_are_whole_where_every_record_that_was_given_has_one_outcome(name: str) -> None:
    outcome: Any = {name: 3}
    assert Counts(given=3, **outcome).are_whole
    assert not Counts(given=4, **outcome).are_whole
    assert not Counts(given=3, deleted=3).are_whole


@pytest.mark.parametrize("value", [-1, 1.0, True, "1", None, b"1"])
@pytest.mark.parametrize("place", range(5))
def test_a_value_that_counts_nothing_is_noticed(place: int, value: Any) -> None:
    values: list[Any] = [1] * 5
    assert Counts(*values).are_readable
    values[place] = value
    assert not Counts(*values).are_readable


def test_counts_stand_in_json_by_their_own_names() -> None:
    nested = {"database": "users", "counts": {each.name: 1 for each in fields(Counts)}, "seconds": 2.0}
    assert list(flattened(nested)) == ["database", *Counts().by_name(), "seconds"]
