"""Sets of keys of one column, whatever they stand for.

A set takes and answers whole columns, and is exact. Integer keys that lie close together are one bit each; far-flung
ones are sorted arrays of 8 bytes each; `text_keys` has what holds texts and UUIDs. Nothing here touches a database.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.arrays import from_flags, from_integers

# A bit for each value between the least and the greatest key takes less room than 8 bytes a key up to this spread.
BITS_PER_KEY = 64
# Below this many values between least and greatest (1 MiB of bits) the spread does not matter.
SMALL_SPREAD = 8 << 20
# Where there are fewer values than this to a key, bits are set faster all at once than one by one.
DENSE = 64

_BIT = (1 << np.arange(8)).astype(np.uint8)

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class KeySet(Protocol):
    """Keys of one column type. Series are as long as the batch; nulls are never members and are never added."""

    def add(self, keys: pl.Series) -> None:
        """Take in keys; keys that the set holds already may be among them."""

    def holds(self, keys: pl.Series) -> pl.Series:
        """Return for each key whether the set holds it; false for null."""

    def all(self) -> pl.Series:
        """Return every key, in no particular order."""

    def __len__(self) -> int:
        """Return how many distinct keys the set holds."""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""


def key_set(column: Column) -> KeySet:
    """Return an empty set for keys of that column."""
    match column.type:
        case Type.INTEGER:
            return IntegerKeys()
        case Type.UUID:
            from async_loader.records.text_keys import UuidKeys

            return UuidKeys()
        case Type.TEXT | Type.OTHER:
            from async_loader.records.text_keys import TextKeys

            return TextKeys()
    from async_loader.records.other_keys import OtherKeys

    return OtherKeys(column)


class IntegerKeys:
    """Integer keys: bits while they lie close together, sorted arrays from the moment they do not."""

    def __init__(self) -> None:
        self._members: _Bits | _SortedArrays = _Bits()

    def add(self, keys: pl.Series) -> None:
        """Keep the contract of `KeySet`."""
        new = (keys.drop_nulls() if keys.null_count() else keys).to_numpy()
        if not len(new):
            return
        if not (new[1:] > new[:-1]).all():
            new = _distinct(new)
        if isinstance(self._members, _Bits) and not self._members.can_take(new):
            self._members = _SortedArrays(self._members.keys())
        self._members.add(new)

    def holds(self, keys: pl.Series) -> pl.Series:
        """Keep the contract of `KeySet`."""
        if not keys.null_count():
            return from_flags(self._members.hold(keys.to_numpy()))
        return from_flags(self._members.hold(keys.fill_null(0).to_numpy())) & keys.is_not_null()

    def all(self) -> pl.Series:
        """Keep the contract of `KeySet`."""
        return from_integers(self._members.keys())

    def __len__(self) -> int:
        return len(self._members)

    @property
    def size(self) -> int:
        """Keep the contract of `KeySet`."""
        return self._members.size


def bits_of_reals(values: pl.Series) -> pl.Series:
    """Return the bits of reals as integers. Zero has two signs and one value, so it loses its sign."""
    bits = from_integers((values.fill_null(0.0).to_numpy() + 0.0).view(np.int64))
    return pl.select(pl.when(values.is_not_null()).then(bits)).to_series()


def _distinct(keys: Integers) -> Integers:
    """Return the keys in order, each once."""
    ordered = np.sort(keys)
    return ordered[_firsts(ordered)]


def _firsts(ordered: Integers) -> Integers:
    """Return the places at which another value begins. np.unique would take twenty times as long to find them."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


class _Bits:
    """One bit for each value from `_base` (a multiple of 8) on; `_least` and `_greatest` are the keys' own bounds."""

    def __init__(self) -> None:
        self._bits = np.zeros(0, np.uint8)
        self._base = 0
        self._least = 0
        self._greatest = -1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        return self._bits.nbytes

    def can_take(self, new: Integers) -> bool:
        least, greatest = self._bounds_with(new)
        return greatest - least + 1 <= max(BITS_PER_KEY * (self._count + len(new)), SMALL_SPREAD)

    def add(self, new: Integers) -> None:
        """Take in keys that are sorted and distinct."""
        self._least, self._greatest = self._bounds_with(new)
        self._make_room()
        offsets = new - self._base
        places, bits = _packed(offsets) if offsets[-1] - offsets[0] < DENSE * len(new) else _gathered(offsets)
        self._count += int(np.bitwise_count(bits & ~self._bits[places]).sum())
        self._bits[places] |= bits

    def hold(self, keys: Integers) -> Booleans:
        if not len(self._bits):
            return np.zeros(len(keys), np.bool_)
        within = (keys >= self._least) & (keys <= self._greatest)
        offsets = np.where(within, keys, self._least) - self._base
        is_set: Booleans = self._bits[offsets >> 3] & _BIT[offsets & 7] != 0
        return within & is_set

    def keys(self) -> Integers:
        return np.flatnonzero(np.unpackbits(self._bits, bitorder="little")) + self._base

    def _bounds_with(self, new: Integers) -> tuple[int, int]:
        if not self._count:
            return int(new[0]), int(new[-1])
        return min(self._least, int(new[0])), max(self._greatest, int(new[-1]))

    def _make_room(self) -> None:
        """Make the array span `_least` to `_greatest`.

        Where it must grow, it grows on the side that lacks room by half of the new spread besides: so keys that come in
        order, upwards or downwards, copy each bit only a few times on the whole. The base stays a multiple of 8, so
        that what was there is copied by whole bytes.
        """
        end = self._base + 8 * len(self._bits)
        if len(self._bits) and self._base <= self._least and self._greatest < end:
            return
        spare = (self._greatest - self._least + 1) // 2
        base = self._lowest_base(spare) // 8 * 8
        grown = np.zeros((self._greatest + spare - base) // 8 + 1, np.uint8)
        shift = (self._base - base) // 8
        grown[shift : shift + len(self._bits)] = self._bits
        self._bits, self._base = grown, base

    def _lowest_base(self, spare: int) -> int:
        """Return where the array is to begin: where it does, or with room to spare below the least key."""
        if not len(self._bits):
            return self._least
        return max(self._least - spare, -(2**63)) if self._least < self._base else self._base


def _packed(offsets: Integers) -> tuple[slice, npt.NDArray[np.uint8]]:
    """Return the bytes to set, all of them from the first offset to the last: fast where most of them have a bit."""
    first = int(offsets[0]) & ~7
    chosen = np.zeros(int(offsets[-1]) - first + 1, np.bool_)
    chosen[offsets - first] = True
    bits = np.packbits(chosen, bitorder="little")
    return slice(first >> 3, (first >> 3) + len(bits)), bits


def _gathered(offsets: Integers) -> tuple[Integers, npt.NDArray[np.uint8]]:
    """Return the bytes to set, only those that have a bit."""
    places = offsets >> 3
    firsts = _firsts(places)
    return places[firsts], np.bitwise_or.reduceat(_BIT[offsets & 7], firsts)


class _SortedArrays:
    """Sorted arrays, each at least twice as long as the next: few to search, cheap to add to."""

    def __init__(self, keys: Integers) -> None:
        self._arrays = [keys] if len(keys) else []

    def __len__(self) -> int:
        return sum(map(len, self._arrays))

    @property
    def size(self) -> int:
        return sum(array.nbytes for array in self._arrays)

    def add(self, new: Integers) -> None:
        """Take in keys that are sorted and distinct."""
        fresh = new[~self.hold(new)]
        while self._arrays and len(self._arrays[-1]) < 2 * len(fresh):
            fresh = np.concatenate([self._arrays.pop(), fresh])
            fresh.sort(kind="stable")
        if len(fresh):
            self._arrays.append(fresh)

    def keys(self) -> Integers:
        return np.concatenate(self._arrays)

    def hold(self, keys: Integers) -> Booleans:
        known = np.zeros(len(keys), np.bool_)
        for array in self._arrays:
            places = np.searchsorted(array, keys)
            places[places == len(array)] = 0
            known |= array[places] == keys
        return known
