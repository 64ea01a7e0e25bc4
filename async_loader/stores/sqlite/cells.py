"""Rows of a frame as cells of an SQLite table: the bytes that stand in the leaves of its tree. Pure.

A cell is the length of its payload, the rowid, and the payload, which is a record: a header of serial types, and the
values. The format is public and promised to stay: https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.1, whose
terms are used here.

Whole columns are written at a time. Numbers come before texts, those without nulls first, so that they have the same
place in each record; texts, and bytes after them, are joined by Polars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from async_loader.records.arrays import from_arrow

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Values = npt.NDArray[np.int64 | np.float64]
Flags = npt.NDArray[np.bool_]

# Serial types: of null, of bytes and of a text that are empty (each byte more counts two), and of numbers, which take 8
# bytes.
_NULL, _EMPTY_BYTES, _EMPTY_TEXT = 0, 12, 13
_NUMBERS: dict[pl.DataType, int] = {pl.Int64(): 6, pl.Float64(): 7}
_BIG_ENDIAN: dict[np.dtype[Any], str] = {np.dtype(np.int64): ">i8", np.dtype(np.float64): ">f8"}
_WIDTH = 8
# The greatest value of a varint of one byte.
_ONE_BYTE = 127


@dataclass(frozen=True, slots=True)
class Cells:
    """n cells, one after the other.

    ends: where each ends. payloads: the length of the payload, which is the end of each cell.
    """

    data: Bytes
    ends: Integers
    payloads: Integers

    def start(self, cell: int) -> int:
        """Return where a cell begins."""
        return int(self.ends[cell - 1]) if cell else 0


@dataclass(frozen=True, slots=True)
class _Numbers:
    """n values of a column of numbers: serial types (one for all where none is null), the values, and which of them are
    not null; None where no value is.
    """

    serials: Integers
    values: Values
    present: Flags | None = None

    @property
    def lengths(self) -> Integers | int:
        """Bytes of each value; one number for all where none is null."""
        return _WIDTH if self.present is None else _WIDTH * self.present.astype(np.int64)

    def between(self, start: int, stop: int) -> _Numbers:
        """Return some of them."""
        if self.present is None:
            return _Numbers(self.serials, self.values[start:stop])
        return _Numbers(self.serials[start:stop], self.values[start:stop], self.present[start:stop])


@dataclass(frozen=True, slots=True)
class _Texts:
    """n values of a column of texts or of bytes: serial types, lengths in bytes, and the values, empty for null."""

    serials: Integers
    lengths: Integers
    values: pl.Series

    def between(self, start: int, stop: int) -> _Texts:
        """Return some of them."""
        return _Texts(self.serials[start:stop], self.lengths[start:stop], self.values[start:stop])


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows, each with its rowid, in the order in which columns stand in a record.

    lengths: bytes of values in each row.
    """

    rowids: Integers
    numbers: tuple[_Numbers, ...]
    texts: tuple[_Texts, ...]
    lengths: Integers

    def between(self, start: int, stop: int) -> Rows:
        """Return some of them."""
        numbers = tuple(column.between(start, stop) for column in self.numbers)
        texts = tuple(column.between(start, stop) for column in self.texts)
        return Rows(self.rowids[start:stop], numbers, texts, self.lengths[start:stop])


def places(frame: pl.DataFrame) -> list[int]:
    """Return the places of a frame's columns in the order in which they stand in a record."""
    return sorted(range(frame.width), key=lambda place: _rank(frame.to_series(place)))


def rows(frame: pl.DataFrame) -> Rows:
    """Return the rows of a frame of columns Int64, Float64, String and Binary, whose rowids count from 0."""
    columns = [frame.to_series(place) for place in places(frame)]
    numbers = tuple(_numbers(column) for column in columns if column.dtype in _NUMBERS)
    texts = tuple(_texts(column) for column in columns if column.dtype not in _NUMBERS)
    # Single numbers come first, so that arrays are added as seldom as can be.
    lengths = sum([*(column.lengths for column in numbers), *(column.lengths for column in texts)])
    return Rows(np.arange(len(frame)), numbers, texts, np.broadcast_to(lengths, len(frame)))


def cells(some: Rows) -> Cells:
    """Return the cells of rows."""
    columns: tuple[_Numbers | _Texts, ...] = (*some.numbers, *some.texts)
    serials = [column.serials for column in columns]
    header = sum(map(width, serials)) + 1
    header += header > _ONE_BYTE
    payloads = some.lengths + header
    varints = [payloads, some.rowids, np.array([header], np.int64), *serials]
    front = side_by_side(varints, [column.values for column in some.numbers])
    data, offsets = _without_nulls(front, [column.present for column in some.numbers])
    if some.texts:
        data, offsets = _joined(data, offsets, [column.values for column in some.texts])
    return Cells(data, offsets[1:], payloads)


def side_by_side(varints: Sequence[Integers], numbers: Sequence[Values] = ()) -> Bytes:
    """Return a row of bytes for each value of the first column: varints, each column as wide as its greatest needs,
    then numbers of 8 bytes each. A column of one value is the same in every row.

    Numbers are written as such, not as 8 columns of bytes: a third of the time.
    """
    widths = [width(values) for values in varints]
    matrix = np.empty((len(varints[0]), sum(widths) + _WIDTH * len(numbers)), np.uint8)
    end = 0
    for values, wide in zip(varints, widths, strict=True):
        end += wide
        matrix[:, end - 1] = values & 0x7F
        for digit in range(1, wide):
            matrix[:, end - 1 - digit] = values >> 7 * digit | 0x80
    for column in numbers:
        matrix[:, end : end + _WIDTH].view(_BIG_ENDIAN[column.dtype])[:, 0] = column
        end += _WIDTH
    return matrix


def width(values: Integers) -> int:
    """Return the bytes of a varint for the greatest value: seven bits each, a leading 1 on all but the last."""
    return max(1, -(-int(values.max()).bit_length() // 7))


def _rank(column: pl.Series) -> int:
    if column.dtype == pl.Binary:
        return 3
    if column.dtype == pl.String:
        return 2
    return 1 if column.null_count() else 0


def _numbers(column: pl.Series) -> _Numbers:
    serial = _NUMBERS[column.dtype]
    if not column.null_count():
        return _Numbers(np.array([serial], np.int64), column.to_numpy())
    present = column.is_not_null().to_numpy()
    return _Numbers(np.where(present, serial, _NULL), column.fill_null(0).to_numpy(), present)


def _texts(column: pl.Series) -> _Texts:
    is_binary = column.dtype == pl.Binary
    values = column.fill_null(b"" if is_binary else "") if column.null_count() else column
    sizes = values.bin.size() if is_binary else values.str.len_bytes()
    lengths = sizes.to_numpy().astype(np.int64)
    serials = (_EMPTY_BYTES if is_binary else _EMPTY_TEXT) + 2 * lengths
    if column.null_count():
        serials = np.where(column.is_null().to_numpy(), _NULL, serials)
    return _Texts(serials, lengths, values)


def _without_nulls(front: Bytes, present: Sequence[Flags | None]) -> tuple[Bytes, Integers]:
    """Return the rows of a matrix, which ends with numbers, one after the other without the numbers that are null, and
    where each row begins, and at last where they end.
    """
    size, wide = front.shape
    if all(each is None for each in present):
        return front.ravel(), np.arange(size + 1) * wide
    kept, lengths = np.ones(front.shape, np.bool_), np.full(size, wide)
    for place, flags in enumerate(present, -len(present)):
        if flags is not None:
            begin = wide + place * _WIDTH
            kept[:, begin : begin + _WIDTH] = flags[:, None]
            lengths -= _WIDTH * ~flags
    return front[kept], np.concatenate([[0], np.cumsum(lengths)])


def _after(front: pl.Series, texts: Sequence[pl.Series]) -> pl.Series:
    """Return pieces of bytes, each with its texts after it, and then its bytes."""
    written = [each for each in texts if each.dtype == pl.String]
    pieces = [pl.select(pl.concat_str(written)).to_series().cast(pl.Binary)] if written else []
    for piece in [*pieces, *(each for each in texts if each.dtype == pl.Binary)]:
        front = front + piece
    return front


def _joined(data: Bytes, offsets: Integers, texts: Sequence[pl.Series]) -> tuple[Bytes, Integers]:
    """Return the pieces between these offsets, each with its texts after it, and the offsets of those."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    front = from_arrow(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers))
    joined = _after(front, texts).to_arrow()
    begin, end = joined.offset, joined.offset + len(joined) + 1
    return np.frombuffer(joined.buffers()[2], np.uint8), np.frombuffer(joined.buffers()[1], np.int64)[begin:end]
