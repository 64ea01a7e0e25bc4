"""Lists of decoded JSON to lists of a column's values. Pure.

Only a list is one: a text is not taken apart, because JSON says what is a list and what is not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from async_loader.columns import Column
from async_loader.records.lists import first_faults, in_lists
from async_loader.records.parsing import with_faults
from async_loader.sources.fields import Fields
from async_loader.sources.json_objects import has_member, member
from async_loader.sources.json_values import Lines, clipped_json, column_values


@dataclass(frozen=True, slots=True)
class _ListLines(Lines):
    """Where the values of lists were read. places: of each value, those of its record and within its list."""

    places: Sequence[tuple[int, int]]

    def written(self, place: int) -> str:
        """Return a number as it stands on its line."""
        number, position = self.places[place]
        record = json.loads(self.texts[number], parse_float=str, parse_int=str)
        return str(next(member(record, name) for name in self.names if has_member(record, name))[position])


def list_values(
    column: Column, read: Sequence[Any], lines: Lines, fields: Fields, *, absent: object
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return n lists of a column's values, and their faults; null where what was read is `absent`."""
    lists = [value if type(value) is list else [] for value in read]
    places = [(number, position) for number, each in enumerate(lists) for position in range(len(each))]
    where = _ListLines(lines.names, lines.texts, places)
    values, faults = column_values(column, [*chain.from_iterable(lists)], where, spellings=fields.spellings)
    is_absent = pl.Series([value is absent for value in read], dtype=pl.Boolean)
    made = in_lists(values, np.array([*map(len, lists)], np.int64), is_null=is_absent)
    fault = first_faults(made, faults)
    means_null = fields.nulls(column.name)
    wrong = [_is_wrong(value, means_null, absent) for value in read]
    if not any(wrong):
        return made, fault
    codes = pl.Series(["not_list" if each else None for each in wrong], dtype=pl.String)
    shown = pl.Series(
        [clipped_json(value) if each else None for value, each in zip(read, wrong, strict=True)], dtype=pl.String
    )
    if fault is not None:
        is_wrong = codes.is_not_null()
        codes, shown = codes.zip_with(is_wrong, fault["code"]), shown.zip_with(is_wrong, fault["shown"])
    return with_faults(made, codes, lambda: shown)


def _is_wrong(value: Any, means_null: Sequence[str], absent: object) -> bool:
    """Return whether a value is no list, and is not null, which says that there are none."""
    is_null = value is None or (type(value) is str and value in means_null)
    return not (is_null or value is absent or type(value) is list)
