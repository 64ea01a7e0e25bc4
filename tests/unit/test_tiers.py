"""A plain run leaves out no value of any parameter, and the tiers together leave out no case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import LONGEST, in_order, leaves_out_long, sample

PARAMETERS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 6), min_size=1)


def cases_of(parameters: dict[str, int]) -> list[dict[str, int]]:
    """Return every combination of the parameters' values, by how many values each has."""
    combined = product(*(range(count) for count in parameters.values()))
    return [dict(zip(parameters, values, strict=True)) for values in combined]


@given(PARAMETERS)
def test_every_value_occurs_and_no_case_is_in_vain(parameters: dict[str, int]) -> None:
    cases = cases_of(parameters)
    chosen = sample(cases)
    met = {value for place in chosen for value in cases[place].items()}
    assert met == {value for case in cases for value in case.items()}
    assert len(chosen) == max(parameters.values())


def test_values_meet_in_ever_other_pairs() -> None:
    cases = cases_of({"mode": 3, "store": 2, "case": 6})
    met = {(cases[place]["mode"], cases[place]["store"]) for place in sample(cases)}
    assert len(met) == 6


def test_values_of_a_parameter_in_turn_are_spread_over_the_tests() -> None:
    met: Counter[Hashable] = Counter()
    modes = []
    for values in (1, 4, 1, 3):
        cases = cases_of({"mode": 3, "case": values})
        chosen = sample(cases, frozenset({"mode"}), met)
        assert len(chosen) == values
        modes += [cases[place]["mode"] for place in chosen]
    assert sorted(modes) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_run_of_long_tests_makes_them() -> None:
    assert all(leaves_out_long(chosen) for chosen in ("not wide and not long", "not long", "not long and wide"))
    assert not any(leaves_out_long(chosen) for chosen in ("", "long", "wide", "long or not long", "not longer"))


def test_the_files_that_take_longest_exist() -> None:
    files = {path.name for path in Path(__file__).resolve().parents[1].rglob("test_*.py")}
    assert set(LONGEST) <= files


def test_those_that_take_longest_come_first_and_then_those_of_many_tests(request: pytest.FixtureRequest) -> None:
    items = in_order(request.session.items)
    files = list(dict.fromkeys(item.path for item in items))
    assert len(items) == len(request.session.items)
    counts = Counter(item.path for item in items)
    known = [path.name for path in files if path.name in LONGEST]
    assert known == sorted(known, key=LONGEST.index)
    others = [counts[path] for path in files[len(known) :]]
    assert others == sorted(others, reverse=True)
