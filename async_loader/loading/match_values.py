"""The values of match columns that a run has accepted. Pure."""

from __future__ import annotations

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.arrays import all_false
from async_loader.records.key_sets import KeySet, key_set


class MatchValues:
    """The match values that a run has accepted, as `identities` gives them."""

    def __init__(self) -> None:
        self._values: KeySet | None = None
        # The values asked about since the last were taken in, and the answer: a batch is asked about twice.
        self._asked: pl.Series | None = None
        self._answer = all_false(0)

    def add(self, values: pl.Series) -> None:
        """Take in the match values of accepted records."""
        if self._values is None:
            self._values = key_set(identity_column(values))
        self._values.add(values)
        self._asked = None

    def holds(self, values: pl.Series) -> pl.Series:
        """Return for each record whether one of the same match values was accepted."""
        if self._values is None:
            return all_false(len(values))
        if self._asked is not values:
            self._asked, self._answer = values, self._values.holds(values)
        return self._answer


def identity_column(values: pl.Series) -> Column:
    """Return a column that holds such values as `identities` gives."""
    return Column("identity", Type.INTEGER if values.dtype == pl.Int64 else Type.TEXT)
