"""A frame as what COPY reads: CSV, and the types of its columns. Pure.

Text is always quoted, so that an empty text is not null and no text is taken for the end of the data.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

# How COPY is to read it.
FORMAT = "(FORMAT csv)"

_SQL_TYPES: Mapping[type[pl.DataType], str] = {
    pl.Int64: "bigint",
    pl.UInt32: "bigint",
    pl.Float64: "double precision",
    pl.String: "text",
    pl.Boolean: "boolean",
    pl.Decimal: "numeric",
    pl.Date: "date",
}
# Zero-padded years, and the zone, are what every server reads in one way.
_AS_TEXT: Mapping[type[pl.DataType], Callable[[pl.Expr, pl.DataType], pl.Expr]] = {
    pl.Date: lambda column, _: column.dt.to_string("%Y-%m-%d"),
    pl.Datetime: lambda column, kind: column.dt.to_string("%Y-%m-%d %H:%M:%S%.6f" + ("+00" if _has_zone(kind) else "")),
}


@dataclass(frozen=True, slots=True)
class Copy:
    """Rows as CSV without a header. types: by column, what SQL calls its type."""

    types: tuple[str, ...]
    csv: memoryview


def copy_of(frame: pl.DataFrame) -> tuple[Copy, ...]:
    """The frame's rows, in their order; nothing where there are none."""
    if frame.is_empty():
        return ()
    texts = [_AS_TEXT[type(kind)](pl.col(name), kind) for name, kind in frame.schema.items() if type(kind) in _AS_TEXT]
    target = io.BytesIO()
    frame.with_columns(texts).write_csv(target, include_header=False, quote_style="non_numeric")
    return (Copy(tuple(map(_sql_type, frame.dtypes)), target.getbuffer()),)


def _sql_type(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Datetime):
        return "timestamptz" if _has_zone(kind) else "timestamp"
    return _SQL_TYPES[type(kind)]


def _has_zone(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Datetime) and kind.time_zone is not None
