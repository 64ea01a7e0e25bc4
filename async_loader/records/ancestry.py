"""Which records of a table that references itself can be stored, and in which order: those whose parents are. Pure.

A record names its parents by values, and others name it by its own. Nothing is decided record by record: what is known
of some spreads over edges to all that depend on it, round by round, so chains of any depth take time in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Nodes of one round up to which Python goes through their edges faster than arrays do.
FEW = 128
# How many reached nodes a node needs that is never to be reached.
NEVER = 1 << 62
# Stands for no name.
NONE = -1


@dataclass(frozen=True, slots=True)
class Naming:
    """How n records name their parents by some columns of the table. Names are numbers from 0 on.

    named: what each record names, where that must be one of these records; else NONE. own: by what others name it.
    """

    named: Integers
    own: Integers
    names: int

    @classmethod
    def of_values(cls, named: pl.Series, own: pl.Series) -> Naming:
        """Return the naming of values, which are null for none."""
        values = pl.concat([named, own]).to_frame("value")
        distinct = values.drop_nulls().unique().with_row_index("number")
        numbers = values.join(distinct, on="value", how="left", maintain_order="left")["number"]
        both = numbers.cast(pl.Int64).fill_null(NONE).to_numpy()
        return cls(both[: len(named)], both[len(named) :], len(distinct))


def orphaned(namings: Sequence[Naming], candidates: Flags) -> Flags:
    """Return which of the candidates must go, because they name what no candidate is called that stays.

    As many as possible stay: candidates that name each other in a circle do.
    """
    size, first = len(candidates), len(candidates)
    edges, starts = list[tuple[Integers, Integers]](), list[Integers]()
    needed = [np.where(candidates, 1, NEVER)]
    for each in namings:
        providers = np.flatnonzero(candidates & (each.own != NONE))
        namers = np.flatnonzero(candidates & (each.named != NONE))
        edges += [(providers, first + each.own[providers]), (first + each.named[namers], namers)]
        counts = np.bincount(each.own[providers], minlength=each.names)
        needed.append(counts)
        starts.append(first + np.flatnonzero(counts == 0))
        first += each.names
    rounds = spread(_joined(edges), np.concatenate(needed), np.concatenate(starts))
    is_reached: Flags = rounds[:size] != NONE
    return is_reached


def certain(namings: Sequence[Naming], sure: Flags) -> Flags:
    """Return which of the records that are sure to be stored, if only their parents are, have all their parents among
    them; circles are not found so.
    """
    size, first = len(sure), len(sure)
    edges, wanted = list[tuple[Integers, Integers]](), np.zeros(size, np.int64)
    for each in namings:
        providers, namers = np.flatnonzero(each.own != NONE), np.flatnonzero(each.named != NONE)
        edges += [(providers, first + each.own[providers]), (first + each.named[namers], namers)]
        wanted[namers] += 1
        first += each.names
    needed = np.concatenate([np.where(sure, wanted, NEVER), np.ones(first - size, np.int64)])
    rounds = spread(_joined(edges), needed, np.flatnonzero(sure & (wanted == 0)))
    is_reached: Flags = rounds[:size] != NONE
    return is_reached


def generations(size: int, children: Integers, parents: Integers) -> tuple[Integers, int | None]:
    """Return a number for each record that is above those of its parents, and the number that all records of circles
    have together; None where there is no circle.

    children, parents: places of records, pair by pair.
    """
    number = spread((parents, children), np.bincount(children, minlength=size), _without(children, size))
    rest = number == NONE
    if not rest.any():
        return number, None
    inner = rest[children] & rest[parents]
    children, parents = children[inner], parents[inner]
    leaves = spread(
        (children, parents), np.bincount(parents, minlength=size), np.setdiff1d(np.flatnonzero(rest), parents)
    )
    circles = np.flatnonzero(rest & (leaves == NONE))
    after = spread((parents, children), np.bincount(children, minlength=size), circles)
    first = int(number.max()) + 1
    number[rest] = first + after[rest]
    return number, first


def descendants(size: int, children: Integers, parents: Integers, some: Integers) -> Integers:
    """Return the places of some records, and of all that descend from them."""
    return np.flatnonzero(spread((parents, children), np.ones(size, np.int64), some) != NONE)


def connected(places: Integers, children: Integers, parents: Integers) -> list[Integers]:
    """Return some records in parts that do not depend on each other, each in ascending order. Where the database has
    refused some, they are few, so they are looked at one by one. children, parents: places, pair by pair.
    """
    leader = {place: place for place in places.tolist()}

    def first(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for child, parent in zip(children.tolist(), parents.tolist(), strict=True):
        if child in leader and parent in leader:
            leader[first(child)] = first(parent)
    parts: dict[int, list[int]] = {}
    for place in leader:
        parts.setdefault(first(place), []).append(place)
    return [np.array(part, np.int64) for part in parts.values()]


def spread(edges: tuple[Integers, Integers], needed: Integers, start: Integers) -> Integers:
    """Return for each node in which round it is reached, from 0 for those at the start; NONE for those that never are.

    edges: from which node and to which. needed: how many edges from reached nodes it takes to reach a node.
    """
    sources, targets = edges
    order = np.argsort(sources, kind="stable")
    targets = targets[order]
    begins = np.searchsorted(sources[order], np.arange(len(needed) + 1))
    left, rounds = needed.astype(np.int64), np.full(len(needed), NONE)
    rounds[start] = 0
    reached, number = np.asarray(start, np.int64), 0
    while len(reached):
        if len(reached) <= FEW:
            reached, number = _one_by_one(reached.tolist(), number, (begins, targets), left, rounds)
        else:
            number += 1
            reached = _at_once(reached, number, (begins, targets), left, rounds)
    return rounds


def _at_once(
    reached: Integers, number: int, edges: tuple[Integers, Integers], left: Integers, rounds: Integers
) -> Integers:
    """Return the nodes of the next round."""
    begins, targets = edges
    counts = begins[reached + 1] - begins[reached]
    before = np.cumsum(counts) - counts
    places = np.repeat(begins[reached] - before, counts) + np.arange(int(counts.sum()))
    nodes, times = np.unique(targets[places], return_counts=True)
    left[nodes] -= times
    new: Integers = nodes[(left[nodes] <= 0) & (rounds[nodes] == NONE)]
    rounds[new] = number
    return new


def _one_by_one(
    reached: list[int], number: int, edges: tuple[Integers, Integers], left: Integers, rounds: Integers
) -> tuple[Integers, int]:
    """Go on round by round while there are few nodes in each. Returns the nodes of the last round, and its number."""
    begins, targets, needed, seen = (each.data for each in (*edges, left, rounds))
    while 0 < len(reached) <= FEW:
        number += 1
        new = list[int]()
        for node in reached:
            for place in range(begins[node], begins[node + 1]):
                target = targets[place]
                needed[target] -= 1
                if needed[target] <= 0 and seen[target] == NONE:
                    seen[target] = number
                    new.append(target)
        reached = new
    return np.array(reached, np.int64), number


def _joined(edges: Sequence[tuple[Integers, Integers]]) -> tuple[Integers, Integers]:
    sources, targets = zip(*edges, strict=True)
    return np.concatenate(sources), np.concatenate(targets)


def _without(nodes: Integers, size: int) -> Integers:
    """Return all of `size` nodes but these."""
    return np.setdiff1d(np.arange(size), nodes)
