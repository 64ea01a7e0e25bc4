"""An index finds just the rows that a look at each of them finds."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader.records import row_index
from async_loader.records.row_index import RowIndex

Row = tuple[str | None, int | None]
SCHEMA = {"code": pl.String, "number": pl.Int64}
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", "", None]), st.sampled_from([1, 2, None])), max_size=12)


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def found_by_looking(parts: list[list[Row]], wanted: Row) -> tuple[int | None, bool]:
    rows = [row for part in parts for row in part]
    keys = [key for key, row in enumerate(rows) if row == wanted and None not in row]
    return (keys[0] if len(keys) == 1 else None), len(keys) > 1


def indexed(parts: list[list[Row]]) -> RowIndex:
    index, first = RowIndex(), 0
    for part in parts:
        index.add(frame(part), pl.Series(range(first, first + len(part)), dtype=pl.Int64))
        first += len(part)
    return index


def rows_found(index: RowIndex, wanted: list[Row]) -> list[tuple[int | None, bool]]:
    answer = index.find(frame(wanted))
    return list(zip(answer.keys.to_list(), answer.is_ambiguous.to_list(), strict=True))


@given(st.lists(ROWS, max_size=3), ROWS)
def test_a_record_finds_the_one_row_that_has_its_values(parts: list[list[Row]], wanted: list[Row]) -> None:
    assert rows_found(indexed(parts), wanted) == [found_by_looking(parts, each) for each in wanted]


@given(ROWS, ROWS, ROWS)
def test_rows_may_be_added_after_some_were_looked_for(first: list[Row], second: list[Row], wanted: list[Row]) -> None:
    index = indexed([first])
    index.find(frame(wanted))
    index.add(frame(second), pl.Series(range(len(first), len(first) + len(second)), dtype=pl.Int64))
    assert rows_found(index, wanted) == [found_by_looking([first, second], each) for each in wanted]


def test_values_of_one_hash_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_index, "_hashed", lambda values: np.full(len(values), 7, np.uint64))
    parts: list[list[Row]] = [[("a", 1), ("a", 2), ("b", 1), ("b", 1)]]
    wanted: list[Row] = [("b", 1), ("a", 2), ("b", 2), ("a", 1)]
    assert rows_found(indexed(parts), wanted) == [(None, True), (1, False), (None, False), (0, False)]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([Decimal("1.50"), Decimal("-0.01")], dtype=pl.Decimal(38, 2)),
        pl.Series([date(1, 1, 1), date(9999, 12, 31)]),
        pl.Series([True, False]),
        pl.Series(["ab", "a\0"]),
    ],
    ids=["decimals", "dates", "booleans", "texts"],
)
def test_values_may_be_of_any_type(values: pl.Series) -> None:
    index = RowIndex()
    index.add(values.to_frame("value"), pl.Series(["first", "second"]))
    answer = index.find(values.reverse().to_frame("other name"))
    assert answer.keys.to_list() == ["second", "first"]


def test_an_empty_index_finds_nothing() -> None:
    answer: Any = RowIndex().find(frame([("a", 1)]))
    assert (answer.keys.to_list(), answer.is_ambiguous.to_list()) == ([None], [False])
