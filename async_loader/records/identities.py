"""Several values of a record as one, which is the same just where they are. Pure."""

from __future__ import annotations

import polars as pl


def identities(values: pl.DataFrame, *, nulls_equal: bool = False) -> pl.Series:
    """Return for each record one value that just those records have which have the same values.

    Null where one of them is null, unless nulls are values like others.
    """
    if values.width == 1 and not nulls_equal and values.dtypes[0] in (pl.Int64, pl.String):
        return values.to_series()
    parts = [_measured(pl.col(name).cast(pl.String), nulls_equal=nulls_equal) for name in values.columns]
    return values.select(pl.concat_str(parts)).to_series()


def _measured(text: pl.Expr, *, nulls_equal: bool) -> pl.Expr:
    """Return a text after its length, so that it does not matter what stands in it."""
    measured = pl.concat_str(text.str.len_bytes().cast(pl.String), pl.lit(":"), text)
    return measured.fill_null("null") if nulls_equal else measured
