"""Which row of a table has these values in some columns: an index in memory from values to keys. Pure.

Values are kept whole, in the order of their hashes. A hash only says where to look: each value that is found there is
compared, so the index is exact. An entry takes its values, its key, and 8 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from async_loader.records.arrays import all_false, from_flags, from_integers

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
# Another number in each process, so that no file can be made whose values all have the same hash.
_SEED = hash("values that find a row") & 0x7FFF_FFFF
_KEY = "key"
# Rows with the same values that make a record ambiguous.
_SEVERAL = 2


@dataclass(frozen=True, slots=True)
class FoundRows:
    """The rows that n records name. Both are n long.

    keys: the key of the one row that has the record's values; null where there is none, and where there are several.
    is_ambiguous: whether several rows have them.
    """

    keys: pl.Series
    is_ambiguous: pl.Series


def found_rows(size: int, places: pl.Series, keys: pl.Series, is_ambiguous: pl.Series) -> FoundRows:
    """Return what was found for `size` records from answers for those of them, each at its place, that found a row."""
    several = all_false(size).scatter(places, is_ambiguous) if len(places) else all_false(size)
    one = keys.filter(~is_ambiguous)
    nothing = pl.Series("key", [None], dtype=keys.dtype).new_from_index(0, size)
    return FoundRows(nothing.scatter(places.filter(~is_ambiguous), one) if len(one) else nothing, several)


class RowIndex:
    """Rows by their values in some columns, which are given in the same order and types each time."""

    def __init__(self) -> None:
        self._waiting: list[pl.DataFrame] = []
        self._rows = pl.DataFrame()
        self._hashes: Hashes = np.zeros(0, np.uint64)

    def __len__(self) -> int:
        return len(self._rows) + sum(map(len, self._waiting))

    def add(self, values: pl.DataFrame, keys: pl.Series) -> None:
        """Take in n rows with their keys. A row that has a null among its values cannot be found, and is left out."""
        self._waiting.append(_numbered(values).with_columns(keys.alias(_KEY)).drop_nulls())

    def find(self, values: pl.DataFrame) -> FoundRows:
        """Return the rows that have the values of n records. A record with a null among its values finds none."""
        if not len(self):
            return FoundRows(pl.Series(_KEY, [None] * len(values)), all_false(len(values)))
        self._sort()
        first, counts = self._matches(_numbered(values))
        is_one = from_flags(counts == 1)
        places = pl.select(pl.when(is_one).then(from_integers(first))).to_series()
        return FoundRows(self._rows[_KEY].gather(places), from_flags(counts >= _SEVERAL))

    def _matches(self, wanted: pl.DataFrame) -> tuple[Positions, Positions]:
        """Return for each record the place of the first row that has its values, and how many have them; no more than
        two are counted.

        Rows of one hash lie side by side. All records look at the first of theirs, then those that may find another
        row look at the next one, until none is left.
        """
        hashes = _hashed(wanted)
        first, counts = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
        # In ascending order of hashes, in which they are found far faster.
        records = np.argsort(hashes, kind="stable")
        places = np.searchsorted(self._hashes, hashes[records])
        while len(records):
            is_near = places < len(self._hashes)
            is_near[is_near] = self._hashes[places[is_near]] == hashes[records[is_near]]
            records, places = records[is_near], places[is_near]
            is_same = self._same(places, wanted, records)
            hits = records[is_same]
            first[hits] = np.where(counts[hits], first[hits], places[is_same])
            counts[hits] += 1
            goes_on = counts[records] < _SEVERAL
            records, places = records[goes_on], places[goes_on] + 1
        return first, counts

    def _same(self, places: Positions, wanted: pl.DataFrame, records: Positions) -> npt.NDArray[np.bool_]:
        """Return whether the rows at these places have the values of these records."""
        if not len(places):
            return np.zeros(0, np.bool_)
        rows, sought = self._rows[places], wanted[records]
        is_same = pl.all_horizontal(pl.col(name) == sought[name] for name in wanted.columns)
        return rows.select(is_same.fill_null(value=False)).to_series().to_numpy()

    def _sort(self) -> None:
        """Put rows that were added in their places."""
        if not self._waiting:
            return
        rows = pl.concat([each for each in [self._rows, *self._waiting] if each.width], rechunk=True)
        self._waiting = []
        hashes = _hashed(rows.drop(_KEY))
        order = np.argsort(hashes, kind="stable")
        self._rows, self._hashes = rows[order], hashes[order]


def _numbered(values: pl.DataFrame) -> pl.DataFrame:
    return values.rename({name: f"c{place}" for place, name in enumerate(values.columns)})


def _hashed(values: pl.DataFrame) -> Hashes:
    return values.hash_rows(seed=_SEED).to_numpy()
