"""Which of the records that wait for each other can be stored together: rows that exchange unique values. Pure.

A record may take a value that a row of the database has, if an accepted record gives that value up. So two rows can
swap values, and the values of many rows can be shifted by one. First all records are taken for accepted. A record whose
value none of them gives up is dropped, which may leave others without theirs. Of records with the same value, the first
one has it. Records that wait are few, so they are looked at one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from async_loader.records.world import Settled, UniqueInBatch


@dataclass(frozen=True, slots=True)
class Waiting:
    """n records that wait, in their order; all series are n long.

    identity: what no two accepted records may have in common; null where that is nothing.
    is_taken: whether a record with its identity was accepted before.
    has_failed: whether it is rejected, whatever other records have.
    unique: what the unique sets of the table say of them.
    """

    identity: pl.Series
    is_taken: pl.Series
    has_failed: pl.Series
    unique: Sequence[UniqueInBatch]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What becomes of n records that waited.

    settled: what was decided of them.
    groups: for each record a number that it has in common with those whose values it takes, or which take its own.
    passed_on: for each unique set, which records give up a value that another accepted one takes.
    """

    settled: Settled
    groups: pl.Series
    passed_on: Sequence[pl.Series]


def exchange(waiting: Waiting) -> Exchange:
    """Decide which records are stored."""
    sets = [_Set.from_batch(each) for each in waiting.unique]
    identity = [(place,) if each is None else each for place, each in enumerate(waiting.identity)]
    failed = [*(waiting.has_failed | waiting.is_taken)]
    possible = [
        not has_failed and not any(each.taken[place] for each in sets) for place, has_failed in enumerate(failed)
    ]
    accepted: dict[Any, int] = {}
    while more := _accepted([place for place, is_possible in enumerate(possible) if is_possible], identity, sets):
        # What these give up may be free for others that were in vain so far.
        for place in more:
            accepted[identity[place]] = place
            for each in sets:
                each.accept(place)
        possible = [
            is_possible and identity[place] not in accepted and not any(each.wanted[place] in each.has for each in sets)
            for place, is_possible in enumerate(possible)
        ]
    stored = set(accepted.values())
    return Exchange(
        _settled(waiting, identity, sets, accepted),
        pl.Series(_groups(len(identity), sets, stored), dtype=pl.Int64),
        [
            pl.Series(
                [place in stored and each.given_up[place] in each.has for place in range(len(identity))],
                dtype=pl.Boolean,
            )
            for each in sets
        ],
    )


@dataclass(slots=True)
class _Set:
    """A unique set of n records. has, freed: by value, the accepted record that takes it, or gives it up."""

    wanted: list[Any]
    taken: list[bool]
    owned: list[bool]
    given_up: list[Any]
    has: dict[Any, int] = field(default_factory=dict)
    freed: dict[Any, int] = field(default_factory=dict)

    @classmethod
    def from_batch(cls, unique: UniqueInBatch) -> _Set:
        """Return the set with its values one by one."""
        return cls(unique.values.to_list(), unique.taken.to_list(), unique.owned.to_list(), unique.given_up.to_list())

    def accept(self, place: int) -> None:
        """Note that a record is stored."""
        if self.wanted[place] is not None:
            self.has[self.wanted[place]] = place
        if self.given_up[place] is not None:
            self.freed[self.given_up[place]] = place

    def is_open(self, place: int) -> bool:
        """Return whether the record waits for a value that no accepted record has given up."""
        return self.owned[place] and self.wanted[place] not in self.freed


class _Trial:
    """Records that are taken for accepted until one turns out not to be: of each identity the first that is left."""

    def __init__(self, candidates: Sequence[int], identity: Sequence[Any], sets: Sequence[_Set]) -> None:
        self._identity, self._sets = identity, sets
        self._rivals: dict[Any, list[int]] = defaultdict(list)
        self._wanting: list[dict[Any, list[int]]] = [defaultdict(list) for _ in sets]
        for place in reversed(candidates):
            self._rivals[identity[place]].append(place)
            for each, wanting in zip(sets, self._wanting, strict=True):
                wanting[each.wanted[place]].append(place)
        self._freed: list[dict[Any, int]] = [{} for _ in sets]
        self.accepted = set[int]()
        for places in self._rivals.values():
            self._accept(places[-1])

    def drop_blocked(self, places: Iterable[int]) -> bool:
        """Drop those of the records whose value is not given up, and all that depend on them. Returns if any was."""
        waiting, has_dropped = list(places), False
        while waiting:
            place = waiting.pop()
            if place in self.accepted and self._is_blocked(place):
                waiting += self._drop(place)
                has_dropped = True
        return has_dropped

    def drop_later(self) -> bool:
        """Drop the records whose value an earlier one has, and all that depend on them. Returns if any was."""
        has: list[dict[Any, int]] = [{} for _ in self._sets]
        has_dropped = False
        for place in sorted(self.accepted):
            if place not in self.accepted:
                continue
            if any(
                owners.get(each.wanted[place]) in self.accepted for each, owners in zip(self._sets, has, strict=True)
            ):
                self.drop_blocked(self._drop(place))
                has_dropped = True
                continue
            for each, owners in zip(self._sets, has, strict=True):
                if each.wanted[place] is not None:
                    owners[each.wanted[place]] = place
        return has_dropped

    def _is_blocked(self, place: int) -> bool:
        return any(
            each.is_open(place) and each.wanted[place] not in freed
            for each, freed in zip(self._sets, self._freed, strict=True)
        )

    def _accept(self, place: int) -> None:
        self.accepted.add(place)
        for each, freed in zip(self._sets, self._freed, strict=True):
            if each.given_up[place] is not None:
                freed[each.given_up[place]] = place

    def _drop(self, place: int) -> list[int]:
        """Take back a record, and try the next one of its identity. Returns the records that this may concern."""
        self.accepted.remove(place)
        concerned: list[int] = []
        for each, freed, wanting in zip(self._sets, self._freed, self._wanting, strict=True):
            if freed.get(each.given_up[place]) == place:
                del freed[each.given_up[place]]
                concerned += wanting.get(each.given_up[place], ())
        rivals = self._rivals[self._identity[place]]
        rivals.remove(place)
        if rivals:
            self._accept(rivals[-1])
            concerned.append(rivals[-1])
        return concerned


def _accepted(candidates: Sequence[int], identity: Sequence[Any], sets: Sequence[_Set]) -> set[int]:
    """Return which of the candidates can be stored together; or else those that wait for nothing, one by one."""
    trial = _Trial(candidates, identity, sets)
    trial.drop_blocked(candidates)
    while trial.drop_later():
        pass
    return trial.accepted or _alone(candidates, identity, sets)


def _alone(candidates: Sequence[int], identity: Sequence[Any], sets: Sequence[_Set]) -> set[int]:
    """Return the candidates that need no value of another one: the first of each identity and value."""
    accepted, seen = set[int](), set[Any]()
    for place in candidates:
        claims = {(number, each.wanted[place]) for number, each in enumerate(sets) if each.wanted[place] is not None}
        claims.add((-1, identity[place]))
        if not (claims & seen or any(each.is_open(place) for each in sets)):
            accepted.add(place)
            seen |= claims
    return accepted


def _settled(waiting: Waiting, identity: Sequence[Any], sets: Sequence[_Set], accepted: dict[Any, int]) -> Settled:
    duplicate = [
        is_taken or accepted.get(each, place) < place
        for place, (each, is_taken) in enumerate(zip(identity, waiting.is_taken, strict=True))
    ]
    stored = set(accepted.values())
    used = [[*_used(each, stored)] for each in sets]
    for place, is_duplicate in enumerate(duplicate):
        if not (is_duplicate or place in stored or waiting.has_failed[place] or any(flags[place] for flags in used)):
            for flags, is_lost in zip(used, _lost(sets, place), strict=True):
                flags[place] = is_lost
    return Settled(pl.Series(duplicate, dtype=pl.Boolean), [pl.Series(flags, dtype=pl.Boolean) for flags in used])


def _lost(sets: Sequence[_Set], place: int) -> list[bool]:
    """Return by which unique sets a record was kept out that could be stored in the end: by then a later one had been
    stored, which has its value or its identity.
    """
    has = [each.wanted[place] in each.has for each in sets]
    owned = [each.owned[place] for each in sets]
    return has if any(has) else owned if any(owned) else [each.wanted[place] is not None for each in sets]


def _used(values: _Set, stored: set[int]) -> Iterator[bool]:
    """Yield for each record whether its value is in the end that of an earlier record, or of another row."""
    for place, wanted in enumerate(values.wanted):
        is_lost = values.has.get(wanted, place) < place
        yield place not in stored and (values.taken[place] or is_lost or values.is_open(place))


def _groups(size: int, sets: Sequence[_Set], stored: set[int]) -> list[int]:
    """Return for each record the number of its group: accepted ones are together if one takes what another gives up."""
    leader = list(range(size))

    def first(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for each in sets:
        for place in stored:
            giver = each.freed.get(each.wanted[place])
            if giver is not None:
                leader[first(place)] = first(giver)
    return [first(place) for place in range(size)]
