"""Sets of keys: which keys a run has accepted, and which a database is known to hold or to lack.

A set takes and answers whole columns. Integer keys that lie close together are one bit each; far-flung ones are sorted
arrays of 8 bytes each; text keys are a Python set. Nothing here touches a database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from async_loader.records.arrays import from_flags, from_integers
from async_loader.tables import Column, Type

# A bit for each value between the least and the greatest key takes less room than 8 bytes a key up to this spread.
BITS_PER_KEY = 64
# Below this many values between least and greatest (1 MiB of bits) the spread does not matter.
SMALL_SPREAD = 8 << 20
# Where there are fewer values than this to a key, bits are set faster all at once than one by one.
DENSE = 64

# A short text, and its place in a Python set.
BYTES_PER_TEXT = 100

# Where all keys of a table are read, it is from a range of so many integers at a time: 8 MB of text.
READ_AT_ONCE = 1 << 20

_BIT = (1 << np.arange(8)).astype(np.uint8)

# Bounds of the keys of a table; the second is None where there is no knowing how far they go.
KeyRange: TypeAlias = tuple[Any, Any]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class KeySet(Protocol):
    """Keys of one column type. Series are as long as the batch; nulls are never members and are never added."""

    def add(self, keys: pl.Series) -> None:
        """Take in keys; those already held are taken without harm."""

    def holds(self, keys: pl.Series) -> pl.Series:
        """For each key, whether the set holds it."""

    def all(self) -> pl.Series:
        """Every key, in no order that says anything."""

    def __len__(self) -> int:
        """How many distinct keys it holds."""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""


def key_set(column: Column) -> KeySet:
    """An empty set for keys of that column."""
    return IntegerKeys() if column.type is Type.INTEGER else TextKeys()


class TextKeys:
    """Text keys, in a Python set."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def add(self, keys: pl.Series) -> None:
        """See KeySet."""
        self._keys.update(keys.drop_nulls().to_list())

    def holds(self, keys: pl.Series) -> pl.Series:
        """See KeySet."""
        return _among(keys, self._keys)

    def all(self) -> pl.Series:
        """See KeySet."""
        return pl.Series(list(self._keys), dtype=pl.String)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def size(self) -> int:
        """See KeySet."""
        return BYTES_PER_TEXT * len(self._keys)


class IntegerKeys:
    """Integer keys: bits while they lie close together, sorted arrays from the moment they do not."""

    def __init__(self) -> None:
        self._members: _Bits | _SortedArrays = _Bits()

    def add(self, keys: pl.Series) -> None:
        """See KeySet."""
        new = keys.drop_nulls().to_numpy()
        if not len(new):
            return
        if not (new[1:] > new[:-1]).all():
            new = _distinct(new)
        if isinstance(self._members, _Bits) and not self._members.can_take(new):
            self._members = _SortedArrays(self._members.keys())
        self._members.add(new)

    def holds(self, keys: pl.Series) -> pl.Series:
        """See KeySet."""
        if not keys.null_count():
            return from_flags(self._members.hold(keys.to_numpy()))
        return from_flags(self._members.hold(keys.fill_null(0).to_numpy())) & keys.is_not_null()

    def all(self) -> pl.Series:
        """See KeySet."""
        return from_integers(self._members.keys())

    def __len__(self) -> int:
        return len(self._members)

    @property
    def size(self) -> int:
        """See KeySet."""
        return self._members.size


def _distinct(keys: Integers) -> Integers:
    """Sorted, each once."""
    ordered = np.sort(keys)
    return ordered[_firsts(ordered)]


def _firsts(ordered: Integers) -> Integers:
    """The places at which another value begins. np.unique would take twenty times as long to find them."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


class _Bits:
    """One bit a value from `_base` (a multiple of 8) on; `_least` and `_greatest` are true bounds of the keys."""

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
        """`new` is sorted and distinct."""
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
        """Grow to twice the spread on whichever side lacks room, so that growing stays cheap on the whole."""
        end = self._base + 8 * len(self._bits)
        if len(self._bits) and self._base <= self._least and self._greatest < end:
            return
        spare = (self._greatest - self._least + 1) // 2
        base = self._least if not len(self._bits) else min(self._base, self._least - spare * (self._least < self._base))
        base = max(base, -(2**63)) // 8 * 8
        grown = np.zeros((self._greatest + spare - base) // 8 + 1, np.uint8)
        shift = (self._base - base) // 8
        grown[shift : shift + len(self._bits)] = self._bits
        self._bits, self._base = grown, base


def _packed(offsets: Integers) -> tuple[slice, npt.NDArray[np.uint8]]:
    """Bytes to set, all those from the first offset to the last: fast where most of them have a bit."""
    first = int(offsets[0]) & ~7
    chosen = np.zeros(int(offsets[-1]) - first + 1, np.bool_)
    chosen[offsets - first] = True
    bits = np.packbits(chosen, bitorder="little")
    return slice(first >> 3, (first >> 3) + len(bits)), bits


def _gathered(offsets: Integers) -> tuple[Integers, npt.NDArray[np.uint8]]:
    """Bytes to set, just those that have a bit."""
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
        """`new` is sorted and distinct."""
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


class AcceptedKeys:
    """The keys that a run has accepted for a table: no later record may have them.

    Those whose records the database then refused are taken likewise, lest it depend on the batch which record counts;
    but nothing can reference them.
    """

    def __init__(self, column: Column) -> None:
        self._taken = key_set(column)
        self._refused = key_set(column)

    def add(self, keys: pl.Series) -> None:
        """Take in the keys of accepted records."""
        self._taken.add(keys)

    def refuse(self, keys: pl.Series) -> None:
        """Of those, the keys whose records the database refused."""
        self._refused.add(keys)

    def referable(self) -> pl.Series:
        """Every key that can be referenced."""
        taken = self._taken.all()
        return taken.filter(~self._refused.holds(taken)) if len(self._refused) else taken

    @property
    def size(self) -> int:
        """Bytes that they take, about."""
        return self._taken.size + self._refused.size

    def taken(self, keys: pl.Series) -> pl.Series:
        """For each key, whether it is taken; false for null."""
        return self._taken.holds(keys) if len(self._taken) else no(len(keys))

    def stored(self, keys: pl.Series) -> pl.Series:
        """For each key, whether it can be referenced; false for null."""
        return self.taken(keys) & ~self._refused.holds(keys) if len(self._refused) else self.taken(keys)


class UniqueValues:
    """Which values of a unique column a run has taken, and which it has given up by changing the rows that had them.

    Values are as the database stores them.
    """

    def __init__(self) -> None:
        self._taken: set[Any] = set()
        self._given_up: set[Any] = set()

    def add(self, values: pl.Series, given_up: Iterable[Any]) -> None:
        """Take in the values of accepted records, and those that the rows had which they replace."""
        self._taken.update(values.drop_nulls().to_list())
        self._given_up.update(given_up)

    def taken(self, values: pl.Series, owned: pl.Series) -> pl.Series:
        """For each value, whether another row has it; `owned` are those that another row of the database has."""
        if owned.any() and self._given_up:
            owned &= ~_among(values, self._given_up)
        return owned | _among(values, self._taken) if self._taken else owned


def _among(values: pl.Series, those: set[Any]) -> pl.Series:
    return pl.Series([value in those for value in values.to_list()], dtype=pl.Boolean)


def no(size: int) -> pl.Series:
    """So many times false."""
    return pl.repeat(value=False, n=size, dtype=pl.Boolean, eager=True)


class ReferencedKeys:
    """What is known of the keys that one column names: those accepted in this run, and those asked of a database.

    `accepted` is None where the referenced table takes no part in the run; `key_range` holds the least and greatest key
    that its database held when the run began, None where it held none.
    """

    def __init__(self, column: Column, accepted: AcceptedKeys | None, key_range: KeyRange | None) -> None:
        self._accepted = accepted if accepted is not None else AcceptedKeys(column)
        self._present = key_set(column)
        self._asked = key_set(column)
        self._range = key_range
        self._spread = key_range[1] - key_range[0] + 1 if key_range and column.type is Type.INTEGER else None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to ask of the database."""
        return self._range is None

    def unknown(self, keys: pl.Series) -> pl.Series:
        """The distinct keys that only the database can tell about."""
        candidates = keys.filter(within(keys, self._range))
        if not len(candidates):
            return candidates
        return candidates.filter(~(self._accepted.stored(candidates) | self._asked.holds(candidates))).unique().sort()

    def ranges_to_read(self, unknown: pl.Series, price: int) -> list[tuple[int, int]]:
        """The ranges in which to read all keys instead of asking about the unknown ones. Empty where asking is cheaper:
        until so many have been asked about that it cost as much as reading all. price: how many keys can be read for
        what asking about one costs.
        """
        if self._spread is None or len(self._asked) + len(unknown) < self._spread // price:
            return []
        least, greatest = self._range or (0, -1)
        return [(start, min(start + READ_AT_ONCE - 1, greatest)) for start in range(least, greatest + 1, READ_AT_ONCE)]

    def learn(self, asked: pl.Series, present: pl.Series) -> None:
        """Take in the database's answer."""
        self._asked.add(asked)
        self._present.add(present)

    def learn_present(self, present: pl.Series) -> None:
        """Take in keys that the database holds."""
        self._present.add(present)

    def learned_all(self) -> None:
        """All that the database holds has been learned: nothing is left to ask."""
        self._range = self._spread = None

    def absent(self, keys: pl.Series) -> pl.Series:
        """For each key, whether it exists nowhere; false for null."""
        known = self._accepted.stored(keys)
        if len(self._present):
            known |= self._present.holds(keys)
        return ~known & keys.is_not_null() if keys.null_count() else ~known


def within(keys: pl.Series, key_range: KeyRange | None) -> pl.Series:
    """For each key, whether it is in the range, its ends included; false for null, or where there is no range."""
    if key_range is None:
        return no(len(keys))
    least, greatest = key_range
    inside = keys >= least if greatest is None else keys.is_between(least, greatest)
    return inside.fill_null(value=False)
