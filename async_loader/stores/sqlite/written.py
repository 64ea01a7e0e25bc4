"""Values of a column as one text of many, in the SQL of SQLite, and back: one long value is fetched far faster than
many rows. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.parsing import text_of_bytes
from async_loader.stores.computing import ReadBack
from async_loader.stores.store import integers


@dataclass(frozen=True, slots=True)
class Written:
    """How values of a type are written: the expression, what stands for a value of another type, and what SQLite calls
    the types in which they are stored.
    """

    expression: str
    other: str
    stored: tuple[str, ...]

    def sql(self, name: str) -> str:
        """Return the expression for the values under a name."""
        return self.expression.format(name)


_INTEGER = Written("{}", "0", ("integer",))
_TEXT = Written("hex({})", "''", ("text",))
# Seventeen digits are enough for any real.
_REAL = Written("printf('%!.17g', {})", "0", ("real", "integer"))
WRITTEN: Mapping[Type, Written] = {
    **dict.fromkeys((Type.INTEGER, Type.BOOLEAN, Type.DURATION), _INTEGER),
    **dict.fromkeys((Type.TEXT, Type.UUID, Type.OTHER, Type.DATE, Type.DATETIME, Type.TIME), _TEXT),
    **dict.fromkeys((Type.REAL, Type.DECIMAL), _REAL),
    Type.BINARY: Written("hex({})", "''", ("blob",)),
}


def values_in(texts: Iterable[str], column: Column, read_back: ReadBack) -> pl.Series:
    """Return the values of which texts of many are made; null for one that the column cannot have."""
    match column.type:
        case Type.INTEGER:
            return integers(texts)
        case Type.BOOLEAN | Type.DURATION:
            return integers(texts).cast(column.dtype)
        case Type.TEXT | Type.UUID | Type.OTHER:
            return pl.concat([pl.Series([], dtype=pl.String), *map(_unhexed, texts)])
        case Type.BINARY:
            return pl.concat([pl.Series([], dtype=pl.Binary), *map(_bytes, texts)])
    values = [read_back(column, each)[0] for text in texts for each in _stored(text, column)]
    return pl.Series(values, dtype=column.dtype)


def _stored(text: str, column: Column) -> Iterator[Any]:
    """Yield values as SQLite stores them."""
    if WRITTEN[column.type] is _TEXT:
        yield from _unhexed(text)
        return
    for each in text.split(","):
        yield int(each) if each.lstrip("-").isdigit() else float(each)


def _bytes(text: str) -> pl.Series:
    return pl.Series(text.split(",")).str.decode("hex")


def _unhexed(text: str) -> pl.Series:
    """Return texts from their bytes; null for one that is not UTF-8."""
    encoded = _bytes(text)
    try:
        return encoded.cast(pl.String)
    except pl.exceptions.ComputeError:
        texts, invalid = text_of_bytes(encoded)
        return pl.select(pl.when(~invalid).then(texts)).to_series()
