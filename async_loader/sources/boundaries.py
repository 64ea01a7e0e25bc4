"""Where text can be divided between records, found range by range: each is counted by itself, in any order. Pure.

Whether a range begins inside quotes is known only when all before it are counted. So each is counted for both cases,
and `joined` puts neighbours together. Where all quotes are in place this is exact. A source of which `csv_records`
would break a record, for its quotes or for its length, is found and not divided.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from async_loader.formats import Dialect
from async_loader.sources.quoting import LF, Bytes, Positions, misplaced_quotes, quotes_of

_LONE_RETURN = re.compile(rb"\r(?!\n)")


class Border(NamedTuple):
    """A place between two records: the offset of the byte after it, and how many lines end before it."""

    at: int
    lines: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """A range, if it begins outside quotes or if it begins inside.

    first, last: of the borders in it, the one after its last byte included; None where there is none.
    longest: bytes of the longest record that lies in several of the ranges joined here.
    is_sound: whether all its quotes are in place.
    """

    first: Border | None
    last: Border | None
    longest: int
    is_sound: bool


@dataclass(frozen=True, slots=True)
class RangeCount:
    """The bytes from `start` to `stop`, counted; `outlooks` if they begin outside quotes, and inside."""

    start: int
    stop: int
    quotes: int
    lines: int
    outlooks: tuple[Outlook, Outlook]


def count(text: bytes, start: int, dialect: Dialect | None) -> RangeCount:
    """Count a range that begins at offset `start`.

    text: the range with the byte before it and the two after it, which show whether quotes are in place: also whether
        a CR after the last one ends a line. Where the source has no such byte, it is a delimiter, or anything where
        nothing is quoted.
    dialect: of CSV. None for other text, in which nothing is quoted. A line feed ends a line, and nothing else does.
    """
    around = np.frombuffer(_without_lone_returns(text)[:-1], np.uint8)
    quotes = np.zeros(0, np.int64)
    if dialect is not None and dialect.may_quote(text):
        quotes = quotes_of(around[1:-1], dialect)
    ends = np.flatnonzero(around[1:-1] == LF)
    inside = np.searchsorted(quotes, ends) % 2
    is_sound = (True, True) if dialect is None else _soundness(around, quotes, dialect)
    outlooks = [_outlook(ends, np.flatnonzero(inside == case), start, is_sound=is_sound[case]) for case in (0, 1)]
    return RangeCount(start, start + len(text) - 3, len(quotes), len(ends), (outlooks[0], outlooks[1]))


def _without_lone_returns(text: bytes) -> bytes:
    """Return text with a NUL, beside which no quote may stand, for each carriage return that ends no line."""
    if b"\r" not in text or text.count(b"\r") == text.count(b"\r\n"):
        return text
    return _LONE_RETURN.sub(b"\0", text)


def joined(left: RangeCount, right: RangeCount) -> RangeCount:
    """Return two neighbouring ranges as one."""
    odd = left.quotes % 2
    outlooks = [_joined(left.outlooks[case], right.outlooks[case ^ odd], left.lines) for case in (0, 1)]
    quotes, lines = left.quotes + right.quotes, left.lines + right.lines
    return RangeCount(left.start, right.stop, quotes, lines, (outlooks[0], outlooks[1]))


def beginnings(counts: Sequence[RangeCount], limit: int) -> list[Border]:
    """Return where parts begin, one at most in each range; the ranges are all that there is of a source, in order.

    There is one part alone where a quote is out of place, or a record has `limit` bytes or more.
    """
    borders = [Border(counts[0].start, 0)]
    whole = reduce(joined, counts)
    if whole.quotes % 2 or not whole.outlooks[0].is_sound or _longest(whole) >= limit:
        return borders
    before = counts[0]
    for each in counts[1:]:
        border = each.outlooks[before.quotes % 2].first
        if border is not None and border.at < whole.stop:
            borders.append(_moved(border, before.lines))
        before = joined(before, each)
    return borders


def _soundness(around: Bytes, quotes: Positions, dialect: Dialect) -> tuple[bool, bool]:
    """Return whether all quotes are in place, if the range begins outside quotes and if it begins inside."""
    begun_outside, begun_inside = (
        misplaced_quotes(around, quotes + 1, dialect, begins_inside=inside) for inside in (False, True)
    )
    return not len(begun_outside), not len(begun_inside)


def _outlook(ends: Positions, places: Positions, start: int, *, is_sound: bool) -> Outlook:
    """Return the outlook with a border after these line ends."""
    if not len(places):
        return Outlook(None, None, 0, is_sound)
    first, last = (Border(start + int(ends[place]) + 1, int(place) + 1) for place in (places[0], places[-1]))
    return Outlook(first, last, 0, is_sound)


def _joined(left: Outlook, right: Outlook, lines: int) -> Outlook:
    first = right.first and _moved(right.first, lines)
    last = right.last and _moved(right.last, lines)
    across = first.at - left.last.at if first and left.last else 0
    return Outlook(
        left.first or first,
        last or left.last,
        max(left.longest, right.longest, across),
        left.is_sound and right.is_sound,
    )


def _moved(border: Border, lines: int) -> Border:
    """Return a border with that many more lines before it."""
    return Border(border.at, border.lines + lines)


def _longest(whole: RangeCount) -> int:
    """Return the bytes of the longest record, those at both ends included."""
    outlook = whole.outlooks[0]
    if outlook.first is None or outlook.last is None:
        return whole.stop - whole.start
    return max(outlook.longest, outlook.first.at - whole.start, whole.stop - outlook.last.at)
