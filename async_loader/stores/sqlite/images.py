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
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import polars as pl

from async_loader.stores.sqlite.cells import Cells, Integers, Rows, cells, places, rows, side_by_side

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

_DECLARED: dict[pl.DataType, str] = {
    pl.Int64(): "INTEGER",
    pl.Float64(): "REAL",
    pl.String(): "TEXT",
    pl.Binary(): "BLOB",
}

# A cookie that it has not seen makes SQLite notice that an image is laid out otherwise than the one before it, so that
# it does not run a statement that was prepared for that one.
_cookies = itertools.count(1)

# A page, in pieces that stand one after the other.
Page: TypeAlias = tuple[bytes | memoryview, ...]


def images(frame: pl.DataFrame) -> Iterator[bytearray]:
    """Yield the frame, of columns Int64, Float64, String and Binary, in one image or several, in order; none where it
    has no rows.
    """
    if frame.is_empty():
        return
    declared = tuple(f"c{place} {_DECLARED[frame.dtypes[place]]}" for place in places(frame))
    whole = rows(frame)
    for start, stop in _parts(whole.lengths):
        yield _image(declared, whole.between(start, stop))


def _parts(lengths: Integers) -> Iterator[tuple[int, int]]:
    """Yield which rows go into each image, given the bytes of values in each row."""
    taken = np.cumsum(lengths)
    start = 0
    while start < len(taken):
        before = int(taken[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(taken, before + MOST_BYTES, side="right")))
        yield start, stop
        start = stop


def _image(declared: tuple[str, ...], some: Rows) -> bytearray:
    pages = itertools.chain(*_tree(cells(some), int(some.rowids[0])))
    image = bytearray().join([_first_page(declared), *pages])
    image[_PAGE_COUNT : _PAGE_COUNT + 4] = struct.pack(">I", len(image) // PAGE)
    return image


@functools.cache
def _first_page(declared: tuple[str, ...]) -> bytes:
    """Return the first page as SQLite itself writes it: header, and schema of one table with its root in page 2."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute(f"CREATE TABLE {TABLE} ({', '.join(declared)})")
        page = connection.serialize()[:PAGE]
    finally:
        connection.close()
    return page[:_COOKIE] + struct.pack(">I", next(_cookies)) + page[_COOKIE + 4 :]


def _tree(leaf_cells: Cells, first: int) -> list[Page]:
    """Return the pages from the second on: the root, then each leaf, followed by the pages into which it overflows."""
    spans = list(_spans(leaf_cells))
    if len(spans) == 1:
        return _leaf(leaf_cells, spans[0], _ROOT)
    leaves: list[tuple[int, int]] = []
    pages: list[Page] = []
    for start, stop in spans:
        number = _ROOT + 1 + len(pages)
        leaves.append((number, first + stop - 1))
        pages += _leaf(leaf_cells, (start, stop), number)
    return [_root(leaves), *pages]


def _spans(leaf_cells: Cells) -> Iterator[tuple[int, int]]:
    """Yield which cells go into each leaf: as many as fit, or a long one alone."""
    size = len(leaf_cells.ends)
    taken = leaf_cells.ends + _POINTER * np.arange(1, size + 1)
    start = 0
    while start < size:
        before = int(taken[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(taken, before + _ROOM, side="right")))
        yield start, stop
        start = stop


def _leaf(leaf_cells: Cells, span: tuple[int, int], number: int) -> list[Page]:
    """Return page `number`, and the pages of what overflows."""
    start, stop = span
    begin, end = leaf_cells.start(start), int(leaf_cells.ends[stop - 1])
    content, overflow = leaf_cells.data[begin:end].data, list[Page]()
    if stop == start + 1 and leaf_cells.payloads[start] > WHOLE:
        content, overflow = _cut(content, int(leaf_cells.payloads[start]), number + 1)
    starts = np.concatenate([[0], leaf_cells.ends[start : stop - 1] - begin])
    return [_page(_LEAF, starts, content), *overflow]


def _cut(cell: memoryview, payload: int, number: int) -> tuple[memoryview, list[Page]]:
    """Return what a leaf keeps of a long cell, and the pages, from `number` on, for the rest (section 1.6: M and K)."""
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
    """Return the interior page over leaves, each a page number and the last rowid in it."""
    *left, (last, _) = leaves
    numbers, rowids = np.array(left).T
    pointing = np.hstack([numbers.astype(">u4").view(np.uint8).reshape(-1, 4), side_by_side([rowids])])
    starts = np.arange(len(pointing)) * pointing.shape[1]
    return _page(_INTERIOR, starts, pointing.ravel().data, struct.pack(">I", last))


def _page(kind: int, starts: Integers, content: memoryview, right: bytes = b"") -> Page:
    """Return a page of the tree (section 1.6): header, pointers to the cells, nothing, and the cells at the end."""
    top = PAGE - len(content)
    header = _HEADER.pack(kind, 0, len(starts), top, 0) + right
    pointers = (top + starts).astype(">u2").tobytes()
    return header, pointers, bytes(top - len(header) - len(pointers)), content
