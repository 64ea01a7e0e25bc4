"""Which keys and unique values a run has accepted, and which a database is known to hold or to lack.

Nothing here asks a database: a load asks it about the keys that are unknown here, and hands in its answers. Series are
as long as the batch; where one answers for each key, the answer for null is false.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.arrays import all_false
from async_loader.records.key_sets import KeySet, bits_of_reals, key_set

# Where all keys of a table are read, it is from a range of this many integers at a time: 8 MB of text.
READ_AT_ONCE = 1 << 20

# Bounds of the keys of a table; None for each where nothing says how far they go.
KeyRange: TypeAlias = tuple[Any, Any]


class AcceptedKeys:
    """The keys that a run has accepted for a table: no later record may have them.

    A key whose record the database then refused stays taken, lest it depend on the batch which record counts; but
    nothing can reference it.
    """

    def __init__(self, column: Column) -> None:
        self._accepted = key_set(column)
        self._refused = key_set(column)

    def add(self, keys: pl.Series) -> None:
        """Take in the keys of accepted records."""
        self._accepted.add(keys)

    def refuse(self, keys: pl.Series) -> None:
        """Take in those of the accepted keys whose records the database refused."""
        self._refused.add(keys)

    def referable(self) -> pl.Series:
        """Return every key that can be referenced."""
        keys = self._accepted.all()
        return keys.filter(~self._refused.holds(keys)) if len(self._refused) else keys

    @property
    def size(self) -> int:
        """Bytes that they take, about."""
        return self._accepted.size + self._refused.size

    def are_taken(self, keys: pl.Series) -> pl.Series:
        """Return for each key whether a record with it was accepted."""
        return self._accepted.holds(keys) if len(self._accepted) else all_false(len(keys))

    def are_refused(self, keys: pl.Series) -> pl.Series:
        """Return for each key whether the database refused its record."""
        return self._refused.holds(keys) if len(self._refused) else all_false(len(keys))

    def are_referable(self, keys: pl.Series) -> pl.Series:
        """Return for each key whether it can be referenced."""
        return self.are_taken(keys) & ~self._refused.holds(keys) if len(self._refused) else self.are_taken(keys)


class UniqueValues:
    """The values of a unique set that a run has taken, and those that it has given up by changing their rows.

    Values are as the database stores them; of a set of several columns each is one text. columns: those of the set.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._texts = Type.UUID if [column.type for column in columns] == [Type.UUID] else Type.TEXT
        self._taken: KeySet | None = None
        self._given_up: KeySet | None = None

    def add(self, values: pl.Series, given_up: pl.Series) -> None:
        """Take in the values of accepted records, and those that the rows had which these records replace."""
        self._taken = self._with(self._taken, values)
        if given_up.null_count() < len(given_up):
            self._given_up = self._with(self._given_up, given_up)

    def are_taken(self, values: pl.Series) -> pl.Series:
        """Return for each value whether an accepted record has it."""
        return all_false(len(values)) if self._taken is None else self._taken.holds(_as_keys(values))

    def are_kept(self, values: pl.Series, owned: pl.Series) -> pl.Series:
        """Return for each value, of those that another row of the database has, whether no record gave it up."""
        if self._given_up is None or not owned.any():
            return owned
        return owned & ~self._given_up.holds(_as_keys(values))

    def _with(self, keys: KeySet | None, values: pl.Series) -> KeySet:
        as_keys = _as_keys(values)
        if keys is None:
            keys = key_set(Column("value", self._texts if as_keys.dtype == pl.String else Type.INTEGER))
        keys.add(as_keys)
        return keys


class ReferencedKeys:
    """What is known of the keys that one column names: those accepted in this run, and those asked of a database.

    `accepted` is None where the referenced table takes no part in the run; `key_range` holds the least and greatest key
    that its database held when the run began, None where it held none. `with_refused`: the key of an accepted record is
    there even if the database refused the record.
    """

    def __init__(
        self, column: Column, accepted: AcceptedKeys | None, key_range: KeyRange | None, *, with_refused: bool = False
    ) -> None:
        self._accepted = accepted if accepted is not None else AcceptedKeys(column)
        self._are_accepted = self._accepted.are_taken if with_refused else self._accepted.are_referable
        self._present = key_set(column)
        self._asked = key_set(column)
        self._range = key_range
        self._column = column
        self._spread = self._spread_of(key_range)
        self._is_renewed = False

    def _spread_of(self, key_range: KeyRange | None) -> int | None:
        is_integer = self._column.type is Type.INTEGER
        return key_range[1] - key_range[0] + 1 if key_range and is_integer else None

    def renew(self, key_range: KeyRange | None) -> None:
        """Forget which keys the database lacks: rows may have been inserted. `key_range` is the range by now."""
        self._range, self._spread, self._is_renewed = key_range, self._spread_of(key_range), True
        self._asked = key_set(self._column)

    def existing(self) -> pl.Series:
        """Return every key that is known to exist."""
        own = self._accepted.referable()
        return pl.concat([own, self._present.all()]) if len(self._present) else own

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to ask of the database."""
        return self._range is None

    def unknown(self, keys: pl.Series) -> pl.Series:
        """Return the distinct keys of which only the database can say whether they exist."""
        candidates = keys.filter(are_within(keys, self._range))
        if not len(candidates):
            return candidates
        known = self._are_accepted(candidates) | self._asked.holds(candidates)
        if self._is_renewed:
            known |= self._present.holds(candidates)
        return candidates.filter(~known).unique().sort()

    def ranges_to_read(self, unknown: pl.Series, price: int) -> list[tuple[int, int]]:
        """Return the ranges in which to read all keys instead of asking about the unknown ones.

        Empty where asking is cheaper: until asking about single keys has cost as much as reading all of them would.
        price: how many keys can be read for what asking about one costs.
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
        """Note that every key of the database has been learned: nothing is left to ask."""
        self._range = self._spread = None

    def are_dangling(self, keys: pl.Series) -> pl.Series:
        """Return for each key whether it exists nowhere."""
        known = self._are_accepted(keys)
        if len(self._present):
            known |= self._present.holds(keys)
        return ~known & keys.is_not_null() if keys.null_count() else ~known


def are_within(keys: pl.Series, key_range: KeyRange | None) -> pl.Series:
    """Return for each key whether it is in the range, its ends included; false where there is no range."""
    if key_range is None:
        return all_false(len(keys))
    least, greatest = key_range
    if least is None or greatest is None:
        return keys.is_not_null()
    return keys.is_between(least, greatest).fill_null(value=False)


def _as_keys(values: pl.Series) -> pl.Series:
    """Return values as integers or texts, of which two are the same where the values are equal."""
    match values.dtype:
        case pl.Int64() | pl.String():
            return values
        case pl.Float64():
            return bits_of_reals(values)
        case pl.Decimal():
            return values.cast(pl.String)
    return values.cast(pl.Int64)
