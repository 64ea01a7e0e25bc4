"""Keys that stand in several parts of a table's sources, and in which of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from async_loader.columns import Column
from async_loader.records.key_sets import KeySet, key_set

# The span of a part whose values cannot be compared with those of other parts.
NO_SPAN = ()


@dataclass(frozen=True, slots=True)
class Shared:
    """The keys of a part that stand in others too: `earlier` by part before it, `watched` in parts after it."""

    earlier: Mapping[int, pl.Series] = field(default_factory=dict)
    watched: pl.Series | None = None


def shared_keys(column: Column, keys: Mapping[int, pl.Series]) -> dict[int, Shared]:
    """Return by part which of its keys stand in parts before it and after it; `keys` by part, in order."""
    earlier: dict[int, dict[int, pl.Series]] = {}
    watched: dict[int, list[pl.Series]] = {}
    seen: dict[int, KeySet] = {}
    all_seen = key_set(column)
    for number, own in keys.items():
        again = own.filter(all_seen.holds(own)).unique()
        for before, seen_there in seen.items() if len(again) else ():
            both = again.filter(seen_there.holds(again))
            if len(both):
                earlier.setdefault(number, {})[before] = both
                watched.setdefault(before, []).append(both)
        seen[number] = key_set(column)
        seen[number].add(own)
        all_seen.add(own)
    return {
        number: Shared(earlier.get(number, {}), pl.concat(watched[number]).unique() if number in watched else None)
        for number in {*earlier, *watched}
    }


def meeting(spans: Sequence[tuple[Any, Any] | None]) -> list[int]:
    """Return the numbers of the spans that have something in common with another."""
    ordered = sorted((span, number) for number, span in enumerate(spans) if span is not None)
    several: set[int] = set()
    reached: tuple[Any, int] | None = None
    for (least, greatest), number in ordered:
        if reached is not None and least <= reached[0]:
            several |= {number, reached[1]}
        if reached is None or greatest > reached[0]:
            reached = greatest, number
    return sorted(several)
