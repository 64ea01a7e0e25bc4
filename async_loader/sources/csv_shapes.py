"""Records of CSV in another shape than their header, and lines that are no records after all. Pure.

Programs write columns without names, and fields with nothing in them, at the end of lines. They are no part of a
record. A line whose fields hold nothing is as good as an empty one, and the header, met again where files were joined,
is no record but a reject.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from async_loader.formats import Dialect
from async_loader.records.arrays import all_false
from async_loader.sources.csv_records import fields_of_record, record_spans

# What a column without a name is called while fields are cut.
_NAMELESS = "\0"


def without_nameless(header: Sequence[str]) -> tuple[str, ...]:
    """Return a header without the columns at its end that have no names."""
    names = list(header)
    while len(names) > 1 and not names[-1]:
        names.pop()
    return tuple(names)


def nameless(count: int) -> list[str]:
    """Return names for that many columns that have none."""
    return [f"{_NAMELESS}{number}" for number in range(count)]


def fitted(good: bytes, places: Iterable[int], width: tuple[int, int], dialect: Dialect) -> bytes:
    """Return records, of which those at these places have too few or too many fields, with as many as there are
    columns where that changes no value: fields at the end that hold nothing are taken away, or added.

    width: how many columns have names, and how many there are in all.
    """
    named, every = width
    edge = dialect.delimiter.encode()
    begins, stops = record_spans(good, dialect)
    parts, at = [], 0
    for place in places:
        begin, stop = int(begins[place]), int(stops[place])
        text = good[begin:stop].removesuffix(b"\r")
        count = len(fields_of_record(text.decode("latin-1"), dialect, every + len(text)))
        surplus = count - every
        kept = text
        if surplus > 0 and text.endswith(edge * surplus):
            kept = text[:-surplus] or text
        elif named <= count < every:
            kept = text + edge * (every - count)
        parts += [good[at:begin], kept]
        at = begin + len(text)
    return b"".join([*parts, good[at:]])


def blank(as_read: pl.DataFrame, header: Sequence[str]) -> pl.Series:
    """Return which records have nothing in any field, not even quotes; none where not all fields were kept."""
    if as_read.width != len(header) or not all(column.null_count() for column in as_read.iter_columns()):
        return all_false(len(as_read))
    return as_read.select(pl.all_horizontal(pl.all().is_null())).to_series()


def repeated_headers(as_read: pl.DataFrame, header: Sequence[str]) -> pl.Series:
    """Return which records are the header once more; of a single column none is, since that may be a value of it."""
    first = as_read.to_series(0) if as_read.width > 1 else None
    if first is None or as_read.width != len(header) or not (first == header[0]).any():
        return all_false(len(as_read))
    same = [pl.nth(place) == name for place, name in enumerate(header)]
    return as_read.select(pl.all_horizontal(same).fill_null(value=False)).to_series()
