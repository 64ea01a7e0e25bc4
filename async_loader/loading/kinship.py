"""What is decided of records that wait for their parents: which are stored, and why others are not. Pure.

As many as possible are stored. A record goes if what it names is no stored row and no record that stays; that may leave
others without a parent, or free a key or a unique value for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import or_

import numpy as np
import polars as pl

from async_loader.loading.parents import (
    Children,
    Family,
    Way,
    identity_of,
    names_by,
    names_given,
    way_of,
    without_own,
)
from async_loader.loading.waiting import as_text, shared
from async_loader.records.ancestry import NONE, Flags, Integers, Naming, certain, orphaned
from async_loader.records.arrays import all_false, from_flags
from async_loader.records.exchanges import Exchange, Waiting, exchange
from async_loader.records.reasons import SHOWN, Check, lost_parents
from async_loader.records.row_index import FoundRows
from async_loader.records.validation import conflicting, have_failed, shown_record
from async_loader.records.world import Settled, UniqueInBatch, World
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Asked:
    """Records of a batch that wait, and what is known of them; `stored`: by reference, rows that are looked up."""

    children: Children
    world: World
    stored: Mapping[str, FoundRows]

    def chosen(self, which: pl.Series) -> Asked:
        """Return some of them."""
        stored = {
            column: FoundRows(rows.keys.filter(which), rows.is_ambiguous.filter(which))
            for column, rows in self.stored.items()
        }
        return Asked(self.children.chosen(which), self.world.chosen(which), stored)


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided of records that waited.

    ready: those that are to be judged now, in the world that says what was decided. left: those that wait on.
    exchange: how all that are ready exchange unique values; None where they do not.
    """

    ready: Sequence[Asked]
    left: Sequence[Asked]
    exchange: Exchange | None = None


@dataclass(frozen=True, slots=True)
class _Given:
    """One way in which n records name rows of their own table.

    open: what they name that no stored row is known to be called, and no record that was accepted before, as text.
    all: all that they name. own: by what others name them. stored: keys of stored rows that they name, as text.
    is_refused: whether an accepted record was called so that is not stored after all. is_ambiguous: whether several
    stored rows are named. is_lookup: whether rows are named by other columns than the primary key.
    """

    way: Way
    open: pl.Series
    all: pl.Series
    own: pl.Series
    stored: pl.Series
    is_refused: pl.Series
    is_ambiguous: pl.Series
    is_lookup: bool


def decide(family: Family, asked: Sequence[Asked], *, is_last: bool) -> Decided:
    """Decide as much as can be: of all records at the end, before it of those whose parents are there for certain."""
    whole = _Whole.joined(family, asked)
    if is_last:
        return _decide_all(family, asked, whole)
    sure = certain(whole.namings(), whole.sure(family).to_numpy())
    ready, left = list[Asked](), list[Asked]()
    for each, mine in zip(asked, _parts(from_flags(sure), asked), strict=True):
        if mine.any():
            chosen = each.chosen(mine)
            ready.append(replace(chosen, world=_with(family.table, chosen, whole.nothing(len(chosen.children)), [])))
        if not mine.all():
            left.append(each.chosen(~mine))
    return Decided(ready, left)


@dataclass(frozen=True, slots=True)
class _Whole:
    """All n records that wait, in their order.

    key: the primary key, as text. has_failed: whether a record is rejected whatever others have. unique: as in World.
    given: the ways in which they name rows.
    """

    key: pl.Series
    identity: pl.Series
    taken: pl.Series
    has_failed: pl.Series
    unique: Sequence[UniqueInBatch]
    given: Sequence[_Given]

    @classmethod
    def joined(cls, family: Family, asked: Sequence[Asked]) -> _Whole:
        """Return the records of several batches as one."""
        table = family.table
        return cls(
            key=pl.concat(as_text(each.children.resolved.batch.values[table.key]) for each in asked),
            identity=pl.concat(identity_of(table, each.children.resolved.batch, each.world) for each in asked),
            taken=pl.concat(each.world.taken for each in asked),
            has_failed=pl.concat(_failures(table, each) for each in asked),
            unique=[
                _joined([each.world.unique[number] for each in asked]) for number in range(len(asked[0].world.unique))
            ],
            given=[_given(family, way, asked) for way in _ways(family, asked)],
        )

    def namings(self) -> list[Naming]:
        """Return how the records name each other."""
        return [Naming.of_values(each.open, each.own) for each in self.given]

    def without_refused(self) -> _Whole:
        """Return the records as if what is not stored after all had never been accepted."""
        given = [
            replace(
                each,
                open=each.all.zip_with(each.is_refused, each.open),
                is_refused=all_false(len(each.is_refused)),
            )
            for each in self.given
        ]
        return replace(self, given=given)

    def sure(self, family: Family) -> pl.Series:
        """Return which records are stored for certain, if only their parents are, whatever follows."""
        unsure = self.has_failed | self.taken | shared(self.identity)
        for each in self.unique:
            unsure |= each.used | shared(as_text(each.values))
        for given in self.given:
            unsure |= given.is_ambiguous
            if given.is_lookup and not _is_lasting(family, given.way):
                unsure |= given.all.is_not_null()
        return ~unsure

    def nothing(self, size: int) -> Settled:
        """Return that nothing is wrong with that many records."""
        return Settled(all_false(size), [all_false(size) for _ in self.unique])


def _is_lasting(family: Family, way: Way) -> bool:
    """Return whether a row that is found in this way is the one at the end too: no other gets its values."""
    sets = [set(each.columns) for each in family.table.unique_sets]
    return not family.moves and any(each <= set(way[1]) for each in sets)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What becomes of n records: by way, which of them name what is missing, and which what is several rows."""

    exchange: Exchange
    accepted: Flags
    lost: Sequence[tuple[Flags, Flags]]

    @property
    def moves_values(self) -> bool:
        """Whether rows pass on unique values to each other."""
        return any(each.any() for each in self.exchange.passed_on)


def _outcome(whole: _Whole) -> _Outcome:
    namings = whole.namings()
    failed = whole.has_failed.to_numpy() | whole.taken.to_numpy()
    while True:
        failed = failed | orphaned(namings, ~failed)
        decided = _exchanged(whole, from_flags(failed))
        used = [each.to_numpy() for each in decided.settled.used]
        accepted = ~reduce(or_, used, failed | decided.settled.duplicate.to_numpy())
        lost = [_lost(whole, each, naming, accepted) for each, naming in zip(whole.given, namings, strict=True)]
        more = reduce(or_, (missing | several for missing, several in lost)) & accepted
        if not more.any():
            return _Outcome(decided, accepted, lost)
        failed = failed | more


def _decide_all(family: Family, asked: Sequence[Asked], whole: _Whole) -> Decided:
    outcome = _outcome(whole)
    if outcome.moves_values and any(each.is_refused.any() for each in whole.given):
        # Rows that exchange values are written all at once, so none of them may be lost by then.
        whole = whole.without_refused()
        outcome = _outcome(whole)
    _note_rejected(family, asked, outcome.accepted)
    checks = [_checks(family, asked, each, *flags) for each, flags in zip(whole.given, outcome.lost, strict=True)]
    ready, start = list[Asked](), 0
    for number, each in enumerate(asked):
        part = slice(start, start + len(each.children))
        mine = [check for parts in checks for check in parts[number]]
        ready.append(replace(each, world=_with(family.table, each, outcome.exchange.settled.part(part), mine)))
        start = part.stop
    return Decided(ready, [], outcome.exchange if outcome.moves_values else None)


def _with(table: Table, asked: Asked, settled: Settled, checks: Sequence[Check]) -> World:
    world = without_own(table, asked.world)
    return replace(world, settled=settled, checks=[*world.checks, *checks])


def _failures(table: Table, asked: Asked) -> pl.Series:
    """Return which records are rejected whatever other records have."""
    world, batch = without_own(table, asked.world), asked.children.resolved.batch
    return have_failed(table, batch, world) | conflicting(batch, world)


def _ways(family: Family, asked: Sequence[Asked]) -> list[Way]:
    return list(dict.fromkeys(way for each in asked for way in family.ways(each.children.resolved.batch)))


def _given(family: Family, way: Way, asked: Sequence[Asked]) -> _Given:
    table, (column, by) = family.table, way
    parts: list[tuple[pl.Series, ...]] = []
    for each in asked:
        batch = each.children.resolved.batch
        own, size = names_by(batch, way), len(batch.lines)
        nothing, never = pl.Series([None], dtype=pl.String).new_from_index(0, size), all_false(size)
        reference = next(one for one in table.own_references if one.column == column)
        if way_of(table, reference, batch) != way:
            parts.append((nothing, nothing, own, nothing, never))
            continue
        names = names_given(each.children.resolved, way)
        rows = each.stored.get(column)
        if rows is None:
            dangling = each.world.dangling[table.references.index(reference)]
            parts.append((_where(dangling, names), names, own, nothing, never))
        else:
            opens = rows.keys.is_null() & ~rows.is_ambiguous
            parts.append((_where(opens, names), names, own, as_text(rows.keys), rows.is_ambiguous))
    opens, names, own, stored, several = map(pl.concat, zip(*parts, strict=True))
    is_refused = family.are_refused(way, names)
    return _Given(way, _where(~is_refused, opens), names, own, stored, is_refused, several, by != (table.key,))


def _where(which: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(which).then(values)).to_series()


def _lost(whole: _Whole, given: _Given, naming: Naming, accepted: Flags) -> tuple[Flags, Flags]:
    """Return which records name what is neither stored nor accepted, and which name several rows."""
    if not given.is_lookup:
        return (naming.named != NONE) & (_counts(naming, accepted) == 0), np.zeros(len(accepted), np.bool_)
    naming = Naming.of_values(given.all, given.own)
    here, is_named = _counts(naming, accepted), naming.named != NONE
    rows = pl.DataFrame({"key": whole.key, "own": given.own}).filter(from_flags(accepted)).drop_nulls("key")
    # A row that is found may be called otherwise at the end, and a record may be about the row that is found.
    named = pl.DataFrame({"key": given.stored, "all": given.all}).join(
        rows.unique("key", keep="first"), on="key", how="left", maintain_order="left"
    )
    is_same, is_other = (
        named.select(each.fill_null(value=False)).to_series().to_numpy()
        for each in (
            pl.col("own") == pl.col("all"),
            pl.col("own").ne_missing(pl.col("all")) & pl.col("key").is_in(rows["key"].implode()),
        )
    )
    is_found, several = given.stored.is_not_null().to_numpy() & ~is_other, given.is_ambiguous.to_numpy()
    is_several = several | (here + (is_found & ~is_same) > 1)
    is_there = is_found | several | given.is_refused.to_numpy() | (here > 0)
    return is_named & ~is_there, is_named & is_several


def _counts(naming: Naming, accepted: Flags) -> Integers:
    """Return how many accepted records are called what each record names."""
    counts = np.bincount(naming.own[accepted & (naming.own != NONE)], minlength=naming.names + 1)
    return np.where(naming.named != NONE, counts[naming.named], 0)


def _exchanged(whole: _Whole, failed: pl.Series) -> Exchange:
    """Decide which records have keys and unique values; where no two want the same, all have what they want."""
    waiting = Waiting(whole.identity, whole.taken, failed, whole.unique)
    identity = whole.identity.filter(~failed).drop_nulls()
    alone = identity.is_unique().all() and all(map(_have_own_values, whole.unique))
    if not alone:
        return exchange(waiting)
    size = len(failed)
    used = [each.taken for each in whole.unique]
    never = all_false(size)
    return Exchange(Settled(whole.taken, used), pl.int_range(size, eager=True), [never for _ in whole.unique])


def _have_own_values(unique: UniqueInBatch) -> bool:
    values = unique.values.drop_nulls()
    given_up = unique.given_up.drop_nulls()
    return bool(
        not unique.owned.any()
        and values.is_unique().all()
        and not (len(given_up) and values.is_in(given_up.implode()).any())
    )


def _joined(parts: Sequence[UniqueInBatch]) -> UniqueInBatch:
    columns = ([each.values, each.taken, each.owned, each.given_up] for each in parts)
    return UniqueInBatch(parts[0].unique, *map(pl.concat, zip(*columns, strict=True)))


def _note_rejected(family: Family, asked: Sequence[Asked], accepted: Flags) -> None:
    for each, mine in zip(asked, _parts(from_flags(accepted), asked), strict=True):
        family.note_rejected(each.children.resolved.batch, mine.arg_true())


@dataclass(frozen=True, slots=True)
class _Lost:
    """Why n records are rejected for what they name in one way.

    missing: whether that is not there. several: whether it is several rows. where: where it was rejected, as text.
    """

    missing: pl.Series
    several: pl.Series
    where: pl.Series


def _checks(family: Family, asked: Sequence[Asked], given: _Given, missing: Flags, several: Flags) -> list[list[Check]]:
    """Return, for each batch, the checks of one way to name parents."""
    whole = (from_flags(missing), from_flags(several), _where_rejected(family, given, missing))
    parts = map(_Lost, *(_parts(each, asked) for each in whole))
    return [[*_checks_of(family.table, given.way, each, lost)] for each, lost in zip(asked, parts, strict=True)]


def _checks_of(table: Table, way: Way, asked: Asked, lost: _Lost) -> Iterator[Check]:
    column, _ = way
    resolved = asked.children.resolved
    values = resolved.names.get(column)
    headers = resolved.batch.lookups.get(column, (column,))
    shown = shown_record(resolved.batch.values[[column]] if values is None else values)
    if lost.missing.any():
        said = partial(_messages, resolved.batch.source, (table.name, *headers), shown, lost.where)
        yield Check("exists_in", column, SHOWN, lost.missing, said, (column,))
    if lost.several.any():
        message = f"{' and '.join(headers)} {SHOWN} is in several rows of {table.name}"
        yield Check("ambiguous", column, message, lost.several, shown)


def _messages(
    source: str, named: Sequence[str], shown: Callable[[pl.Series], pl.Series], where: pl.Series, places: pl.Series
) -> pl.Series:
    """Return the messages of records at some places; `named` is the table, and what names its rows."""
    table, *headers = named
    return lost_parents(headers, table, shown(places), where.gather(places), source)


def _where_rejected(family: Family, given: _Given, missing: Flags) -> pl.Series:
    """Return, for each record that names what was rejected, where that stands."""
    names = _where(from_flags(missing), given.all)
    where = family.where_refused(given.way, names), family.where_rejected(given.way, names)
    return pl.select(pl.coalesce(*where)).to_series()


def _parts(values: pl.Series, asked: Sequence[Asked]) -> Iterator[pl.Series]:
    """Yield the values of the records of each batch."""
    start = 0
    for each in asked:
        yield values.slice(start, len(each.children))
        start += len(each.children)
