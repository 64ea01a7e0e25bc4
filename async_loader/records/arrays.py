"""Arrays of NumPy and Arrow as series of Polars. Values only.

They go by Arrow's C data interface (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html), to
which Polars needs no other library. Given an array as it is, Polars imports `pyarrow.compute` or `numpy.ma` to look at
it, and that takes a tenth of the time in which a command starts.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa


class _Exported:
    """An array of Arrow that shows nothing but the way in which it is handed over."""

    def __init__(self, chunks: pa.ChunkedArray) -> None:
        self.__arrow_c_stream__ = chunks.__arrow_c_stream__


def from_arrow(array: pa.Array | pa.ChunkedArray) -> pl.Series:
    """Return an array of Arrow, of any type that Polars has, as a series."""
    chunks = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return pl.Series(_Exported(chunks))


def from_integers(values: npt.NDArray[np.int64]) -> pl.Series:
    """Return integers as a series. The array must not be written to any more."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values))]
    return from_arrow(pa.Array.from_buffers(pa.int64(), len(values), buffers))


def from_flags(values: npt.NDArray[np.bool_]) -> pl.Series:
    """Return flags as a series: eight of them to a byte, as Polars keeps them."""
    buffers = [None, pa.py_buffer(np.packbits(values, bitorder="little"))]
    return from_arrow(pa.Array.from_buffers(pa.bool_(), len(values), buffers))


def all_false(size: int) -> pl.Series:
    """Return a series of that size in which every flag is false."""
    return pl.Series([False]).new_from_index(0, size)


def flags_at(size: int, places: pl.Series) -> pl.Series:
    """Return a series of that size in which the flags at these places are true."""
    return all_false(size).scatter(places, values=True) if len(places) else all_false(size)


def are_among(keys: pl.Series, values: Iterable[object]) -> pl.Series:
    """Return for each key whether it is one of these values, which are such keys as Python has them."""
    return keys.is_in(pl.Series(list(values), dtype=keys.dtype).implode())
