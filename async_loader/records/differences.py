"""How records differ from the rows that have their keys, in words. Pure, and asked only about records that are rejected
for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.arrays import all_false
from async_loader.records.parsing import clipped, shown_values

# Columns of which the values are shown, at most.
_SHOWN = 3
OTHER_VALUES = "is in the database with other values"
# Types whose values are stored as a batch has them.
_AS_STORED = (Type.INTEGER, Type.TEXT)
# The option with which such a record is no reject.
_REMEDY = "(--on-conflict update replaces them)"


@dataclass(frozen=True, slots=True)
class DifferingRows:
    """Rows whose keys records have, and that hold other values.

    columns: those that are compared. rows: by place of the record, what its row holds in them, as stored.
    read_back: returns a stored value as a batch has it, and whether it is none that a batch can have.
    linked: by place, the names of links of which its row has others.
    """

    columns: Sequence[Column]
    rows: dict[int, Sequence[Any]]
    read_back: Callable[[Column, Any], tuple[Any, bool]]
    linked: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def linked_otherwise(self, name: str, places: pl.Series) -> DifferingRows:
        """Return the rows with those of these places, which have others of these links."""
        return replace(self, linked={**self.linked, **{place: (*self.linked.get(place, ()), name) for place in places}})

    def chosen(self, which: pl.Series) -> DifferingRows:
        """Return the rows from which some of the records of a batch differ, by the places that these have by then."""
        after = (which.cum_sum().cast(pl.Int64) - 1).to_list()
        chosen = which.to_list()
        return replace(
            self,
            rows={after[place]: row for place, row in self.rows.items() if chosen[place]},
            linked={after[place]: names for place, names in self.linked.items() if chosen[place]},
        )

    def at(self, places: pl.Series) -> DifferingRows:
        """Return the rows by the places of these records in a batch."""
        after = places.to_list()
        return replace(self, rows={after[place]: values for place, values in self.rows.items()})

    def in_words(self, values: pl.DataFrame, places: pl.Series) -> pl.Series:
        """Return for each of the records at these places in which columns its row differs, and what it holds there."""
        found: list[list[str]] = [[] for _ in range(len(places))]
        known = [(at, self.rows[place]) for at, place in enumerate(places.to_list()) if place in self.rows]
        ats = [at for at, _ in known]
        chosen = places.gather(ats)
        for number, column in enumerate(self.columns):
            given = values[column.name].gather(chosen)
            for at, text in self._column(column, ats, [row[number] for _, row in known], given):
                found[at].append(text)
        for at, place in enumerate(places) if self.linked else ():
            found[at] += self.linked.get(place, ())
        return pl.Series([_sentence(texts) for texts in found], dtype=pl.String)

    def _column(
        self, column: Column, ats: Sequence[int], stored: Sequence[Any], given: pl.Series
    ) -> Iterator[tuple[int, str]]:
        """Yield what is to say of a column, for each record that differs in it."""
        held, odd = self._read_back(column, stored)
        different = (~_are_same(column, held, given) | odd).arg_true()
        texts = zip(_shown(held.gather(different)), _shown(given.gather(different)), strict=True)
        for place, is_odd, (old, new) in zip(different.to_list(), odd.gather(different), texts, strict=True):
            yield ats[place], f"{column.name} {clipped(repr(stored[place])) if is_odd else old}, not {new}"

    def _read_back(self, column: Column, stored: Sequence[Any]) -> tuple[pl.Series, pl.Series]:
        """Return stored values as a batch has them, and which of them are none."""
        if column.type in _AS_STORED and {type(value) for value in stored} <= {column.type.python, type(None)}:
            return pl.Series(column.name, stored, dtype=column.dtype), all_false(len(stored))
        read = [self.read_back(column, value) for value in stored]
        held = pl.Series(column.name, [value for value, _ in read], dtype=column.dtype)
        return held, pl.Series([is_odd for _, is_odd in read], dtype=pl.Boolean)


def _are_same(column: Column, held: pl.Series, given: pl.Series) -> pl.Series:
    same = held.eq_missing(given)
    if column.type is not Type.JSON:
        return same
    others = (~same & held.is_not_null() & given.is_not_null()).arg_true()
    equal = [
        json.loads(one) == json.loads(other)
        for one, other in zip(held.gather(others), given.gather(others), strict=True)
    ]
    return same.scatter(others, pl.Series(equal, dtype=pl.Boolean)) if equal else same


def _shown(values: pl.Series) -> pl.Series:
    texts = shown_values(values)
    if isinstance(values.dtype, pl.Datetime):
        texts = texts.str.replace(".000000", "", literal=True)
    return texts.fill_null("null")


def _sentence(texts: Sequence[str]) -> str:
    if not texts:
        return f"{OTHER_VALUES} {_REMEDY}"
    more = len(texts) - _SHOWN
    others = f", and {more} more" if more > 0 else ""
    return f"{OTHER_VALUES}: {', and '.join(texts[:_SHOWN])}{others} {_REMEDY}"
