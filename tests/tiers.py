"""The tiers of the tests: which of a test's cases a plain `pytest` runs, and which wait for `-m wide` or `-m long`.

A test that is marked `sample` has a case for each way of combining its parameters. Any fault that depends on one value
shows in a few of them: so those in which every value occurs are run always, and the others are `wide`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations

import pytest

Case = Mapping[str, Hashable]


def divide(items: Iterable[pytest.Item]) -> None:
    """Mark as wide what the samples leave out. A case that is long stays long, and is no part of a sample."""
    tests: dict[Hashable, list[pytest.Function]] = defaultdict(list)
    for item in items:
        is_sampled = item.get_closest_marker("sample") and not item.get_closest_marker("long")
        if isinstance(item, pytest.Function) and is_sampled:
            tests[item.path, item.cls, item.originalname].append(item)
    for cases in tests.values():
        chosen = sample([case.callspec.indices for case in cases])
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
