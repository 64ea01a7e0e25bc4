"""A frame as an SQLite database in memory: a batch crosses into SQLite as one value, not as millions of parameters.

An image is the bytes of a database whose one table holds rows of a frame. sqlite3's `deserialize` hangs it beside the
database that is written, and one statement reads it from there. SQLite makes every row of the database itself, under
its own constraints, so nothing built here ever reaches a user's file. The format is public and promised to stay:
https://www.sqlite.org/fileformat2.html, whose terms are used below.
"""

from __future__ import annotations

import functools
import itertools
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

# Not from pyarrow.compute, which makes a Python function of each of some 300 functions of Arrow when it is imported: a
# twelfth of a command's start.
from pyarrow._compute import call_function

# The table of an image: columns c0, c1, ... in the frame's order; its `_rowid_` is the row's place in the frame.
TABLE = "batch"

# The most that SQLite has: fewer pages, and rows of up to 64 KB in one piece.
PAGE = 65_536
# Bytes of values in one image. Larger ones took longer, because memory that big is asked anew of the system each time.
MOST_BYTES = 4 << 20
# A payload up to here stands in its leaf whole ("X" of section 1.6).
WHOLE = PAGE - 35

_LEAF, _INTERIOR = 0x0D, 0x05
_HEADER = struct.Struct(">BHHHB")
# For cells and their pointers in one leaf; a cell with a payload above WHOLE never fits.
_ROOM = PAGE - 64
_POINTER = 2
# Offsets in the first page: how many pages there are, and the schema cookie.
_PAGE_COUNT = 28
_COOKIE = 40
_ROOT = 2

# Serial types (section 2.1), and what an image declares.
_NULL, _EMPTY_TEXT = 0, 13
_SERIAL: dict[pl.DataType, int] = {pl.Int64(): 6, pl.Float64(): 7}
_DECLARED: dict[pl.DataType, str] = {pl.Int64(): "INTEGER", pl.Float64(): "REAL", pl.String(): "TEXT"}
_BIG_ENDIAN: dict[pl.DataType, str] = {pl.Int64(): ">i8", pl.Float64(): ">f8"}

# By a cookie that it has not seen SQLite tells that an image is laid out otherwise than the one before it, and does not
# run a statement that was prepared for that one.
_cookies = itertools.count(1)

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
# A page, in pieces that stand one behind the other.
Page: TypeAlias = tuple[bytes | memoryview, ...]


def images(frame: pl.DataFrame) -> Iterator[bytearray]:
    """The frame, of columns Int64, Float64 and String, in one image or several, in order; none where it has no rows."""
    if frame.is_empty():
        return
    # Numbers that are there in every row stand first, where they have the same place in each record.
    fixed = [place for place, column in enumerate(frame.iter_columns()) if _is_fixed(column)]
    ragged = [place for place in range(frame.width) if place not in fixed]
    declared = tuple(f"c{place} {_DECLARED[frame.dtypes[place]]}" for place in fixed + ragged)
    rows = _Rows(
        np.arange(len(frame), dtype=np.int64),
        tuple((_SERIAL[frame.dtypes[place]], _bytes(frame.to_series(place))) for place in fixed),
        tuple(_ragged(frame.to_series(place)) for place in ragged),
    )
    for start, stop in _parts(rows):
        yield _image(declared, rows.between(start, stop))


def _parts(rows: _Rows) -> Iterator[tuple[int, int]]:
    """Which rows go into each image."""
    taken = np.cumsum(rows.lengths)
    start = 0
    while start < len(taken):
        before = int(taken[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(taken, before + MOST_BYTES, side="right")))
        yield start, stop
        start = stop


def _image(declared: tuple[str, ...], rows: _Rows) -> bytearray:
    image = bytearray().join([_first_page(declared), *itertools.chain(*_tree(_cells(rows), int(rows.places[0])))])
    image[_PAGE_COUNT : _PAGE_COUNT + 4] = struct.pack(">I", len(image) // PAGE)
    return image


@functools.cache
def _first_page(declared: tuple[str, ...]) -> bytes:
    """As SQLite itself writes it: the header, and the schema of one table with its root in page 2."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute(f"CREATE TABLE {TABLE} ({', '.join(declared)})")
        page = connection.serialize()[:PAGE]
    finally:
        connection.close()
    return page[:_COOKIE] + struct.pack(">I", next(_cookies)) + page[_COOKIE + 4 :]


@dataclass(frozen=True, slots=True)
class _Ragged:
    """A column of n values of different lengths: serial types, lengths in bytes, and the bytes (none for null)."""

    serials: Integers
    lengths: Integers
    values: pa.LargeBinaryArray


@dataclass(frozen=True, slots=True)
class _Rows:
    """n rows. `fixed`: for each such column its serial type and n x 8 bytes."""

    places: Integers
    fixed: tuple[tuple[int, Bytes], ...]
    ragged: tuple[_Ragged, ...]

    @property
    def lengths(self) -> Integers:
        """Bytes of values in each row."""
        return sum((each.lengths for each in self.ragged), np.full(len(self.places), 8 * len(self.fixed), np.int64))

    def between(self, start: int, stop: int) -> _Rows:
        """Some of them."""
        part = slice(start, stop)
        ragged = (_Ragged(each.serials[part], each.lengths[part], each.values[part]) for each in self.ragged)
        fixed = tuple((serial, values[part]) for serial, values in self.fixed)
        return _Rows(self.places[part], fixed, tuple(ragged))


@dataclass(frozen=True, slots=True)
class _Cells:
    """n cells of a table's leaf, one behind the other.

    ends: where each ends. payloads: how long the payload, at the end of each cell, is.
    """

    data: Bytes
    ends: Integers
    payloads: Integers

    def start(self, cell: int) -> int:
        return int(self.ends[cell - 1]) if cell else 0


def _is_fixed(column: pl.Series) -> bool:
    return column.dtype != pl.String and not column.null_count()


def _cells(rows: _Rows) -> _Cells:
    """A cell (section 1.6) is payload length, rowid, and the payload: a record (section 2.1), its header and values."""
    serials = [np.array([serial], np.int64) for serial, _ in rows.fixed] + [each.serials for each in rows.ragged]
    header = sum(map(_width, serials)) + 1
    header += header > 127  # noqa: PLR2004 - a varint of one byte holds no more
    payloads = rows.lengths + header
    before = _side_by_side(
        [payloads, rows.places, np.array([header], np.int64), *serials], [values for _, values in rows.fixed]
    )
    if not rows.ragged:
        return _Cells(before.ravel(), np.arange(1, len(before) + 1, dtype=np.int64) * before.shape[1], payloads)
    values = [each.values for each in rows.ragged]
    nothing = pa.scalar(b"", pa.large_binary())
    joined = call_function("binary_join_element_wise", [_binary(before), *values, nothing])
    return _Cells(np.frombuffer(joined.buffers()[2], np.uint8), _offsets(joined)[1:], payloads)


def _ragged(column: pl.Series) -> _Ragged:
    if column.dtype == pl.String:
        texts = column.fill_null("").to_arrow()
        values = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), texts.buffers(), offset=texts.offset)
        lengths = np.diff(_offsets(values))
        serials = _EMPTY_TEXT + 2 * lengths
    else:
        whole = _binary(_bytes(column.fill_null(0)))
        nothing = pa.scalar(b"", pa.large_binary())
        values = call_function("if_else", [column.is_null().to_arrow(), nothing, whole])
        lengths = np.diff(_offsets(values))
        serials = np.full(len(column), _SERIAL[column.dtype], np.int64)
    if column.null_count():
        serials = np.where(column.is_null().to_numpy(), _NULL, serials)
    return _Ragged(serials, lengths, values)


def _offsets(values: pa.LargeBinaryArray) -> Integers:
    """Where each value begins, and behind them where the last one ends."""
    return np.frombuffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]


def _bytes(column: pl.Series) -> Bytes:
    """Numbers as a record has them, n x 8."""
    return column.to_numpy().astype(_BIG_ENDIAN[column.dtype]).view(np.uint8).reshape(-1, 8)


def _side_by_side(varints: list[Integers], numbers: Sequence[Bytes] = ()) -> Bytes:
    """A row of bytes for each value of the first column: varints, each column as wide as its greatest needs, and behind
    them numbers of 8 bytes each. A column of one value is the same in every row.
    """
    rows = len(varints[0])
    widths = [_width(values) for values in varints]
    matrix = np.empty((rows, sum(widths) + 8 * len(numbers)), np.uint8)
    end = 0
    for values, width in zip(varints, widths, strict=True):
        end += width
        matrix[:, end - 1] = values & 0x7F
        for digit in range(1, width):
            matrix[:, end - 1 - digit] = values >> 7 * digit | 0x80
    for eight in numbers:
        matrix[:, end : end + 8] = eight
        end += 8
    return matrix


def _width(values: Integers) -> int:
    """Bytes of a varint for the greatest: seven bits each, a leading 1 on all but the last."""
    return max(1, -(-int(values.max()).bit_length() // 7))


def _binary(matrix: Bytes) -> pa.Array:
    """A value for each row of the matrix, without a copy."""
    rows, width = matrix.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), rows, buffers)


def _tree(cells: _Cells, first: int) -> list[Page]:
    """The pages from the second on: the root, then each leaf, behind it what overflows of it."""
    spans = list(_spans(cells))
    if len(spans) == 1:
        return _leaf(cells, spans[0], _ROOT)
    leaves: list[tuple[int, int]] = []
    pages: list[Page] = []
    for start, stop in spans:
        number = _ROOT + 1 + len(pages)
        leaves.append((number, first + stop - 1))
        pages += _leaf(cells, (start, stop), number)
    return [_root(leaves), *pages]


def _spans(cells: _Cells) -> Iterator[tuple[int, int]]:
    """Which cells go into each leaf: as many as fit, or a long one alone."""
    rows = len(cells.ends)
    taken = cells.ends + _POINTER * np.arange(1, rows + 1)
    start = 0
    while start < rows:
        before = int(taken[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(taken, before + _ROOM, side="right")))
        yield start, stop
        start = stop


def _leaf(cells: _Cells, span: tuple[int, int], number: int) -> list[Page]:
    """Page `number`, and the pages of what overflows."""
    start, stop = span
    begin, end = cells.start(start), int(cells.ends[stop - 1])
    content, overflow = cells.data[begin:end].data, list[Page]()
    if stop == start + 1 and cells.payloads[start] > WHOLE:
        content, overflow = _cut(content, int(cells.payloads[start]), number + 1)
    starts = np.concatenate([[0], cells.ends[start : stop - 1] - begin])
    return [_page(_LEAF, starts, content), *overflow]


def _cut(cell: memoryview, payload: int, number: int) -> tuple[memoryview, list[Page]]:
    """What a leaf keeps of a long cell, and the pages, from `number` on, for the rest ("M" and "K" of section 1.6)."""
    least = (PAGE - 12) * 32 // 255 - 23
    kept = least + (payload - least) % (PAGE - 4)
    kept = len(cell) - payload + (kept if kept <= WHOLE else least)
    rest = [cell[start : start + PAGE - 4] for start in range(kept, len(cell), PAGE - 4)]
    following = [*range(number + 1, number + len(rest)), 0]
    pages: list[Page] = [
        (struct.pack(">I", page), part, bytes(PAGE - 4 - len(part))) for page, part in zip(following, rest, strict=True)
    ]
    return memoryview(bytes(cell[:kept]) + struct.pack(">I", number)), pages


def _root(leaves: list[tuple[int, int]]) -> Page:
    """The interior page over leaves, each a page number and the last place in it."""
    *left, (last, _) = leaves
    numbers, places = np.array(left).T
    cells = np.hstack([numbers.astype(">u4").view(np.uint8).reshape(-1, 4), _side_by_side([places])])
    starts = np.arange(len(cells)) * cells.shape[1]
    return _page(_INTERIOR, starts, cells.ravel().data, struct.pack(">I", last))


def _page(kind: int, starts: Integers, content: memoryview, right: bytes = b"") -> Page:
    """A page of the tree (section 1.6): header, pointers to the cells, nothing, and the cells at the end."""
    top = PAGE - len(content)
    header = _HEADER.pack(kind, 0, len(starts), top, 0) + right
    pointers = (top + starts).astype(">u2").tobytes()
    return header, pointers, bytes(top - len(header) - len(pointers)), content
