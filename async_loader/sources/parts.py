"""Parts of a source, which several workers read side by side with the records, lines and rejects of one that reads all.

A part is a value that can be sent anywhere, and the readers of whole sources read it. Text is divided between records,
which takes a look at all of it first (`boundaries`); Parquet between row groups. A source that cannot be read from its
middle, because it is packed or comes through a pipe, is one part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import reduce

import polars as pl

from async_loader.errors import SourceError
from async_loader.sources import boundaries
from async_loader.sources.boundaries import RangeCount
from async_loader.sources.fields import fields_of
from async_loader.sources.opening import CHANGED, facts_of
from async_loader.sources.ranges import Stretch, Version
from async_loader.sources.reader import Reader, open_among, opened_format
from async_loader.sources.source import Source
from async_loader.sources.streams import RECORD_LIMIT, Stream, failures
from async_loader.tables import Table

# Bytes of a part: seconds of work, beside which its own costs are little, and not too much at once for each reader.
SIZE = 32 << 20
# Kinds that are cut between records; the readers of all others divide them, or say that they are one.
_CUT_BETWEEN_RECORDS = ("csv", "jsonl", "ndjson")
# Bytes that are counted at a time.
COUNTED = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a source. Numbers are from 1; one without `stretch` is all of it."""

    source: Source
    number: int
    stretch: Stretch | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes to be counted of a source of text that has `size` in all."""

    source: Source
    version: Version
    size: int
    start: int
    stop: int


def parts(source: Source, table: Table, *, size: int = SIZE) -> list[Part]:
    """Return all of the source in parts of about `size` bytes each; of Parquet, as they are unpacked.

    Raises what a Reader of it raises.
    """
    with failures(source.name):
        is_whole = bool(source.codec or source.encoding or source.member) or facts_of(source.address).size is None
    stretches = [] if is_whole else _stretches(source, table, size)
    if len(stretches) <= 1:
        return [Part(source, 1)]
    return [Part(source, number, stretch) for number, stretch in enumerate(stretches, 1)]


def read(part: Part, table: Table, batch_size: int, *, among: int = 1) -> Reader:
    """Open a part, one of `among` that are read one after another. Raises SourceError where its source has changed
    since it was divided.
    """
    return open_among(among, part.source, table, batch_size, part.stretch)


def keys(part: Part, table: Table) -> pl.Series:
    """Return the keys of a part's records, as far as they can be read; some of records that will be rejected are among
    them. Nothing else of the records is made into values.
    """
    fields = fields_of(part.source, table)
    if table.key in fields.constants:
        return fields.constants[table.key]
    stream, opened = opened_format(part.source, fields.for_key_alone(), part.stretch)
    with closing(stream):
        with stream.failures():
            blocks = [values[table.key].drop_nulls() for values in opened.values()]
        stream.check_unchanged()
    return pl.concat([pl.Series(table.key, [], dtype=table.column(table.key).dtype), *blocks])


def count(wanted: Range) -> RangeCount:
    """Count a range; can be done anywhere. SourceError where the source is not the one that is being divided."""
    span = Stretch(wanted.version, max(wanted.start - 1, 0), min(wanted.stop + 2, wanted.size))
    with closing(Stream(wanted.source.address, stretch=span)) as stream:
        whole = reduce(boundaries.joined, _counts(wanted, stream))
        stream.check_unchanged()
    return whole


def _stretches(source: Source, table: Table, size: int) -> list[Stretch]:
    stream, opened = opened_format(source, fields_of(source, table))
    with closing(stream), stream.failures():
        stretches = opened.stretches(size)
    if not stretches or stream.encoding:
        return []
    if source.kind not in _CUT_BETWEEN_RECORDS or stretches[0].stop - stretches[0].start <= size:
        return stretches
    [whole] = stretches
    counts = list(map(count, _ranges(source, whole, size)))
    begins = boundaries.beginnings(counts, RECORD_LIMIT // 2)
    stops = [*(border.at for border in begins[1:]), whole.stop]
    return [
        replace(whole, start=border.at, stop=stop, line=whole.line + border.lines)
        for border, stop in zip(begins, stops, strict=True)
    ]


def _ranges(source: Source, whole: Stretch, size: int) -> Iterator[Range]:
    for start in range(whole.start, whole.stop, size):
        yield Range(source, whole.version, whole.stop, start, min(start + size, whole.stop))


def _counts(wanted: Range, stream: Stream) -> Iterator[RangeCount]:
    """Yield a count for each COUNTED bytes, each with the bytes around it that `boundaries.count` asks for."""
    dialect = wanted.source.dialect if wanted.source.kind == "csv" else None
    edge = b"\n" if dialect is None else dialect.delimiter.encode()
    known = edge if wanted.start == 0 else stream.read(1)
    known += stream.read(2)
    for start in range(wanted.start, wanted.stop, COUNTED):
        stop = min(start + COUNTED, wanted.stop)
        text = known + stream.read(stop - start)
        missing = max(stop + 2 - wanted.size, 0)
        if len(text) + missing != stop - start + 3:
            raise SourceError(wanted.source.name, CHANGED)
        yield boundaries.count(text + edge * missing, start, dialect)
        known = text[stop - start :]
