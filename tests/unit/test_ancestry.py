"""What is known of parents spreads to all their descendants, in any order and to any depth."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader.records.ancestry import FEW, Naming, certain, descendants, generations, orphaned

DEEP = 100_000


def naming(named: list[str | None], own: list[str | None]) -> Naming:
    return Naming.of_values(pl.Series(named, dtype=pl.String), pl.Series(own, dtype=pl.String))


def chain(size: int) -> Naming:
    """Return records of which each names the next one, and the last one none."""
    own = pl.int_range(size, eager=True)
    return Naming.of_values(own.shift(-1), own)


@pytest.mark.parametrize("width", [1, FEW + 2])
def test_a_chain_of_any_depth_falls_with_its_first_ancestor(width: int) -> None:
    one = pl.int_range(DEEP, eager=True)
    own = pl.concat([one + number * DEEP for number in range(width if width == 1 else 3)])
    named = pl.select(pl.when((own + 1) % DEEP != 0).then(own + 1)).to_series()
    each = Naming.of_values(named, own)
    candidates = (own != DEEP - 1).to_numpy()
    gone = orphaned([each], candidates)
    assert gone.tolist() == [place < DEEP - 1 for place in range(len(own))]
    assert certain([each], candidates).tolist() == [place >= DEEP for place in range(len(own))]


def test_records_that_name_each_other_in_a_circle_stay() -> None:
    each = naming(["b", "a", "c", "gone", "d"], ["a", "b", "c", "d", "e"])
    assert orphaned([each], np.ones(5, np.bool_)).tolist() == [False, False, False, True, True]
    assert not certain([each], np.ones(5, np.bool_)).any()


def test_a_record_needs_all_its_parents() -> None:
    mother, father = naming(["b", None, "b"], ["a", "b", "c"]), naming(["c", None, "z"], ["a", "b", "c"])
    assert orphaned([mother, father], np.ones(3, np.bool_)).tolist() == [True, False, True]


def test_one_of_several_candidates_for_a_name_is_enough() -> None:
    each = naming([None, "gone", "a"], ["a", "a", "b"])
    assert orphaned([each], np.ones(3, np.bool_)).tolist() == [False, True, False]


def test_circles_come_after_their_ancestors_and_before_their_descendants() -> None:
    # 0 <- 1 <-> 2 <- 3, and 4 alone; pairs are of a child and a parent.
    children, parents = np.array([1, 1, 2, 3]), np.array([0, 2, 1, 2])
    number, circle = generations(5, children, parents)
    assert circle == number[1] == number[2]
    assert number[0] < number[1] < number[3]
    assert number[4] == 0


def test_descendants_of_a_record_are_all_below_it() -> None:
    assert descendants(4, np.array([1, 2]), np.array([0, 1]), np.array([1])).tolist() == [1, 2]


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["a", "b", "c", "d", "e", "z", None])), max_size=12)
)
def test_what_stays_is_what_the_plain_way_keeps(records: list[tuple[str, str | None]]) -> None:
    each = naming([named for _, named in records], [own for own, _ in records])
    kept = set(range(len(records)))
    while gone := {place for place in kept if records[place][1] not in {None, *(records[other][0] for other in kept)}}:
        kept -= gone
    candidates = np.ones(len(records), np.bool_)
    assert set(np.flatnonzero(~orphaned([each], candidates)).tolist()) == kept
    stored = set[int]()
    while more := {
        place
        for place in set(range(len(records))) - stored
        if records[place][1] in {None, *(records[other][0] for other in stored)}
    }:
        stored |= more
    assert set(np.flatnonzero(certain([each], candidates)).tolist()) == stored
