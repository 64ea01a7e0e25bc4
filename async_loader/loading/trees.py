"""How records that wait for their parents are judged and stored: parents before their children. Steps, and no I/O.

Those whose parents are looked up by other values than keys get the keys when all that are accepted have theirs. If the
database refuses a record, what descends from it is rejected with it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from async_loader.constraints import REFUSED
from async_loader.effects import Call, Packed, Steps
from async_loader.errors import RefusedError, StoreError
from async_loader.ledger.counts import Counts
from async_loader.loading.exchanging import completed_records, write_exchanged
from async_loader.loading.judging import Knowledge, resolve
from async_loader.loading.kinship import Asked, Decided, decide
from async_loader.loading.orphans import orphans, worded
from async_loader.loading.parents import Children, Family, Way, names_by, names_given, way_of
from async_loader.loading.refused import ONE_BY_ONE, reason_of, write_or_refuse
from async_loader.loading.verdicts import Progress, computed, numbered, take_in, verdict_of
from async_loader.loading.writing import Judged, Stored, Written, kept_by_rows, refuse, written_as
from async_loader.records.ancestry import Integers, connected, descendants, generations
from async_loader.records.arrays import are_among, from_integers
from async_loader.records.completion import insertable
from async_loader.records.identities import identities
from async_loader.records.row_index import FoundRows
from async_loader.records.validation import Verdict
from async_loader.records.world import World
from async_loader.tables import Reference, Table

if TYPE_CHECKING:
    from async_loader.loading.finding import Finder
    from async_loader.loading.load import Load

# By key, why an accepted record was not stored: a reason, or None where its parent was not.
_Reasons: TypeAlias = Mapping[Any, tuple[str, str | None, str] | None]
# Bytes of records that are packed together, about.
_PACKED = 16 << 20


def settle(this: Load, progress: Progress, family: Family, *, is_last: bool) -> Steps[list[Written]]:
    """Judge and store the records that need not wait any more: at the end, all of them."""
    waiting, known = family.take(), progress.known
    if not waiting or known is None:
        return []
    finders: dict[tuple[Any, ...], Finder] = {}
    asked: list[Asked] = []
    for children in waiting:
        asked += [(yield from _ask(known, children, finders))]
    decided: Decided = yield Call(partial(decide, family, asked, is_last=is_last))
    yield Call(family.put_back, ([(each.children, each.world) for each in decided.left],))
    if not decided.ready:
        return []
    verdicts = []
    for each in decided.ready:
        batch = each.children.resolved.batch
        world, verdict = yield Call(verdict_of, (this, batch, partial(_itself, each.world)))
        verdict = yield from numbered(this, progress, verdict)
        verdicts.append((world, (yield from computed(this, batch, verdict))))
    judged: list[Judged] = yield Call(_made_ready, (this, known, decided.ready, verdicts))
    this.allowance.check(this.table.name, this.tally.counts.rejected)
    if decided.exchange is not None:
        pieces = [(each.children.reader, each.children.resolved) for each in decided.ready]
        written = yield from write_exchanged(this, pieces, judged, decided.exchange)
        yield Call(_check_exchanged, (this, judged))
        return written
    return (yield from _write_all(this, decided.ready, judged))


def _check_exchanged(this: Load, judged: Sequence[Judged]) -> None:
    """Raise StoreError where rows that were written at once name one that the database has refused among them."""
    refused = set(chain.from_iterable(orphans(this, each) for each in judged))
    for each in judged:
        keys = each.verdict.written[this.table.key]
        lost = are_among(keys, refused) & ~this.accepted.are_refused(keys)
        if lost.any():
            problem = f"the database refused the record that {keys.filter(lost)[0]!r} names"
            advice = "rows that exchange unique values are stored together; leave it out, or load it by itself"
            raise StoreError(this.database.name, f"table {this.table.name}: {problem}; {advice}")


def _itself(world: World) -> World:
    return world


def _ask(known: Knowledge, children: Children, finders: dict[tuple[Any, ...], Finder]) -> Steps[Asked]:
    """Ask once more what is known of records that wait: by now more rows are stored."""
    resolved, table = children.resolved, known.table
    stored: dict[str, FoundRows] = {}
    for reference in table.own_references:
        if reference.column not in resolved.names:
            continue
        names = resolved.names[reference.column]
        way = (reference.column, *names.columns)
        if way not in finders:
            finders[way] = known.finding.parent_finder(reference, tuple(map(table.column, names.columns)))
        answer = yield from finders[way].find(names)
        stored[reference.column] = answer
        resolved = resolved.with_values(_filled(resolved.batch.values, reference, names, answer.keys), ())
    world: World = yield Call((yield from resolve(known, resolved)))
    return Asked(replace(children, resolved=resolved), _with_new_parents(world, resolved.names, stored), stored)


def _filled(values: pl.DataFrame, reference: Reference, names: pl.DataFrame, keys: pl.Series) -> pl.DataFrame:
    """Return values with the keys of rows that are named; where none is named, they stay."""
    is_named = identities(names).is_not_null()
    given = pl.when(is_named).then(keys).otherwise(values[reference.column])
    return values.with_columns(pl.select(given).to_series().alias(reference.column))


def _with_new_parents(world: World, names: Mapping[str, pl.DataFrame], stored: Mapping[str, FoundRows]) -> World:
    """Return the world in which a stored row differs from a record whose parent has no key yet."""
    differs = world.differs
    for column, rows in stored.items():
        differs = differs | (world.held & rows.keys.is_null() & identities(names[column]).is_not_null())
    return replace(world, differs=differs)


def _made_ready(
    this: Load, known: Knowledge, ready: Sequence[Asked], verdicts: Sequence[tuple[World, Verdict]]
) -> list[Judged]:
    """Fill in the keys of parents, remember and count all, and make rejects ready to be written."""
    judged = []
    parents = _keys_of_parents(this.table, ready, [verdict for _, verdict in verdicts])
    for each, (world, verdict) in zip(ready, verdicts, strict=True):
        batch = each.children.resolved.batch
        whole = _with_parents(this.table, each, world, verdict, parents)
        take_in(this, known, batch, whole, world)
        names = each.children.resolved.names
        judged.append(Judged(batch, whole, (), this.database.pack(whole.rejects), names))
    return judged


def _keys_of_parents(table: Table, ready: Sequence[Asked], verdicts: Sequence[Verdict]) -> dict[Way, pl.DataFrame]:
    """Return, by way to look parents up, the names of accepted records with the values that references hold of them."""
    parents = {}
    for reference in table.own_references:
        batches = [each.children.resolved.batch for each in ready]
        ways = dict.fromkeys(way_of(table, reference, batch) for batch in batches if reference.column in batch.lookups)
        for way in ways:
            frames = [
                pl.DataFrame(
                    {
                        "name": names_by(batch, way).gather(verdict.places),
                        "key": verdict.accepted[reference.to or table.key],
                    }
                )
                for batch, verdict in zip(batches, verdicts, strict=True)
            ]
            parents[way] = pl.concat(frames).drop_nulls().unique("name")
    return parents


def _with_parents(
    table: Table,
    asked: Asked,
    world: World,
    verdict: Verdict,
    parents: Mapping[Way, pl.DataFrame],
) -> Verdict:
    """Return the verdict with keys for parents that records name by other values."""
    resolved, accepted = asked.children.resolved, verdict.accepted
    if not resolved.names or accepted.is_empty():
        return verdict
    for reference in table.own_references:
        if reference.column not in resolved.names:
            continue
        way = way_of(table, reference, resolved.batch)
        names = names_given(resolved, way).gather(verdict.places)
        joined = names.to_frame("name").join(parents[way], on="name", how="left", maintain_order="left")
        keys = pl.select(pl.coalesce(joined["key"], accepted[reference.column])).to_series()
        accepted = accepted.with_columns(keys.alias(reference.column))
    held, differs = world.held.gather(verdict.places), world.differs.gather(verdict.places)
    written = accepted.filter(~held | differs)
    if resolved.batch.absent:
        written = insertable(table, resolved.batch, written)
    return replace(
        verdict,
        accepted=accepted,
        new=accepted.filter(~held),
        changed=accepted.filter(differs),
        written=written,
        unchanged=accepted.filter(held & ~differs),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Accepted records in an order in which parents come before their children.

    held: the keys among them that the table holds. generation: a number for each, above those of its parents; records
    of circles have one together. children, parents: places, of pairs of which both are here and the parent is new.
    absent: columns that rows keep.
    """

    table: Table
    records: pl.DataFrame
    held: pl.Series
    generation: Integers
    circle: int | None
    children: Integers
    parents: Integers
    absent: Sequence[str]


def _write_all(this: Load, ready: Sequence[Asked], judged: Sequence[Judged]) -> Steps[list[Written]]:
    """Store what was accepted, and the rejects."""
    absent = {each.batch.absent for each in judged}
    kept = kept_by_rows(this.table, judged[0].batch.absent) if len(absent) == 1 else []
    frames: list[pl.DataFrame] = []
    for each in judged:
        # Records that lack different columns are written at once, too: each with all columns, as its row has them.
        frames += [each.verdict.written if len(absent) == 1 else (yield from completed_records(this, each))]
    rows: _Rows = yield Call(_rows, (this.table, frames, [each.verdict for each in judged], kept))
    lost: list[Any] = yield Call(lambda: [*chain.from_iterable(orphans(this, each) for each in judged)])
    reasons = yield from _write_rest(this, rows, dict.fromkeys(lost))
    for each in judged:
        refuse(this, each, reasons)
    written: list[Written] = []
    for asked, each in zip(ready, judged, strict=True):
        stored = _stored(this, each, reasons)
        written += [(yield from written_as(this, asked.children.reader, each, stored))]
    return written


def _stored(this: Load, judged: Judged, reasons: _Reasons) -> Stored:
    """Return what became of the accepted records of one batch."""
    keys, held = judged.verdict.written[this.table.key], judged.verdict.changed[this.table.key]
    if not reasons:
        return Stored(Counts(inserted=len(keys) - len(held), updated=len(held)))
    mine = {key: reasons[key] for key in keys if key in reasons}
    updated = len(held) - sum(key in mine for key in held)
    counts = Counts(inserted=len(keys) - len(mine) - updated, updated=updated)
    refused = {key: reason for key, reason in mine.items() if reason is not None}
    return Stored(counts, {**refused, **worded(this, judged, mine.keys() - refused.keys())})


def _rows(table: Table, frames: Sequence[pl.DataFrame], verdicts: Sequence[Verdict], absent: Sequence[str]) -> _Rows:
    records = pl.concat(frames)
    held = pl.concat(verdict.changed[table.key] for verdict in verdicts)
    children, parents = _pairs(table, records, held)
    generation, circle = generations(len(records), children, parents)
    order = np.argsort(generation, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    records = records[from_integers(order)]
    return _Rows(table, records, held, generation[order], circle, place[children], place[parents], absent)


def _pairs(table: Table, records: pl.DataFrame, held: pl.Series) -> tuple[Integers, Integers]:
    """Return places of records and of their parents, where these are new rows among the records."""
    numbered_records = records.with_row_index("\0place")
    new = numbered_records.filter(~pl.col(table.key).is_in(held.implode()))
    pairs = [
        numbered_records.select("\0place", name=pl.col(reference.column))
        .drop_nulls()
        .join(new.select(name=pl.col(reference.to or table.key), parent=pl.col("\0place")), on="name")
        for reference in table.own_references
    ]
    both = pl.concat(pairs).select(pl.col("\0place", "parent").cast(pl.Int64))
    return both["\0place"].to_numpy(), both["parent"].to_numpy()


def _write_rest(this: Load, rows: _Rows, lost: _Reasons) -> Steps[_Reasons]:
    """Write all records but for those that have lost their parents before, and what descends from these."""
    places = np.arange(len(rows.records))
    if not lost:
        return (yield from _write(this, rows, places))
    reasons: _Reasons = yield Call(lambda: {**_lost(rows, places, lost), **lost})
    is_left = ~are_among(rows.records[this.table.key], reasons)
    return {**reasons, **(yield from _write(this, rows, places[is_left.to_numpy()]))}


def _write(this: Load, rows: _Rows, places: Integers) -> Steps[_Reasons]:
    """Write records at ascending places: all, or else what the database takes of them. Returns why others were not."""
    if not len(places):
        return {}
    if (yield from _is_written(this, rows, places)):
        return {}
    first = _first_unit(rows, places)
    if len(first) == len(places):
        return (yield from _reasons(this, rows, places))
    if len(places) > ONE_BY_ONE:
        middle = np.searchsorted(rows.generation[places], rows.generation[places[len(places) // 2]])
        # Records of one generation do not depend on each other, unless they are of circles.
        halves = middle or len(first)
        if rows.generation[places[len(places) // 2]] != rows.circle:
            halves = len(places) // 2
        first = places[:halves]
        reasons = yield from _write(this, rows, first)
    else:
        reasons = yield from _reasons(this, rows, first)
    rest = places[len(first) :]
    lost: _Reasons = yield Call(_lost, (rows, rest, reasons))
    if lost:
        keys = rows.records[this.table.key][from_integers(rest)]
        rest = rest[~are_among(keys, lost).to_numpy()]
    return {**reasons, **lost, **(yield from _write(this, rows, rest))}


def _first_unit(rows: _Rows, places: Integers) -> Integers:
    """Return the records of the first generation."""
    generation = rows.generation[places]
    return places[: np.searchsorted(generation, generation[0], side="right")]


def _is_written(this: Load, rows: _Rows, places: Integers) -> Steps[bool]:
    table, database = this.table, this.database
    records = rows.records if len(places) == len(rows.records) else rows.records[from_integers(places)]
    held = (
        rows.held
        if len(places) == len(rows.records)
        else rows.held.filter(rows.held.is_in(records[table.key].implode()))
    )
    packed: list[Packed] = yield Call(_packed, (this, rows, records, places))
    stored = yield from write_or_refuse(database, table, packed, len(records), held, absent=rows.absent)
    return stored is not None


def _packed(this: Load, rows: _Rows, records: pl.DataFrame, places: Integers) -> list[Packed]:
    packed: list[Packed] = []
    for start, stop in _cuts(rows, records, places):
        packed += this.database.pack(records.slice(start, stop - start), this.table, replace=len(rows.held) > 0)
    return packed


def _cuts(rows: _Rows, records: pl.DataFrame, places: Integers) -> Iterator[tuple[int, int]]:
    """Yield where parts begin and end: a store may see parents only in parts before, or in the same one."""
    size = max(1, len(records) * _PACKED // max(1, int(records.estimated_size())))
    start, generation = 0, rows.generation[places]
    while start < len(records):
        stop = min(start + size, len(records))
        if stop < len(records) and rows.circle is not None and generation[stop] == rows.circle:
            stop = int(np.searchsorted(generation, rows.circle, side="right"))
        yield start, stop
        start = stop


def _reasons(this: Load, rows: _Rows, places: Integers) -> Steps[_Reasons]:
    """Write records of one generation, of which the database has refused some, each by itself. Returns the reasons."""
    records = rows.records[from_integers(places)]
    if rows.generation[places[0]] == rows.circle:
        return (yield from _reasons_of_circles(this, rows, connected(places, rows.children, rows.parents)))
    _, refused = yield from this.database.write_each(this.table, records, rows.held, rows.absent)
    return {key: reason_of(refusal, this.table) for key, refusal in refused.items()}


def _reasons_of_circles(this: Load, rows: _Rows, circles: Sequence[Integers]) -> Steps[_Reasons]:
    """Write circles of records, of which the database has refused some, each as a whole. Returns the reasons."""
    places = np.sort(np.concatenate(circles))
    records = rows.records[from_integers(places)]
    keys = records[this.table.key]
    held = rows.held.filter(rows.held.is_in(keys.implode()))
    packed: list[Packed] = yield Call(_packed, (this, rows, records, places))
    try:
        yield from this.database.write(this.table, packed, len(records), replace=len(held) > 0, absent=rows.absent)
    except RefusedError as error:
        said = error.problem
    else:
        return {}
    if len(circles) == 1:
        return dict.fromkeys(keys, (REFUSED, None, f"a record of its circle of {len(records):,} was refused: {said}"))
    middle = len(circles) // 2
    reasons = yield from _reasons_of_circles(this, rows, circles[:middle])
    return {**reasons, **(yield from _reasons_of_circles(this, rows, circles[middle:]))}


def _lost(rows: _Rows, rest: Integers, reasons: _Reasons) -> _Reasons:
    """Return the records that have lost their parents to the database: all descendants among the rest."""
    if not reasons:
        return {}
    keys = rows.records[rows.table.key]
    refused = are_among(keys, reasons).arg_true().to_numpy().astype(np.int64)
    gone = np.intersect1d(descendants(len(keys), rows.children, rows.parents, refused), rest)
    return dict.fromkeys(keys.gather(from_integers(gone)))
