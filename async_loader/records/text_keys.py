"""Sets of texts that take 16 to 24 bytes for a short one, where a Python set takes a hundred. Values only.

A text lies among those of its width, padded to a power of two bytes, so that an array holds it whole. Hashes only say
where to look: texts with the same hash lie side by side, and each is compared. So a set is exact, whatever the hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from async_loader.records.arrays import from_flags

# Texts of a bucket, at most. A bucket is copied when it grows, so this bounds what is there twice: some 30 MB.
BUCKET = 1 << 20
# The least width, in bytes.
NARROWEST = 8
# A short text in a Python set, in bytes.
BYTES_PER_TEXT = 100
# Another number in each process, so that no file can be made whose texts all have the same hash.
SEED = hash("keys that are texts") & 0x7FFF_FFFF

Flags: TypeAlias = npt.NDArray[np.bool_]
Positions: TypeAlias = npt.NDArray[np.int64]


class Hashed(NamedTuple):
    """Texts of one width as bytes, padded with NULs, each with its hash. What is sorted is in the order of hashes."""

    hashes: npt.NDArray[np.uint64]
    texts: npt.NDArray[Any]

    def chosen(self, which: Any) -> Hashed:
        """Return some of them, in their order."""
        return Hashed(self.hashes[which], self.texts[which])

    def sorted(self) -> tuple[Hashed, Positions]:
        """Return them in the order of hashes, and where each was."""
        order = np.argsort(self.hashes, kind="stable")
        return self.chosen(order), order


class TextKeys:
    """Texts of any kind; see `KeySet`."""

    def __init__(self) -> None:
        self._by_width: dict[int, _Buckets] = {}
        # Those that padding would change.
        self._apart: set[str] = set()

    def add(self, keys: pl.Series) -> None:
        """Keep the contract of `KeySet`."""
        distinct = keys.drop_nulls().unique()
        is_apart = self.is_apart(distinct)
        self._apart.update(distinct.filter(is_apart))
        for width, _, group in _by_width(self.encoded(distinct.filter(~is_apart))):
            self._by_width.setdefault(width, _Buckets()).add(group)

    def holds(self, keys: pl.Series) -> pl.Series:
        """Keep the contract of `KeySet`."""
        is_apart = self.is_apart(keys)
        known = np.zeros(len(keys), np.bool_)
        if self._apart:
            for place in is_apart.fill_null(value=False).arg_true():
                known[place] = keys[place] in self._apart
        places = (~is_apart).fill_null(value=False).arg_true()
        for width, chosen, group in _by_width(self.encoded(keys.gather(places))):
            if width in self._by_width:
                known[places.to_numpy()[chosen]] = self._by_width[width].hold(group)
        return from_flags(known)

    def all(self) -> pl.Series:
        """Keep the contract of `KeySet`."""
        parts = [self.decoded(texts) for buckets in self._by_width.values() for texts in buckets.texts()]
        return pl.concat([pl.Series(list(self._apart), dtype=pl.String), *parts])

    def __len__(self) -> int:
        return len(self._apart) + sum(map(len, self._by_width.values()))

    @property
    def size(self) -> int:
        """Keep the contract of `KeySet`."""
        return BYTES_PER_TEXT * len(self._apart) + sum(buckets.size for buckets in self._by_width.values())

    def __getstate__(self) -> pl.Series:
        """Return the texts alone: hashes of another process are others."""
        return self.all()

    def __setstate__(self, texts: pl.Series) -> None:
        self.__init__()  # type: ignore[misc]
        self.add(texts)

    @staticmethod
    def is_apart(keys: pl.Series) -> pl.Series:
        """Return for each text whether padding would change it: it would equal the one without its NUL at the end."""
        return keys.str.ends_with("\0")

    @staticmethod
    def encoded(keys: pl.Series) -> pl.Series:
        """Return texts as the bytes that are kept."""
        return keys.cast(pl.Binary)

    @staticmethod
    def decoded(texts: npt.NDArray[Any]) -> pl.Series:
        """Return the texts that some padded bytes are of."""
        return pl.Series(texts.tolist(), dtype=pl.Binary).cast(pl.String)


class UuidKeys(TextKeys):
    """UUIDs as 32 lower-case hexadecimal digits, each kept as the 16 bytes that they say."""

    @staticmethod
    def is_apart(keys: pl.Series) -> pl.Series:
        """Return for each text whether it is no such UUID."""
        return ~keys.str.contains("^[0-9a-f]{32}$")

    @staticmethod
    def encoded(keys: pl.Series) -> pl.Series:
        """Return UUIDs as bytes."""
        return keys.str.decode("hex")

    @staticmethod
    def decoded(texts: npt.NDArray[Any]) -> pl.Series:
        """Return UUIDs from bytes, of which NULs at the end are no padding."""
        digits, width = texts.tobytes().hex(), 2 * texts.itemsize
        return pl.Series([digits[at : at + width] for at in range(0, len(digits), width)], dtype=pl.String)


class _Buckets:
    """Texts of one width, in buckets for ranges of hashes that follow one another; `_least` has the least of each."""

    def __init__(self) -> None:
        self._least = [0]
        self._buckets = [_Bucket()]

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return sum(run.hashes.nbytes + run.texts.nbytes for bucket in self._buckets for run in bucket.runs)

    def add(self, group: Hashed) -> None:
        """Take in texts, each of which stands there once."""
        new, _ = group.chosen(~self.hold(group)).sorted()
        for number, part in reversed(list(self._parts(new))):
            self._buckets[number].add(new.chosen(part))
            self._divide(number)

    def hold(self, group: Hashed) -> Flags:
        """Return for each text whether it is held."""
        asked, order = group.sorted()
        known = np.zeros(len(order), np.bool_)
        for number, part in self._parts(asked):
            known[order[part]] = self._buckets[number].hold(asked.chosen(part))
        return known

    def texts(self) -> Iterator[npt.NDArray[Any]]:
        """Yield all of them, in arrays."""
        return (run.texts for bucket in self._buckets for run in bucket.runs)

    def _parts(self, group: Hashed) -> Iterator[tuple[int, slice]]:
        """Yield the buckets that some sorted texts belong to, each with the part that does."""
        starts = np.searchsorted(group.hashes, np.array(self._least, np.uint64)).tolist()
        for number, (start, stop) in enumerate(pairwise([*starts, len(group.hashes)])):
            if start < stop:
                yield number, slice(start, stop)

    def _divide(self, number: int) -> None:
        """Make two of a bucket that has grown too large, unless all its hashes are the same."""
        bucket = self._buckets[number]
        least, end = self._least[number], [*self._least, 1 << 64][number + 1]
        middle = (least + end) // 2
        if len(bucket) <= BUCKET or middle == least:
            return
        whole = _merged(bucket.runs)
        border = int(np.searchsorted(whole.hashes, np.uint64(middle)))
        halves = [_Bucket([whole.chosen(slice(None, border))]), _Bucket([whole.chosen(slice(border, None))])]
        self._buckets[number : number + 1] = [half.copied() for half in halves]
        self._least.insert(number + 1, middle)


class _Bucket:
    """Texts in sorted runs, each at least twice as long as the next: few to search, cheap to add to."""

    def __init__(self, runs: Iterable[Hashed] = ()) -> None:
        self.runs = [run for run in runs if len(run.hashes)]

    def __len__(self) -> int:
        return sum(len(run.hashes) for run in self.runs)

    def copied(self) -> _Bucket:
        """Return it with arrays of its own, which keep no larger ones alive."""
        return _Bucket(Hashed(run.hashes.copy(), run.texts.copy()) for run in self.runs)

    def add(self, new: Hashed) -> None:
        """Take in sorted texts that are not held."""
        while self.runs and len(self.runs[-1].hashes) < 2 * len(new.hashes):
            new = _merged([self.runs.pop(), new])
        self.runs.append(new)

    def hold(self, asked: Hashed) -> Flags:
        """Return for each of some sorted texts whether it is held."""
        known = np.zeros(len(asked.hashes), np.bool_)
        for run in self.runs:
            known |= _among(run, asked)
        return known


def _among(run: Hashed, asked: Hashed) -> Flags:
    """Return for each text whether the run has it: of texts with its hash, one after the other is compared."""
    known = np.zeros(len(asked.hashes), np.bool_)
    last = len(run.hashes) - 1
    asking, at = np.arange(len(known)), np.searchsorted(run.hashes, asked.hashes)
    while True:
        alike = (at <= last) & (run.hashes[np.minimum(at, last)] == asked.hashes[asking])
        asking, at = asking[alike], at[alike]
        if not len(asking):
            return known
        is_same = run.texts[at] == asked.texts[asking]
        known[asking[is_same]] = True
        asking, at = asking[~is_same], at[~is_same] + 1


def _merged(runs: list[Hashed]) -> Hashed:
    if len(runs) == 1:
        return runs[0]
    joined = Hashed(np.concatenate([run.hashes for run in runs]), np.concatenate([run.texts for run in runs]))
    return joined.sorted()[0]


def hashes_of(encoded: pl.Series) -> npt.NDArray[np.uint64]:
    """Return a hash of each text."""
    hashes: npt.NDArray[np.uint64] = encoded.hash(SEED).to_numpy()
    return hashes


def _by_width(encoded: pl.Series) -> Iterator[tuple[int, Any, Hashed]]:
    """Yield texts by the width that holds them, with their places."""
    if not len(encoded):
        return
    hashes = hashes_of(encoded)
    bits = np.ceil(np.log2(np.maximum(encoded.bin.size().to_numpy(), NARROWEST))).astype(np.int64)
    for bit in np.unique(bits).tolist():
        places = np.flatnonzero(bits == bit)
        texts = np.array(encoded.gather(places).to_list(), dtype=f"S{1 << bit}")
        yield 1 << bit, places, Hashed(hashes[places], texts)
