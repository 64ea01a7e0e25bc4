"""Sets of keys hold what a Python set holds, however the keys lie."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_loader.columns import Column, Type
from async_loader.records import text_keys
from async_loader.records.key_sets import IntegerKeys, key_set
from async_loader.records.keys import AcceptedKeys, ReferencedKeys, UniqueValues
from tests.tiers import amounts

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


TEXTS = st.text(st.sampled_from("ab\0é"), max_size=20)
UUIDS = st.sampled_from(["0" * 32, "f" * 32, "0" * 30 + "0a", "a" * 30 + "00"]) | st.integers(0, 2**128 - 1).map(
    "{:032x}".format
)


def hashed_alike(spread: int) -> Callable[[pl.Series], Any]:
    """Return a hash function that has only `spread` different values."""
    honest = text_keys.hashes_of
    return lambda encoded: honest(encoded) % np.uint64(spread)


@amounts(25, 100)
@pytest.mark.parametrize("spread", [1, 3, 2**64 - 1])
@pytest.mark.parametrize("kind", [Type.TEXT, Type.UUID])
def test_keys_that_are_texts_are_a_set_also_where_hashes_collide(
    spread: int, kind: Type, amount: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_keys, "hashes_of", hashed_alike(spread))
    monkeypatch.setattr(text_keys, "BUCKET", 5)

    @settings(max_examples=amount)
    @given(st.lists(st.lists(TEXTS | UUIDS | st.none(), max_size=20), max_size=6))
    def agree(batches: list[list[str | None]]) -> None:
        keys, model = key_set(Column("id", kind)), set[str | None]()
        for batch in batches:
            asked = pl.Series(batch, dtype=pl.String)
            assert keys.holds(asked).to_list() == [key in model for key in batch]
            keys.add(asked)
            model |= set(batch) - {None}
            assert keys.holds(asked).to_list() == [key in model for key in batch]
            assert len(keys) == len(model)
        assert sorted(keys.all()) == sorted(key for key in model if key is not None)
        sent = pickle.loads(pickle.dumps(keys))
        assert sorted(sent.all()) == sorted(keys.all())

    agree()


@pytest.mark.parametrize(("kind", "width"), [(Type.TEXT, 24), (Type.UUID, 24)])
def test_short_texts_take_a_fraction_of_what_a_python_set_takes(kind: Type, width: int) -> None:
    keys = key_set(Column("id", kind))
    for start in range(0, 100_000, 10_000):
        form = "key-{:08d}" if kind is Type.TEXT else "{:032x}"
        keys.add(pl.Series([form.format(number) for number in range(start, start + 10_000)]))
    assert len(keys) == 100_000
    assert keys.size <= width * len(keys)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(pl.Series([1, 2, 3, None, 2]), id="integers"),
        pytest.param(pl.Series([0.0, -0.0, 1.5, None]), id="reals"),
        pytest.param(pl.Series(["a", "b", None, "a\0", "a"]), id="texts"),
        pytest.param(pl.Series(["0.10", "0.2", None], dtype=pl.Decimal(38, 2)), id="decimals"),
        pytest.param(pl.Series([True, None, False]), id="booleans"),
        pytest.param(pl.Series([date(2026, 1, 1), None, date(1, 1, 1)]), id="dates"),
        pytest.param(pl.Series([0, None, -62_135_596_799_999_999]).cast(pl.Datetime("us")), id="times"),
    ],
)
def test_unique_values_of_any_type_are_taken_one_by_one(values: pl.Series) -> None:
    kept, everything = UniqueValues([Column("name", Type.TEXT)]), values.is_not_null()
    assert not kept.are_taken(values).any()
    kept.add(values.head(2), values.clear())
    model = set(values.head(2)) - {None}
    assert kept.are_taken(values).to_list() == [value in model for value in values]
    kept.add(values.clear(), values.tail(2))
    given_up = set(values.tail(2)) - {None}
    assert kept.are_kept(values, everything).to_list() == [
        value is not None and value not in given_up for value in values
    ]


def test_a_database_is_asked_once_about_each_key_it_may_hold() -> None:
    column = Column("id", Type.INTEGER)
    accepted = AcceptedKeys(column)
    accepted.add(pl.Series([1, 2]))
    known = ReferencedKeys(column, accepted, (5, 10))
    asked = known.unknown(pl.Series([1, 4, 5, 7, 7, 11, None]))
    assert sorted(asked) == [5, 7]
    known.learn(asked, pl.Series([7]))
    assert known.unknown(pl.Series([5, 7])).to_list() == []
    assert known.are_dangling(pl.Series([1, 4, 5, 7, None])).to_list() == [False, True, True, False, False]
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
    assert received.are_taken(pl.Series([1, 2])).to_list() == [True, True]
    assert received.are_referable(pl.Series([1, 2])).to_list() == [True, False]


def test_nothing_is_asked_of_a_database_that_held_no_keys_or_whose_keys_are_all_known() -> None:
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
    assert known.are_dangling(pl.Series([0, 3, 4, 7, 8])).to_list() == [False, False, True, False, True]


def test_text_keys_and_far_flung_ones_are_asked_about_one_by_one() -> None:
    for column_type, key_range in ((Type.TEXT, ("a", "b")), (Type.INTEGER, (-(2**63), 2**63 - 1))):
        known = ReferencedKeys(Column("id", column_type), None, key_range)
        assert known.ranges_to_read(pl.Series(key_range), 1) == []
