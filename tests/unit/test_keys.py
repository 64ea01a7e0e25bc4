"""Sets of keys hold what a Python set holds, however the keys lie."""

from __future__ import annotations

import itertools
import pickle

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader.records.keys import AcceptedKeys, IntegerKeys, ReferencedKeys, TextKeys
from async_loader.tables import Column, Type

NEAR = st.integers(-100, 100)
FAR = st.integers(-(2**63), 2**63 - 1)
BATCHES = st.lists(st.lists(NEAR | FAR | st.none(), max_size=20), max_size=8)


@given(
    st.lists(st.lists(NEAR | st.none(), max_size=20), max_size=8) | BATCHES,
    st.lists(NEAR | FAR | st.none(), max_size=20),
)
def test_integer_keys_are_a_set(batches: list[list[int | None]], probes: list[int | None]) -> None:
    keys, model = IntegerKeys(), set[int | None]()
    for batch in batches:
        keys.add(pl.Series(batch, dtype=pl.Int64))
        model |= set(batch) - {None}
        asked = [*probes, *batch]
        assert keys.holds(pl.Series(asked, dtype=pl.Int64)).to_list() == [key in model for key in asked]
        assert len(keys) == len(model)


@pytest.mark.parametrize("step", [1, 7, 1_000_003, 2**40])
@pytest.mark.parametrize("sign", [1, -1])
def test_many_keys_in_order_and_out_of_it(step: int, sign: int) -> None:
    keys = IntegerKeys()
    values = pl.int_range(0, 200_000, eager=True) * step * sign
    for part in values.shuffle(seed=1).to_frame().iter_slices(9_999):
        keys.add(part.to_series())
    assert len(keys) == 200_000
    assert keys.holds(values).all()
    between = values + (1 if step > 1 else 200_000 * 2)
    assert not keys.holds(between).any()


@given(st.lists(st.lists(st.text(max_size=3) | st.none(), max_size=9), max_size=5))
def test_text_keys_are_a_set(batches: list[list[str | None]]) -> None:
    keys, model = TextKeys(), set[str | None]()
    for batch in batches:
        keys.add(pl.Series(batch, dtype=pl.String))
        model |= set(batch) - {None}
        assert keys.holds(pl.Series(batch, dtype=pl.String)).to_list() == [key in model for key in batch]
        assert len(keys) == len(model)


def test_a_database_is_asked_once_about_each_key_it_may_hold() -> None:
    column = Column("id", Type.INTEGER)
    accepted = AcceptedKeys(column)
    accepted.add(pl.Series([1, 2]))
    known = ReferencedKeys(column, accepted, (5, 10))
    asked = known.unknown(pl.Series([1, 4, 5, 7, 7, 11, None]))
    assert sorted(asked) == [5, 7]
    known.learn(asked, pl.Series([7]))
    assert known.unknown(pl.Series([5, 7])).to_list() == []
    assert known.absent(pl.Series([1, 4, 5, 7, None])).to_list() == [False, True, True, False, False]
    assert ReferencedKeys(column, None, None).unknown(pl.Series([1])).to_list() == []


def test_keys_that_were_refused_cannot_be_referenced_wherever_the_others_are_sent() -> None:
    column, every = Column("id", Type.INTEGER), pl.int_range(1_000_000, eager=True)
    accepted = AcceptedKeys(column)
    accepted.add(every)
    accepted.refuse(pl.Series([2, 70]))
    sent = pickle.dumps(accepted)
    assert len(sent) < len(every) // 4
    received: AcceptedKeys = pickle.loads(sent)
    assert received.referable().to_list() == [key for key in every if key not in {2, 70}]
    assert received.taken(pl.Series([1, 2])).to_list() == [True, True]
    assert received.stored(pl.Series([1, 2])).to_list() == [True, False]


def test_nothing_is_asked_of_a_database_that_held_no_keys_or_has_told_all_of_them() -> None:
    column = Column("id", Type.INTEGER)
    assert ReferencedKeys(column, AcceptedKeys(column), None).is_whole
    known = ReferencedKeys(column, AcceptedKeys(column), (5, 10))
    assert not known.is_whole
    known.learned_all()
    assert known.is_whole


def test_all_keys_are_read_once_a_good_part_of_them_was_asked_about() -> None:
    least, greatest = -5, 2_500_000
    known = ReferencedKeys(Column("id", Type.INTEGER), None, (least, greatest))
    few = known.unknown(pl.Series([0, 1, 2]))
    assert known.ranges_to_read(few, 8) == []
    known.learn(few, few)
    ranges = known.ranges_to_read(known.unknown(pl.int_range(10, 500_000, eager=True)), 8)
    assert [ranges[0][0], ranges[-1][1]] == [least, greatest]
    assert all(stop + 1 == start for (_, stop), (start, _) in itertools.pairwise(ranges))
    known.learn_present(pl.Series([3, 7]))
    known.learned_all()
    assert known.unknown(pl.Series([4, 8, 2_000_000])).to_list() == []
    assert known.absent(pl.Series([0, 3, 4, 7, 8])).to_list() == [False, False, True, False, True]


def test_text_keys_and_far_flung_ones_are_asked_about_one_by_one() -> None:
    for column_type, key_range in ((Type.TEXT, ("a", "b")), (Type.INTEGER, (-(2**63), 2**63 - 1))):
        known = ReferencedKeys(Column("id", column_type), None, key_range)
        assert known.ranges_to_read(pl.Series(key_range), 1) == []
