"""Where the records of CSV text begin and end (strict RFC 4180, with any delimiter and quote), found by looking at
quotes and line ends alone. Pure.

Well-formed means: a quote opens a field right after a delimiter or line end, closes it right before one, and inside is
doubled. A record that breaks this is broken: just its first physical line is given up, and reading starts again at the
next line. Line ends are LF, CRLF and a lone CR; empty lines are no records.

Time is linear in the bytes, whatever they are. Where no quote of a block is out of place, whole arrays are enough. Else
the lines are walked: each is looked at twice at most, because after a line that was given up for a quote which opens,
every line up to the offence is a record, or broken, by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

import numpy as np

from async_loader.formats import Dialect
from async_loader.sources.quoting import (
    CR,
    Bytes,
    Flags,
    Positions,
    line_ends,
    may_close,
    may_open,
    misplaced_quotes,
    quotes_of,
)

_NONE = np.zeros(0, np.int64)
# What follows a CR at the very end is not known.
_LINE_END = re.compile(rb"\r?\n|\r(?=[^\n])")
# First and last line of some records, and where their bytes begin and end.
_Records: TypeAlias = tuple[tuple[Positions, Positions], tuple[Positions, Positions]]


@dataclass(frozen=True, slots=True)
class Split:
    """The records of the first `consumed` bytes of a block, which are `lines` physical lines.

    good: the well-formed records, text that any CSV reader takes.
    starts, ends: first and last line of each record in `good`, from 0.
    broken: line (from 0) and text, without line end, of each broken record.
    """

    good: bytes
    starts: Positions
    ends: Positions
    broken: tuple[tuple[int, bytes], ...]
    consumed: int
    lines: int


_NOTHING = Split(b"", _NONE, _NONE, (), 0, 0)


def split(block: bytes, dialect: Dialect, *, final: bool) -> Split:
    """Take whole records from the front of `block`; with `final` the block's end is the source's, and all is taken.

    Consumes nothing where the block does not hold a whole record.
    """
    if not dialect.may_quote(block):
        return _sound(block if final else block[: _after_last_line_end(block)], _NONE)
    text = np.frombuffer(block, np.uint8)
    quotes = quotes_of(text, dialect)
    misplaced = misplaced_quotes(text, quotes, dialect)
    if len(misplaced) or (final and len(quotes) % 2):
        return _Lines(block, text, quotes, dialect, final=final).split()
    if final:
        return _sound(block, quotes)
    stops = line_ends(text, final=False)
    outside = np.flatnonzero(np.searchsorted(quotes, stops) % 2 == 0)
    end = int(stops[outside[-1]]) + 1 if len(outside) else 0
    return _sound(block[:end], quotes[: np.searchsorted(quotes, end)])


def long_record(block: bytes, dialect: Dialect, *, final: bool) -> Split:
    """Take the one record at the front of `block`, of any length, in little memory; of a broken one, its first line.
    With `final` the block's end is the source's.

    Consumes nothing where the record does not end in the block.
    """
    record = _record(dialect, final=final).match(block)
    if record is not None and _sound_record(dialect).fullmatch(record[1]):
        lines = record[1].count(b"\n") + record[1].count(b"\r") - record[1].count(b"\r\n") + 1
        first, last = (_NONE, _NONE) if not record[1] else (np.zeros(1, np.int64), np.full(1, lines - 1))
        return Split(record[0], first, last, (), record.end(), lines)
    if record is None and not final:
        return _NOTHING
    part = give_up_first_line(block)
    return part if part.consumed else Split(b"", _NONE, _NONE, ((0, _line_text(block, 0, len(block))),), len(block), 1)


def give_up_first_line(block: bytes) -> Split:
    """Return the block's first line as a broken record: for a quote that never closes. Consumes nothing where the line
    does not end in the block.
    """
    end = _LINE_END.search(block)
    if end is None:
        return _NOTHING
    return Split(b"", _NONE, _NONE, ((0, block[: end.start()]),), end.end(), 1)


def first_line(block: bytes, *, final: bool) -> int:
    """Return the bytes of the block's first line with its end; 0 where it does not end in the block."""
    end = _LINE_END.search(block)
    return end.end() if end is not None else len(block) * final


def record_spans(good: bytes, dialect: Dialect) -> tuple[Positions, Positions]:
    """Return the offset of the first byte of each record of well-formed text, and of the byte after its last."""
    text = np.frombuffer(good, np.uint8)
    _, spans = _records(text, line_ends(text, final=True), quotes_of(text, dialect))
    return spans


def _sound(good: bytes, quotes: Positions) -> Split:
    """Return the records of text that is all well-formed and ends with a record."""
    text = np.frombuffer(good, np.uint8)
    stops = line_ends(text, final=True)
    (starts, ends), _ = _records(text, stops, quotes)
    return Split(good, starts, ends, (), len(good), len(stops))


def _records(text: Bytes, stops: Positions, quotes: Positions) -> _Records:
    """Return the records between these line ends, of which the last one ends a record."""
    if not len(quotes):
        # Each line is a record: nearly always, and found in half the time.
        lines = np.arange(len(stops))
        return _without_empty(text, lines, lines, _begins(stops), stops)
    lasts = np.flatnonzero(np.searchsorted(quotes, stops) % 2 == 0)
    firsts = np.concatenate([np.zeros(1, np.int64), lasts[:-1] + 1])[: len(lasts)]
    return _without_empty(text, firsts, lasts, _begins(stops)[firsts], stops[lasts])


def _without_empty(text: Bytes, firsts: Positions, lasts: Positions, begins: Positions, stops: Positions) -> _Records:
    """Return the records that are more than an empty line."""
    sizes = stops - begins
    if (sizes <= 1).any():
        empty = (sizes == 0) | ((sizes == 1) & (text[np.minimum(begins, len(text) - 1)] == CR))
        firsts, lasts, begins, stops = (array[~empty] for array in (firsts, lasts, begins, stops))
    return (firsts, lasts), (begins, stops)


def _begins(stops: Positions) -> Positions:
    """Return where lines begin that end there."""
    return np.concatenate([np.zeros(1, np.int64), stops + 1])[: len(stops)]


class _Lines:
    """The physical lines of a block in which a quote is out of place: whether each has an odd number of quotes, and
    whether all of them are in place if the line begins outside quotes, and if it begins inside.
    """

    def __init__(self, block: bytes, text: Bytes, quotes: Positions, dialect: Dialect, *, final: bool) -> None:
        self._block, self._text, self._final = block, text, final
        self._stops = line_ends(text, final=final)
        self._begins = _begins(self._stops)
        quotes = quotes[: np.searchsorted(quotes, self._stops[-1])] if len(self._stops) else _NONE
        line = np.searchsorted(self._stops, quotes)
        counts = np.bincount(line, minlength=len(self._stops))
        is_second = (np.arange(len(quotes)) - (np.cumsum(counts) - counts)[line]) % 2 == 1
        opens, closes = may_open(text, quotes, dialect), may_close(text, quotes, dialect)
        self._is_odd = counts % 2 == 1
        self._is_bad_outside = _flags(line[~np.where(is_second, closes, opens)], len(counts))
        self._is_bad_inside = _flags(line[~np.where(is_second, opens, closes)], len(counts))

    def split(self) -> Split:
        """Return the records of the block."""
        spread, broken, lines = self._walk()
        starts, ends = self._records(spread, broken, lines)
        texts = tuple((line, _line_text(self._block, self._begins[line], self._stops[line])) for line in broken)
        return Split(self._without(broken, lines), starts, ends, texts, self._end(lines), lines)

    def _walk(self) -> tuple[list[tuple[int, int]], list[int], int]:
        """Return first and last line of each record of several lines, the lines of broken records, and how many lines
        belong to records that end in the block.
        """
        spread: list[tuple[int, int]] = []
        broken: list[int] = []
        # Outside quotes every other line is a record by itself; inside, every other line is within the record.
        outside = iter(np.flatnonzero(self._is_odd | self._is_bad_outside).tolist())
        inside = iter(np.flatnonzero(self._is_odd | self._is_bad_inside).tolist())
        # As bytes, which Python indexes faster than arrays.
        is_bad_outside, is_bad_inside = self._is_bad_outside.tobytes(), self._is_bad_inside.tobytes()
        stop, following = -1, 0
        for line in outside:
            if line < following:
                continue
            following = line + 1
            if is_bad_outside[line]:
                broken.append(line)
                continue
            while stop <= line:
                stop = next(inside, len(self._stops))
            if stop == len(self._stops) and not self._final:
                return spread, broken, line
            if stop == len(self._stops) or is_bad_inside[stop]:
                broken.append(line)
                continue
            spread.append((line, stop))
            following = stop + 1
        return spread, broken, len(self._stops)

    def _records(self, spread: list[tuple[int, int]], broken: list[int], lines: int) -> tuple[Positions, Positions]:
        """Return first and last line of each record."""
        firsts, lasts = np.array(spread, np.int64).reshape(-1, 2).T
        is_first, is_last = (np.ones(lines, np.bool_) for _ in range(2))
        is_first[broken] = is_last[broken] = False
        depth = np.zeros(lines + 1, np.int64)
        depth[firsts] += 1
        depth[lasts] -= 1
        continues = np.cumsum(depth)[:lines] > 0
        is_last &= ~continues
        is_first[1:] &= ~continues[:-1]
        firsts, lasts = np.flatnonzero(is_first), np.flatnonzero(is_last)
        found, _ = _without_empty(self._text, firsts, lasts, self._begins[firsts], self._stops[lasts])
        return found

    def _without(self, broken: list[int], lines: int) -> bytes:
        """Return the text of the first lines, less the broken ones."""
        parts, at = [], 0
        for line in broken:
            parts.append(self._block[at : self._begins[line]])
            at = self._end(line + 1)
        return b"".join([*parts, self._block[at : self._end(lines)]])

    def _end(self, lines: int) -> int:
        """Return the offset after that many lines."""
        return min(int(self._stops[lines - 1]) + 1, len(self._block)) if lines else 0


def _flags(places: Positions, size: int) -> Flags:
    flags = np.zeros(size, np.bool_)
    flags[places] = True
    return flags


def _after_last_line_end(block: bytes) -> int:
    return max(block.rfind(b"\n"), block.rfind(b"\r", 0, max(len(block) - 1, 0))) + 1


def _line_text(block: bytes, begin: int, stop: int) -> bytes:
    """Return a line without its end, which is LF, CR or CRLF."""
    return block[begin:stop].removesuffix(b"\r")


def record_text(dialect: Dialect) -> bytes:
    """Return the pattern of a record less its line end, which is the first one after an even number of quotes."""
    quote = re.escape(dialect.quote.encode())
    plain = rb"[^\r\n" + quote + rb"]*+"
    quoted = rb"(?:" + quote + rb"[^" + quote + rb"]*+" + quote + plain + rb")*+" if quote else b""
    return plain + quoted


@lru_cache
def _record(dialect: Dialect, *, final: bool) -> re.Pattern[bytes]:
    """Return the pattern of a record with its line end."""
    return re.compile(rb"(" + record_text(dialect) + (rb")(?:\r?\n|\r|\Z)" if final else rb")(?:\r?\n|\r(?=[^\n]))"))


@lru_cache
def _sound_record(dialect: Dialect) -> re.Pattern[bytes]:
    """Return the pattern of a record less its line end, in which all quotes are in place."""
    edge, quote = (re.escape(mark.encode()) for mark in (dialect.delimiter, dialect.quote))
    field = rb"[^\r\n" + quote + edge + rb"]*+"
    if quote:
        inside = rb"[^" + quote + rb"]*+"
        field = rb"(?:" + quote + inside + rb"(?:" + quote * 2 + inside + rb")*+" + quote + rb"|" + field + rb")"
    return re.compile(field + rb"(?:" + edge + field + rb")*+")


def fields_of_record(record: str, dialect: Dialect, most: int | None = None) -> list[str]:
    """Return the fields of one well-formed record, the first of them if there are more than `most`. They may be of any
    length; the standard library stops at 128 KiB a field.
    """
    if not dialect.quote:
        return record.split(dialect.delimiter, -1 if most is None else most)[:most]
    edge, quote = re.escape(dialect.delimiter), dialect.quote
    mark = re.escape(quote)
    fields = re.finditer(f"(?:^|{edge})(?:{mark}((?:[^{mark}]|{mark * 2})*+){mark}|([^{edge}]*+))", record)
    return [match[2] if match[1] is None else match[1].replace(quote * 2, quote) for match in islice(fields, most)]
