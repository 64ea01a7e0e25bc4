"""A frame in the form in which a statement reads it: for each column an array, as PostgreSQL writes one. Pure.

A statement finds these as rows of a table that lives as long as it does. So a batch leaves nothing in the server's
catalogs, takes no lock, and needs no session of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from async_loader.stores.postgres.copies import as_text, spaces, sql_type

# Bytes of values, about, in one statement: the server has the arrays and the rows that it makes of them in memory.
MOST_BYTES = 64 << 20

# What must be escaped in an element of an array, where it stands between quotes.
_SPECIAL = r'["\\]'


@dataclass(frozen=True, slots=True)
class Arrays:
    """n rows.

    types: by column, the type in SQL.
    spaced: as in Copy.
    literals: by column, its n values as one literal.
    """

    types: tuple[str, ...]
    spaced: tuple[int, ...]
    literals: tuple[str, ...]


def arrays_of(frame: pl.DataFrame) -> tuple[Arrays, ...]:
    """Return the frame's rows, in their order, in parts of a limited size; none where there are no rows."""
    types = tuple(map(sql_type, frame.dtypes))
    return tuple(Arrays(types, spaces(part), tuple(map(_literal, as_text(part)))) for part in _parts(frame))


def _parts(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    count = max(1, -(-int(frame.estimated_size()) // MOST_BYTES))
    size = max(1, -(-len(frame) // count))
    for start in range(0, len(frame), size):
        yield frame.slice(start, size)


def _literal(column: pl.Series) -> str:
    if column.dtype != pl.String:
        return "{" + _joined(column.cast(pl.String).fill_null("NULL"), ",") + "}"
    if column.str.contains(_SPECIAL).any():
        column = column.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    if column.null_count():
        quoted = pl.concat_str([pl.lit('"'), pl.lit(column), pl.lit('"')])
        return "{" + _joined(pl.select(quoted.fill_null("NULL")).to_series(), ",") + "}"
    return '{"' + _joined(column, '","') + '"}'


def _joined(texts: pl.Series, separator: str) -> str:
    return str(texts.str.join(separator).item())
