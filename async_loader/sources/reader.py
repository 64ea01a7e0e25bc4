"""A Reader: the batches of an open source, cut to size and counted; and the protocol that each format keeps.

A format's class checks its columns against the table when it is made, so that a source which cannot be read as it is
raises SourceError before its first record. Batches are read as they are asked for, and are bounded in bytes whatever is
in the source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import polars as pl
import pyarrow as pa

from async_loader.columns import Column
from async_loader.errors import SourceError
from async_loader.ledger.contents import Content
from async_loader.ledger.layouts import Layout, mapping_parts
from async_loader.records.batches import MARKS, Batch, slices
from async_loader.sources.fields import Fields, fields_of
from async_loader.sources.opening import CHANGED
from async_loader.sources.ranges import Stretch
from async_loader.sources.signatures import advice
from async_loader.sources.source import ARROW, SPREADSHEETS, Source
from async_loader.sources.streams import Stream
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.sources.given import RecordStream

# Sources that are open side by side, at most, of those that can be opened again: a process may have some 1,000
# descriptors, and an open source holds some megabytes.
MOST_OPEN = 32
# Sources whose columns show when records are read, each of which may have others.
_UNSETTLED = ("jsonl", "ndjson", "json")


class Header(Protocol):
    """What a source says of its columns, once they have been checked against the table.

    fields: how the columns of the source become the table's.
    ignored: the columns met so far that the table does not have, and that the user did not mention.
    is_rejects: whether it may be a file of rejects, as far as its front shows.
    schema: the types of the columns, for a format that has them.
    part: the part of the source that is read, by the one name that it has there; empty for all.
    """

    columns: list[str]
    fields: Fields
    ignored: list[str]
    is_rejects: bool
    schema: pa.Schema | None
    part: str


class OpenSource(Header, Protocol):
    """A format's class, once it has opened a stream and checked its columns."""

    def batches(self) -> Iterator[Batch]:
        """Yield all records, in order; read as they are asked for."""

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of all readable records, and maybe of some that are broken; null where one is at fault."""

    def stretches(self, size: int) -> list[Stretch]:
        """Return all records in parts of about `size` bytes, as far as can be said without reading them. Asked of a
        whole source, and then nothing else.
        """


@dataclass(slots=True)
class _Header:
    """The header of a source that is closed until it is read."""

    columns: list[str]
    fields: Fields
    ignored: list[str]
    is_rejects: bool
    schema: pa.Schema | None
    part: str
    again: tuple[str, ...]


class Reader:
    """An open source, or a stretch of one: its batches, cut to size, and how many records it has delivered."""

    def __init__(self, source: Source, table: Table, batch_size: int, stretch: Stretch | None = None) -> None:
        self.source = source
        self.delivered = 0
        self._table, self._batch_size, self._stretch = table, batch_size, stretch
        self._waiting: deque[Batch] = deque()
        self._header: Header
        # None while the source is closed until it is read.
        self._batches: Iterator[Batch] | None
        self._known_layout: Layout | None = None
        self._open()

    def _open(self) -> None:
        fields = fields_of(self.source, self._table)
        opened: OpenSource
        if self.source.data is None:
            self._stream, opened = opened_format(self.source, fields, self._stretch)
        else:
            from async_loader.sources.given import open_given

            self._stream, opened = open_given(self.source, fields, self._batch_size)
        self._header, self._batches = opened, opened.batches()
        self._is_read, self._is_settled = False, False

    def close_until_read(self) -> None:
        """Close the source until its first record is asked for, if it can be opened again. Its columns are known.
        Reading it is a SourceError where it has changed meanwhile.
        """
        if not self._stream.can_be_opened_again:
            return
        self._stream.close()
        seen = self._header
        self._header, self._batches = (
            _Header(seen.columns, seen.fields, seen.ignored, seen.is_rejects, seen.schema, seen.part, _again(seen)),
            None,
        )

    def _open_again(self) -> None:
        before = self._stream.facts
        self._open()
        if self._stream.facts != before:
            self.close()
            raise SourceError(self.source.name, CHANGED)

    @property
    def layouts(self) -> tuple[Layout]:
        """How its records stand in it: the same object as before where that is known to be the same."""
        if self._known_layout is None or not self._is_settled:
            layout = self._layout()
            if layout != self._known_layout:
                self._known_layout = layout
            # What shows when records are read may show until the last one.
            self._is_settled = self._batches is None or self._is_read
        return (self._known_layout,)

    def _layout(self) -> Layout:
        source, schema, fields = self.source, self._header.schema, self._header.fields
        table = fields.table
        mapped = {left: name for left, name in source.names.items() if left not in table.column_names}
        names = {column: name for column, name in fields.names.items() if column != name} | mapped
        finding = Layout(
            source.kind,
            ignore=(*source.ignore, *_again(self._header)),
            match=table.match,
            append=table.append,
            on_missing=table.on_missing if table.on_missing != "insert" else "",
            separators=tuple(sorted(source.separators.items())),
            encoding=self._stream.encoding or "",
            spellings=source.spellings,
        )
        layout = replace(finding, **mapping_parts(names, source.constants, source.means_null))
        columns = tuple(name for name in self._header.columns if name not in MARKS)
        if source.kind in SPREADSHEETS:
            return replace(layout, kind="xlsx", columns=columns)
        if source.kind == "csv":
            return replace(layout, dialect=source.dialect, columns=columns)
        if schema is not None:
            types = tuple(str(each.type) for each in schema)
            return replace(layout, kind="parquet", columns=tuple(schema.names), types=types)
        # Each record of JSON Lines may have a column under another of its names.
        several = {column: names for column, names in fields.candidates.items() if len(names) > 1}
        given = (*fields.lookups.values(), *fields.links.values())
        lookups = tuple(name for parts in given for name in parts)
        names = dict(_mapped_names(fields)) | mapped
        return replace(
            layout, names=tuple(sorted(names.items())), aliases=tuple(sorted(several.items())), lookups=lookups
        )

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns, as far as they are known before its records are read."""
        return self._header.columns

    @property
    def blank_lines(self) -> int:
        """How many lines met so far hold fields with nothing in them, so that they are no records."""
        return getattr(self._header, "blank", 0)

    @property
    def is_rejects(self) -> bool:
        """Whether it may be a file of rejects, as far as its front shows."""
        return self._header.is_rejects

    @property
    def has_batch(self) -> bool:
        """Whether the next batch has been read already."""
        return bool(self._waiting)

    @property
    def drawn(self) -> RecordStream | None:
        """The stream of which the mode draws records before they are read; None where the source is read by itself."""
        if self.source.data is None or self.source.kind == ARROW:
            return None
        return cast("RecordStream", self._stream)

    @property
    def can_be_opened_again(self) -> bool:
        """Whether what has been read of it can be read once more: not of stdin, pipes and what a program gives."""
        return self._stream.can_be_opened_again

    @property
    def ignored(self) -> list[str]:
        """The columns met so far that the table does not have."""
        return self._header.ignored

    @property
    def lookups(self) -> Mapping[str, Mapping[str, Column]]:
        """By column that references another table, the columns that the source gives in its place; see `Fields`."""
        return self._header.fields.lookups

    @property
    def links(self) -> tuple[str, ...]:
        """The names of the table's links that the source gives, or may give in records to come."""
        if self.source.kind in _UNSETTLED:
            return tuple(links.name for links in self._table.links if not links.problem)
        return self.given_links

    @property
    def given_links(self) -> tuple[str, ...]:
        """The names of the table's links that the source gives for certain."""
        return tuple(self._header.fields.links)

    @property
    def content(self) -> Content | None:
        """The content, once all bytes have been read in their order; None before, and where they are read otherwise."""
        content, constants = self._stream.content, tuple(sorted(self.source.constants.items()))
        return None if content is None else replace(content, constants=constants, part=self.part)

    @property
    def part(self) -> str:
        """The part of the source that is read, by the one name that it has there; empty for all."""
        return "#".join(filter(None, (self.source.member, self._header.part)))

    @property
    def size(self) -> int | None:
        """In bytes on disk; None where unknown."""
        return self._stream.size

    def read(self) -> Batch | None:
        """Return the next records, one at least; None at the end. SourceError where the source cannot be read on."""
        while not self._waiting:
            batch = self._next()
            if batch is None:
                self._is_read = True
                self._stream.check_unchanged()
                self._stream.close()
                return None
            if len(batch):
                self._waiting.extend(slices(batch, self._batch_size))
        self.delivered += len(self._waiting[0])
        return self._waiting.popleft()

    def _next(self) -> Batch | None:
        if self._batches is None:
            self._open_again()
        assert self._batches is not None
        with self._stream.failures():
            return next(self._batches, None)

    def close(self) -> None:
        """Release the source; harmless when done already."""
        self._stream.close()


def open_among(count: int, source: Source, table: Table, batch_size: int, stretch: Stretch | None = None) -> Reader:
    """Open one of that many sources, or stretches, that are read one after another; of many, each is closed until its
    turn comes.
    """
    reader = Reader(source, table, batch_size, stretch)
    if count > MOST_OPEN:
        reader.close_until_read()
    return reader


def _again(header: Header) -> tuple[str, ...]:
    """Return the names that a format has given to columns which are left out, since others are called as they are."""
    return getattr(header, "again", ())


def _mapped_names(fields: Fields) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((column, fields.candidates[column][0]) for column in fields.mapped))


def opened_format(source: Source, fields: Fields, stretch: Stretch | None = None) -> tuple[Stream, OpenSource]:
    """Open a source, or a stretch of it, with its columns as these fields. The caller closes the stream.

    A SourceError says what else the source seems to be, if its first bytes say so.
    """
    encoding = source.encoding if source.is_text else None
    stream = Stream(source.address, source.codec, stretch, name=source.name, encoding=encoding, member=source.member)
    try:
        return stream, _OPEN[source.kind](stream, fields, source, stretch)
    except BaseException as error:
        stream.close()
        if not isinstance(error, SourceError):
            raise
        other = advice(stream.front, fields.table.name, source.kind, source.suffix, source.name)
        if other is None:
            raise
        raise SourceError(source.name, other) from error


# Each format's libraries are imported where a source of it is read.
def _csv(stream: Stream, fields: Fields, source: Source, stretch: Stretch | None) -> OpenSource:
    from async_loader.sources.csv import CsvSource

    return CsvSource(stream, fields, source.dialect, stretch)


def _json_lines(stream: Stream, fields: Fields, _: Source, stretch: Stretch | None) -> OpenSource:
    from async_loader.sources.jsonl import JsonLinesSource

    return JsonLinesSource(stream, fields, stretch)


def _json_document(stream: Stream, fields: Fields, source: Source, _: Stretch | None) -> OpenSource:
    from async_loader.sources.json_document import JsonDocumentSource

    return JsonDocumentSource(stream, fields, source.part.split(".") if source.part else ())


def _spreadsheet(stream: Stream, fields: Fields, source: Source, _: Stretch | None) -> OpenSource:
    from async_loader.sources.spreadsheet import SpreadsheetSource

    return SpreadsheetSource(stream, fields, source.part, source.dialect)


def _arrow(stream: Stream, fields: Fields, _source: Source, _stretch: Stretch | None) -> OpenSource:
    from async_loader.sources.arrow import ArrowSource

    return ArrowSource(stream, fields)


def _parquet(stream: Stream, fields: Fields, _: Source, stretch: Stretch | None) -> OpenSource:
    from async_loader.sources.parquet import ParquetSource

    return ParquetSource(stream, fields, stretch)


_OPEN: dict[str, Callable[[Stream, Fields, Source, Stretch | None], OpenSource]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "json": _json_document,
    "parquet": _parquet,
    "arrow": _arrow,
    **dict.fromkeys(SPREADSHEETS, _spreadsheet),
}
