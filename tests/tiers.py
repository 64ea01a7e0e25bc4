"""The tiers of the tests: which cases of a test a plain `pytest` runs, and which wait for `-m wide` or `-m long`.

Many tests have a case for each combination of their parameters: every mode with every store with every input. Nearly
every fault shows in all cases that have one value in common, a few in those that have two. So a plain run takes a
sample, in which every value of every parameter occurs; the other cases are `wide`. Parameters that a marker `turns`
names are not combined even so far: each test takes one value, and the tests of a module take all values in turn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest

Case = Mapping[Any, Hashable]

# Files whose tests take more than ten seconds together; those that take longest come first.
LONGEST = (
    "test_worker_faults.py",
    "test_workers.py",
    "test_workers_finding.py",
    "test_docs.py",
    "test_retry.py",
    "test_agreement.py",
    "test_models.py",
    "test_oracle.py",
    "test_remote.py",
    "test_parts.py",
    "test_streams.py",
    "test_locks.py",
    "test_servers.py",
    "test_full_disk.py",
    "test_postgres.py",
)


def amounts(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test with `amount` of few always, and of many where there is time for it."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.wide)])


def leaves_out_long(chosen: str) -> bool:
    """Return whether a run whose `-m` is this leaves out all tests that take long."""
    return "not long" in chosen.split(" and ")


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests by file: those that take longest first, then those of many tests.

    Processes take a file at a time, so one that takes long may not be left for the end.
    """
    longest = {name: place for place, name in enumerate(LONGEST)}
    counts = Counter(item.path for item in items)
    return sorted(items, key=lambda item: (longest.get(item.path.name, len(longest)), -counts[item.path], item.path))


def divide(items: Iterable[pytest.Item]) -> None:
    """Mark as wide what the samples leave out, but for tests that are marked `whole`."""
    tests: dict[Any, list[pytest.Function]] = defaultdict(list)
    for item in items:
        markers = {marker.name for marker in item.iter_markers()}
        if isinstance(item, pytest.Function) and not markers & {"whole", "wide", "long"}:
            tests[item.path, item.cls, item.originalname].append(item)
    met: dict[Path, Counter[Hashable]] = defaultdict(Counter)
    for (path, *_), cases in tests.items():
        if len(cases) > 1:
            turns = cases[0].get_closest_marker("turns")
            in_turn = frozenset(turns.args if turns else ())
            chosen = sample([_values(case, in_turn) for case in cases], in_turn, met[path])
            for place in set(range(len(cases))) - chosen:
                cases[place].add_marker("wide")


def _values(item: pytest.Function, in_turn: frozenset[str]) -> Case:
    """Return what an item's case is of each `parametrize`, by its place or, of parameters in turn, by its name."""
    names = {str(value): name for name, value in item.callspec.params.items() if name in in_turn}
    return {names.get(value, place): value for place, value in enumerate(item.callspec._idlist)}


def sample(
    cases: Sequence[Case], in_turn: frozenset[str] = frozenset(), met: Counter[Hashable] | None = None
) -> set[int]:
    """Return the places of a few cases in which every value of every parameter occurs, in ever other company.

    in_turn: parameters of which one value is enough.
    met: how often values and pairs of them were chosen before; those that were chosen seldom come first.
    """
    met = Counter() if met is None else met
    wanted = [{value for value in case.items() if value[0] not in in_turn} for case in cases]
    left = set[Hashable]().union(*wanted)
    chosen: set[int] = set()
    while left or not chosen:
        best = max(
            (place for place in range(len(cases)) if place not in chosen),
            key=lambda place: (len(left & wanted[place]), -sum(met[each] for each in _company(cases[place])), -place),
        )
        chosen.add(best)
        left -= wanted[best]
        met.update(_company(cases[best]))
    return chosen


def _company(case: Case) -> Iterable[Hashable]:
    return chain(case.items(), combinations(sorted(case.items(), key=repr), 2))
