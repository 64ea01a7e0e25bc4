"""Several values of a record as one, which is the same just where they are. Pure."""

from __future__ import annotations

import polars as pl


def identities(values: pl.DataFrame, *, nulls_equal: bool = False) -> pl.Series:
    """Return for each record one value that just those records have which have the same values.

    Null where one of them is null, unless nulls are values like others.
    """
    if values.width == 1 and not nulls_equal and values.dtypes[0] in (pl.Int64, pl.String):
        return values.to_series()
    parts = [_measured(_text(name, kind), nulls_equal=nulls_equal) for name, kind in values.schema.items()]
    return values.select(pl.concat_str(parts)).to_series()


def _text(name: str, kind: pl.DataType) -> pl.Expr:
    """Return values as texts, of which each is that of one value alone."""
    column = pl.col(name)
    if kind == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(kind, pl.Time | pl.Duration):
        # As text, a time of a day has no parts of a second.
        column = column.to_physical()
    elif kind == pl.Float64:
        # The zeros of both signs are one number.
        column = pl.when(column == 0).then(pl.lit(0.0)).otherwise(column)
    return column.cast(pl.String)


def _measured(text: pl.Expr, *, nulls_equal: bool) -> pl.Expr:
    """Return a text after its length, so that it does not matter what stands in it."""
    measured = pl.concat_str(text.str.len_bytes().cast(pl.String), pl.lit(":"), text)
    return measured.fill_null("null") if nulls_equal else measured
