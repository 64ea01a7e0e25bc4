"""JSON Lines: one object a line, each decoded by itself, so that one bad line is one reject; a block of lines at once
where none of them is bad (`flat_json`).

The records at the front, those of the first block that has any, say which columns the source has. A later record may
have others, and lack any: what it lacks is its own affair. But where the front lacks optional columns, a name that the
table does not know is refused wherever it stands, so that the answer depends on no cut into blocks or parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import msgspec
import polars as pl

from async_loader.errors import SourceError
from async_loader.records.arrays import from_arrow
from async_loader.records.batches import MARKS, REJECT, Batch, Broken
from async_loader.sources.fields import Fields
from async_loader.sources.flat_json import decoder_of, field_of, flat_lines, shape
from async_loader.sources.headers import listed, nearest_name, unknown_beside_absent
from async_loader.sources.json_objects import exact_reals, line_reader
from async_loader.sources.json_values import Lines, Typed, column_values, typed, typed_at_once, under_two_names
from async_loader.sources.ranges import Stretch
from async_loader.sources.signatures import is_no_json_lines
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom

# Names that the table does not know and that are remembered; more are read past without a word.
MOST_IGNORED = 1_000


class JsonLinesSource:
    """A source of JSON Lines. `ignored` grows by the keys met that the table does not have.

    Raises SourceError for what begins as no JSON Lines do.
    """

    schema = None

    def __init__(self, stream: Stream, fields: Fields, stretch: Stretch | None = None) -> None:
        self._stream = stream
        self.fields = fields
        self.columns = list(fields.names.values())
        self.ignored: list[str] = []
        # The names of columns that the records at the front have; None as long as there was no record.
        self._front: tuple[str, ...] | None = None
        self._read, self._real = line_reader(fields), exact_reals(fields)
        self._line = 1 if stretch is None else stretch.line
        head = stream.read(BLOCK)
        self._head = without_bom(stream.name, head) if stretch is None else head
        self._start = len(head) - len(self._head)
        if stretch is None and is_no_json_lines(self._head):
            raise SourceError(stream.name, "is no JSON Lines")
        if stretch is not None and stretch.columns is not None:
            self._settle(stretch.columns)

    def batches(self) -> Iterator[Batch]:
        """Yield each block's records, in order."""
        for block in self._blocks():
            batch = self._batch_at_once(block)
            yield self._batch(self._numbered(block)) if batch is None else batch

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each block, decoded at once where that can be done."""
        for block in self._blocks():
            lines = self._numbered(block)
            quick = None if self._front is None else self._decoded([line for _, line in lines])
            yield self._batch(lines).values if quick is None else quick

    def stretches(self, _: int) -> list[Stretch]:
        """Return everything, as one, with what the records at the front say of its columns."""
        for _batch in self.batches():
            if self._front is not None:
                break
        return [Stretch(self._stream.version, self._start, self._stream.size or 0, columns=self._front)]

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
        self._notice(read, [first], [first_line])
        self._line += block.count(b"\n")
        numbers = pl.int_range(first_line, first_line + len(lines), eager=True)
        return self._made(typed_at_once(self.fields, read, lines), numbers, from_arrow(lines.as_arrow()))

    def _batch(self, lines: list[tuple[int, bytes]]) -> Batch:
        """Return the records on these lines, each read by itself."""
        records, broken, numbers, texts = [], [], [], []
        for number, line in lines:
            record = self._read(number, line)
            if isinstance(record, Broken):
                broken.append(record)
                continue
            records.append(record)
            numbers.append(number)
            texts.append(line)
        met = dict.fromkeys(chain.from_iterable(records))
        if records:
            self._notice(met, records, numbers)
        batch = self._made(typed(self.fields, records, texts), numbers, texts)
        return replace(batch, broken=tuple(broken), supersedes=_supersedes(records) if REJECT in met else None)

    def _made(self, columns: Typed, numbers: Sequence[int] | pl.Series, texts: Any) -> Batch:
        """Return a batch of the records that stand on these lines."""
        at = pl.Series(numbers, dtype=pl.Int64)
        return Batch(
            source=self._stream.name,
            values=columns.values,
            absent=columns.absent,
            lookups=self.fields.lookups,
            lacking=columns.lacking,
            lines=at,
            line_ends=at,
            as_read=pl.DataFrame({"line": pl.Series(texts, dtype=pl.Binary)}),
            to_json=_as_read,
            faults=columns.faults,
            read_to=self._stream.read_to,
        )

    def _notice(self, met: Collection[str], records: list[dict[str, Any]], numbers: list[int]) -> None:
        """Take note of the keys that some records have. SourceError for keys that cannot be taken as they are."""
        if self._front is None:
            self._settle(met)
        name = self._stream.name
        if under_two_names(self.fields, met):
            for number, record in zip(numbers, records, strict=True):
                if names := under_two_names(self.fields, record):
                    raise SourceError(name, f"has {listed(names)}, which are names of one column", number)
        unknown = self.fields.unknown(key for key in met if key not in MARKS)
        if unknown and (problem := unknown_beside_absent(self.fields, unknown, "the record")) is not None:
            odd = set(unknown)
            line = next(number for number, record in zip(numbers, records, strict=True) if odd.intersection(record))
            raise SourceError(name, problem, line)
        if len(self.ignored) < MOST_IGNORED:
            self.ignored = list(dict.fromkeys([*self.ignored, *unknown]))[:MOST_IGNORED]

    def _settle(self, met: Collection[str]) -> None:
        """Take from the records at the front which columns there are, and under which names."""
        mapped = [self.fields.names[column] for column in sorted(self.fields.mapped)]
        for name in [*mapped, *chain.from_iterable(self.fields.lookups.values())]:
            if name not in met:
                near = nearest_name(name, met)
                hint = f"did you mean {near!r}?" if near else f"they have {listed(met)}"
                raise SourceError(self._stream.name, f"no record at the front has {name!r}, named by --map; {hint}")
        self.fields = self.fields.matched(met)
        if refusal := self.fields.refusal(met):
            raise SourceError(self._stream.name, refusal)
        names = {name for candidates in self.fields.candidates.values() for name in candidates}
        names = names.union(*self.fields.lookups.values())
        self._front = tuple(name for name in met if name in names)

    def _decoded(self, lines: list[bytes]) -> pl.DataFrame | None:
        """Return the values of lines, without a look at what else they hold; None where that is not simple for one of
        them.
        """
        names = [self.fields.names[column.name] for column in self.fields.columns]
        decoder = decoder_of(names, self._real, alone=False)
        if decoder is None or any(
            len(self.fields.candidates.get(column.name, ())) > 1 for column in self.fields.columns
        ):
            return None
        try:
            objects = [decoder.decode(line) for line in lines]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        values = {}
        for place, (column, name) in enumerate(zip(self.fields.columns, names, strict=True)):
            read = [getattr(each, field_of(place)) for each in objects]
            values[column.name], _ = column_values(column, read, Lines([name], lines), self.fields.means_null)
        return self.fields.complete(values, len(objects))


def _pieces(block: bytes) -> Iterator[bytes]:
    """Yield whole lines, in pieces of BLOCK bytes at most, or of one line that is longer."""
    start = 0
    while start < len(block):
        end = len(block)
        if end - start > BLOCK:
            end = block.rfind(b"\n", start, start + BLOCK) + 1 or block.find(b"\n", start) + 1 or end
        yield block[start:end]
        start = end


def _supersedes(records: list[dict[str, Any]]) -> pl.Series:
    """Return the stored reject that each record names."""
    named = [record.get(REJECT) for record in records]
    return pl.Series([text if isinstance(text, str) else None for text in named], dtype=pl.String)


def _as_read(rows: pl.DataFrame) -> pl.Series:
    return rows["line"].cast(pl.String).str.strip_chars().rename("record")
