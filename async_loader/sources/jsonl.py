"""JSON Lines: one object a line, each decoded by itself, so that one bad line is one reject; a block of lines at once
where none of them is bad (`flat_json`).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator

import polars as pl

from async_loader.errors import SourceError
from async_loader.records.arrays import from_arrow
from async_loader.records.batches import REJECT, Batch
from async_loader.sources.fields import Fields
from async_loader.sources.flat_json import flat_lines, shape
from async_loader.sources.json_records import JsonRecords, names_rejects
from async_loader.sources.json_values import typed_at_once, under_two_names
from async_loader.sources.ranges import Stretch
from async_loader.sources.signatures import is_no_json_lines
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom


class JsonLines(JsonRecords, ABC):
    """Records of lines, which come in blocks of whole lines."""

    def __init__(self, stream: Stream, fields: Fields) -> None:
        super().__init__(stream, fields)
        # The number of the next line, and how many bytes stand before the first.
        self._line, self._start = 1, 0

    def batches(self) -> Iterator[Batch]:
        """Yield each block's records, in order."""
        for block in self._blocks():
            batch = self._batch_at_once(block)
            yield self.batch(self._numbered(block)) if batch is None else batch

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each block, decoded at once where that can be done."""
        for block in self._blocks():
            lines = self._numbered(block)
            quick = None if self._front is None else self.decoded([line for _, line in lines])
            yield self.batch(lines).values if quick is None else quick

    def stretches(self, _: int) -> list[Stretch]:
        """Return everything, as one, with what the records at the front say of its columns."""
        for _batch in self.batches():
            if self._front is not None:
                break
        return [Stretch(self._stream.version, self._start, self._stream.size or 0, columns=self._front)]

    @abstractmethod
    def _blocks(self) -> Iterator[bytes]:
        """Yield blocks of whole lines, in order."""

    def _numbered(self, block: bytes) -> list[tuple[int, bytes]]:
        """Return the block's lines that are not blank, each with its number."""
        lines = block.split(b"\n")
        first, self._line = self._line, self._line + len(lines) - 1
        return [(number, line) for number, line in enumerate(lines, first) if line.strip()]

    def _batch_at_once(self, block: bytes) -> Batch | None:
        """Return the block's records where all of them have the same keys and nothing about a line is odd; else None,
        and the block is read line by line.
        """
        lines = flat_lines(block)
        first = self._read(self._line, lines[0]) if lines else None
        if lines is None or not isinstance(first, dict) or REJECT in first:
            return None
        alike = shape(tuple(first), self._real)
        read = None if alike is None else alike.values(lines)
        if read is None or under_two_names(self.fields, read):
            return None
        first_line = self._line
        self.notice(read, [first], [first_line])
        self._line += block.count(b"\n")
        numbers = pl.int_range(first_line, first_line + len(lines), eager=True)
        return self.made(typed_at_once(self.fields, read, lines), numbers, from_arrow(lines.as_arrow()))


# Objects with a carriage return between them, as programs for an old Mac put it after each line.
_LINES_BY_RETURNS = re.compile(rb"\}[ \t]*\r\s*\{")


class JsonLinesSource(JsonLines):
    """A source of JSON Lines. Raises SourceError for what begins as no JSON Lines do."""

    def __init__(self, stream: Stream, fields: Fields, stretch: Stretch | None = None) -> None:
        super().__init__(stream, fields)
        if stretch is not None:
            self._line = stretch.line
        head = stream.read(BLOCK)
        self._head = without_bom(stream.name, head) if stretch is None else head
        self._start = len(head) - len(self._head)
        if stretch is None and is_no_json_lines(self._head):
            raise SourceError(stream.name, "is no JSON Lines")
        if stretch is None and _LINES_BY_RETURNS.search(self._head) and not self._has_line_feed():
            problem = "its lines end in a carriage return alone, not in a line feed"
            raise SourceError(stream.name, f"{problem}; convert it (tr '\\r' '\\n')")
        self.is_rejects = names_rejects(self._head)
        if stretch is not None and stretch.columns is not None:
            self.settle(stretch.columns)

    def _has_line_feed(self) -> bool:
        """Return whether the front has a line feed, which is read as far as that takes."""
        while b"\n" not in self._head and len(self._head) < RECORD_LIMIT and (more := self._stream.read(BLOCK)):
            self._head += more
        return b"\n" in self._head

    def _blocks(self) -> Iterator[bytes]:
        """Yield whole lines, in blocks no larger than one line needs; the last one ends where the source ends."""
        rest, more = self._head, b"more"
        while more:
            more = self._stream.read(max(BLOCK, min(len(rest), RECORD_LIMIT - len(rest))))
            rest += more
            end = rest.rfind(b"\n") + 1 if more else len(rest)
            yield from _pieces(rest[:end])
            rest = rest[end:]
            if len(rest) > RECORD_LIMIT:
                problem = f"a line longer than {RECORD_LIMIT >> 20} MiB; is this JSON Lines?"
                raise SourceError(self._stream.name, problem)


def _pieces(block: bytes) -> Iterator[bytes]:
    """Yield whole lines, in pieces of twice BLOCK bytes at most, or of one line that is longer.

    A block as it is read, with the rest of the one before, is one piece: cut at BLOCK it left a batch of one line.
    """
    start = 0
    while start < len(block):
        end = len(block)
        if end - start > 2 * BLOCK:
            end = block.rfind(b"\n", start, start + BLOCK) + 1 or block.find(b"\n", start) + 1 or end
        yield block[start:end]
        start = end
