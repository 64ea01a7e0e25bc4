"""A frame in the form that COPY reads: CSV, and the types of its columns. Pure.

Text is always quoted, so that an empty text is not null and no text is taken for the end of the data.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

# How COPY is to read it.
FORMAT = "(FORMAT csv)"

# Microseconds.
_DAY = 86_400_000_000

_SQL_TYPES: Mapping[type[pl.DataType], str] = {
    pl.Int64: "bigint",
    pl.UInt32: "bigint",
    pl.Float64: "double precision",
    pl.String: "text",
    pl.Boolean: "boolean",
    pl.Decimal: "numeric",
    pl.Date: "date",
    pl.Time: "time",
    pl.Duration: "interval",
    pl.Binary: "bytea",
}
# Zero-padded years, and the zone, are what every server reads in one way. Days of an interval stay days, as Python's.
_AS_TEXT: Mapping[type[pl.DataType], Callable[[pl.Expr, pl.DataType], pl.Expr]] = {
    pl.Date: lambda column, _: column.dt.to_string("%Y-%m-%d"),
    pl.Datetime: lambda column, kind: column.dt.to_string("%Y-%m-%d %H:%M:%S%.6f" + ("+00" if _has_zone(kind) else "")),
    pl.Time: lambda column, _: column.dt.to_string("%H:%M:%S%.6f"),
    pl.Duration: lambda column, _: pl.concat_str(
        column.to_physical() // _DAY, pl.lit(" days "), column.to_physical() % _DAY, pl.lit(" microseconds")
    ),
    pl.Binary: lambda column, _: pl.concat_str(pl.lit("\\x"), column.bin.encode("hex")),
}


@dataclass(frozen=True, slots=True)
class Copy:
    """Rows as CSV without a header.

    frame: the rows, as they were given.
    spaced: by column, the most characters of a text that ends in a space.
    """

    frame: pl.DataFrame
    spaced: tuple[int, ...]
    csv: memoryview


def copy_of(frame: pl.DataFrame) -> tuple[Copy, ...]:
    """Return the frame's rows, in their order; nothing where there are none."""
    if frame.is_empty():
        return ()
    target = io.BytesIO()
    as_text(frame).write_csv(target, include_header=False, quote_style="non_numeric")
    return (Copy(frame, spaces(frame), target.getbuffer()),)


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with dates and times as texts, which the server reads."""
    texts = [
        _AS_TEXT[type(kind)](pl.col(name), kind).alias(name)
        for name, kind in frame.schema.items()
        if type(kind) in _AS_TEXT
    ]
    return frame.with_columns(texts) if texts else frame


def sql_type(kind: pl.DataType) -> str:
    """Return what SQL calls a type of values."""
    if isinstance(kind, pl.Datetime):
        return "timestamptz" if _has_zone(kind) else "timestamp"
    return _SQL_TYPES[type(kind)]


def cut(frame: pl.DataFrame, widths: Sequence[int | None]) -> pl.Series:
    """Return, for each row, the width of a column that is too narrow for a text which ends in spaces: the server would
    cut the spaces and not say so. Null where there is none. widths: by column, in characters.
    """
    found = [
        pl.when(_ends_in_space(pl.col(name)) & (pl.col(name).str.len_chars() > width)).then(width)
        for name, kind, width in zip(frame.columns, frame.dtypes, widths, strict=True)
        if kind == pl.String and width is not None
    ]
    return frame.select(pl.coalesce([*found, pl.repeat(None, pl.len(), dtype=pl.Int64)]).alias("width")).to_series()


def spaces(frame: pl.DataFrame) -> tuple[int, ...]:
    """Return, by column, the most characters of a text that ends in a space; 0 where there is none."""
    return tuple(map(_most_spaced, frame))


def _most_spaced(column: pl.Series) -> int:
    if column.dtype != pl.String:
        return 0
    longest = column.to_frame().select(pl.first().filter(_ends_in_space(pl.first())).str.len_chars().max()).item()
    return int(longest or 0)


def _ends_in_space(text: pl.Expr) -> pl.Expr:
    return text.str.ends_with(" ")


def _has_zone(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Datetime) and kind.time_zone is not None
