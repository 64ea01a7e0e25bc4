"""Sets of keys of all types but integer, text and UUID: held as integers or texts that are the same just where the keys
are. Pure.
"""

from __future__ import annotations

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.key_sets import IntegerKeys, KeySet, bits_of_reals
from async_loader.records.text_keys import TextKeys


class OtherKeys:
    """Keys of one column; see `KeySet`."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._keys: KeySet = TextKeys() if column.type in {Type.DECIMAL, Type.BINARY} else IntegerKeys()

    def add(self, keys: pl.Series) -> None:
        """Keep the contract of `KeySet`."""
        self._keys.add(self._held(keys))

    def holds(self, keys: pl.Series) -> pl.Series:
        """Keep the contract of `KeySet`."""
        return self._keys.holds(self._held(keys))

    def all(self) -> pl.Series:
        """Keep the contract of `KeySet`."""
        held, kind = self._keys.all(), self._column.dtype
        match self._column.type:
            case Type.BINARY:
                return held.str.decode("hex")
            case Type.REAL:
                return pl.Series(held.to_numpy().view("float64"))
            case Type.DATE:
                return held.cast(pl.Int32).cast(kind)
        return held.cast(kind)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def size(self) -> int:
        """Keep the contract of `KeySet`."""
        return self._keys.size

    def _held(self, keys: pl.Series) -> pl.Series:
        match self._column.type:
            case Type.BINARY:
                return keys.bin.encode("hex")
            case Type.DECIMAL:
                return keys.cast(pl.String)
            case Type.REAL:
                return bits_of_reals(keys)
        return keys.cast(pl.Int64)
