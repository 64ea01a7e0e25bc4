"""Columns of lists: each value of a list is read as one of a column is, and a record has the first fault of its list.

A list is null where a record says nothing; a list without values says that there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from async_loader.records.arrays import from_arrow

# Values, and their faults as in a batch; None where there are none.
Read: TypeAlias = "tuple[pl.Series, pl.DataFrame | None]"


def split(text: pl.Series, separator: str, means_null: Sequence[str] = ()) -> pl.Series:
    """Return texts as lists of texts; an empty text, null and what stands for null are lists without values."""
    is_empty = (text == "").fill_null(value=True)
    if means_null:
        is_empty |= text.is_in(list(means_null)).fill_null(value=False)
    nothing = pl.lit([], dtype=pl.List(pl.String))
    return pl.select(pl.when(is_empty).then(nothing).otherwise(text.str.split(separator))).to_series()


def read_lists(lists: pl.Series, read: Callable[[pl.Series], Read]) -> Read:
    """Return n lists as lists of what `read` makes of the values in all of them, and the first fault of each."""
    values, faults = read(elements_of(lists))
    return in_lists(values, lengths_of(lists), is_null=lists.is_null()), first_faults(lists, faults)


def elements_of(lists: pl.Series) -> pl.Series:
    """Return the values in all lists, one after the other."""
    return lists.filter((lists.list.len() > 0).fill_null(value=False)).explode()


def lengths_of(lists: pl.Series) -> npt.NDArray[np.int64]:
    """Return how many values each list has; none where it is null."""
    return lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()


def places_of(lists: pl.Series) -> npt.NDArray[np.int64]:
    """Return for each value in the lists, one after the other, the place of its list."""
    lengths = lengths_of(lists)
    return np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)


def in_lists(values: pl.Series, lengths: npt.NDArray[np.int64], *, is_null: pl.Series) -> pl.Series:
    """Return values as lists of these lengths."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    lists = from_arrow(pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values.to_arrow()))
    lists = lists.cast(pl.List(values.dtype))
    return pl.select(pl.when(~is_null).then(lists)).to_series() if is_null.any() else lists


def first_faults(lists: pl.Series, faults: pl.DataFrame | None) -> pl.DataFrame | None:
    """Return the first fault of each list; None where no value of any has one."""
    if faults is None:
        return None
    return first_of_each(lists, faults.select("code", "shown"), faults["code"].is_not_null())


def first_of_each(lists: pl.Series, values: pl.DataFrame, which: pl.Series) -> pl.DataFrame:
    """Return for each of n lists the first of its values that are chosen; nulls where none is. values: a row for each
    value in the lists.
    """
    places = pl.Series("\0place", places_of(lists), dtype=pl.Int64)
    first = values.with_columns(places).filter(which).unique("\0place", keep="first", maintain_order=True)
    every = pl.DataFrame({"\0place": pl.int_range(len(lists), eager=True)})
    return every.join(first, on="\0place", how="left", maintain_order="left").drop("\0place")
