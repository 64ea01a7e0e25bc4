"""The tiers of the tests: which cases of a test a plain `pytest` runs, and which wait for `-m wide` or `-m long`.

Many tests have a case for each combination of their parameters: every mode with every store with every input. Nearly
every fault shows in all cases that have one value in common, a few in those that have two. So a plain run takes a
sample, in which every value of every parameter occurs; the other cases are `wide`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import pytest

Case = Mapping[Any, Hashable]


def amounts(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test with `amount` of few always, and of many where there is time for it."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.wide)])


def divide(items: Iterable[pytest.Item]) -> None:
    """Mark as wide what the samples leave out, but for tests that are marked `whole`."""
    tests: dict[Hashable, list[pytest.Function]] = defaultdict(list)
    for item in items:
        markers = {marker.name for marker in item.iter_markers()}
        if isinstance(item, pytest.Function) and not markers & {"whole", "wide", "long"}:
            tests[item.path, item.cls, item.originalname].append(item)
    for cases in tests.values():
        if len(cases) == 1:
            continue
        chosen = sample([dict(enumerate(case.callspec._idlist)) for case in cases])
        for place, case in enumerate(cases):
            if place not in chosen:
                case.add_marker("wide")


def sample(cases: Sequence[Case]) -> set[int]:
    """Return the places of a few cases in which every value of every parameter occurs, in ever other company."""
    left = {value for case in cases for value in case.items()}
    met: Counter[Hashable] = Counter()
    chosen: set[int] = set()
    while left:
        best = max(
            (place for place in range(len(cases)) if place not in chosen),
            key=lambda place: (
                len(left & cases[place].items()),
                -sum(met[pair] for pair in _pairs(cases[place])),
                -place,
            ),
        )
        chosen.add(best)
        left -= cases[best].items()
        met.update(_pairs(cases[best]))
    return chosen


def _pairs(case: Case) -> Iterable[Hashable]:
    return combinations(sorted(case.items(), key=repr), 2)
