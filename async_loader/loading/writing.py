"""How a verdict is written: what was accepted, and the rejects with it, in place of those that its records name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.effects import Call, Packed, Steps
from async_loader.errors import LedgerError
from async_loader.ledger.counts import Counts
from async_loader.loading.meanwhile import exists, meet, reasons_of
from async_loader.loading.refused import LateReasons, late_rejects, write_apart, write_or_refuse
from async_loader.loading.sides import Readable
from async_loader.loading.superseding import replace_rejects
from async_loader.records.arrays import are_among
from async_loader.records.batches import Batch
from async_loader.records.validation import Verdict
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.loading.load import Load


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch's verdict, and its parts made ready to be written; `names` are as in Resolved."""

    batch: Batch
    verdict: Verdict
    written: Sequence[Packed]
    rejects: Sequence[Packed]
    names: Mapping[str, pl.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing a batch: counts of its accepted records, by run the number of rejects that were superseded,
    and why accepted records were rejected after all, by key; `late` are their rejects.
    """

    counts: Counts
    superseded: Counter[str]
    source: str
    reasons: LateReasons
    late: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch's accepted records: counts, and by key the reasons of those that were rejected."""

    counts: Counts
    reasons: LateReasons = field(default_factory=dict)


def write(load: Load, reader: Readable, judged: Judged) -> Steps[Written]:
    """Store a verdict, and count what came of it."""
    return (yield from written_as(load, reader, judged, (yield from _store(load, judged))))


def written_as(load: Load, reader: Readable, judged: Judged, stored: Stored) -> Steps[Written]:
    """Store the rejects of a verdict whose accepted records have been written, and count what came of all."""
    if judged.batch.linked:
        from async_loader.loading.linking import write_links

        yield from write_links(load, judged, list(stored.reasons))
    if load.tally.written is not None:
        keys = judged.verdict.written[load.table.key]
        load.tally.written.append(keys.filter(~are_among(keys, stored.reasons)) if stored.reasons else keys)
    rejects, packed = judged.verdict.rejects, judged.rejects
    late = rejects.clear()
    if stored.reasons:
        late = yield Call(_reject_late, (load, judged, stored.reasons))
        rejects = pl.concat([rejects, late]).sort("line")
        packed = yield Call(load.database.pack, (rejects,))
    if load.files is not None and len(rejects):
        yield Call(load.files.write, (reader, rejects))
    kept, superseded = yield from _keep_rejects(load, reader.source.name, judged.batch, rejects["line"], packed)
    check_count(load.table, "rejects kept", kept, len(rejects))
    return Written(stored.counts, superseded, judged.batch.source, stored.reasons, late)


def _keep_rejects(
    load: Load, path: str, batch: Batch, lines: pl.Series, packed: Sequence[Packed]
) -> Steps[tuple[int, Counter[str]]]:
    """Store a batch's rejects in place of those that its records name. Returns how many were stored, and how many they
    replace, by the run that had stored them.
    """
    add = load.database.add_rejects(load.run, load.started_at, path, packed)
    named = batch.named_rejects
    if load.superseding is None or named is None:
        return (yield from add), Counter()
    return (yield from replace_rejects(load.superseding, path, named, lines, add))


def _store(load: Load, judged: Judged) -> Steps[Stored]:
    """Store accepted records: new and changed ones together, in their order. Which of two that cannot both be stored
    comes first is not to depend on how the source is cut into batches.
    """
    records, held = judged.verdict.written, judged.verdict.changed[load.table.key]
    kept = kept_by_rows(load.table, judged.batch.absent)
    if load.family is not None:
        from async_loader.loading.orphans import orphans

        lost: list[Any] = yield Call(orphans, (load, judged))
        if lost:
            return (yield from _store_rest(load, judged, lost))
    stored = yield from write_or_refuse(load.database, load.table, judged.written, len(records), held, absent=kept)
    if stored is None:
        return (yield from _store_apart(load, judged, records, held))
    return Stored(Counts(inserted=stored - len(held), updated=len(held)))


def _store_rest(load: Load, judged: Judged, lost: Sequence[Any]) -> Steps[Stored]:
    """Store accepted records but for those that have lost their parents."""
    from async_loader.loading.orphans import worded

    records, held = judged.verdict.written, judged.verdict.changed[load.table.key]
    reasons: LateReasons = yield Call(worded, (load, judged, lost))
    refuse(load, judged, reasons)
    rest = records.filter(~are_among(records[load.table.key], lost))
    stored = yield from _store_apart(load, judged, rest, held.filter(~are_among(held, lost)))
    return Stored(stored.counts, {**stored.reasons, **reasons})


def refuse(load: Load, judged: Judged, reasons: Mapping[Any, object]) -> None:
    """Note which accepted records of a batch are not stored after all, by key. Nothing can reference them."""
    if not reasons:
        return
    keys = judged.verdict.accepted[load.table.key]
    are_refused = are_among(keys, reasons)
    load.accepted.refuse(keys.filter(are_refused))
    if load.family is not None:
        # Rows that were to be changed are there.
        are_refused &= ~keys.is_in(judged.verdict.changed[load.table.key].implode())
        load.family.note_refused(judged.batch, judged.verdict.places.filter(are_refused))


def _store_apart(load: Load, judged: Judged, records: pl.DataFrame, held: pl.Series) -> Steps[Stored]:
    """Store records of which the database refuses some. Where others write to the table, their rows are met first."""
    database, table = load.database, load.table
    # A key that is made for a new row is no record's: another row that has it says nothing of the record.
    others_write = load.commits.others_write and table.finds_by_key
    unchanged, reasons = 0, dict[Any, tuple[str, str | None, str]]()
    if others_write:
        met = yield from meet(
            database, table, records.filter(~records[table.key].is_in(held.implode())), judged.batch.absent
        )
        unchanged = len(met.same)
        passed = met.same
        if load.on_conflict == "update":
            held = pl.concat([held, met.differing])
        elif len(met.differing):
            load.stop_at_conflict(judged.batch, judged.verdict, met.differing)
            reasons |= yield from exists(database, table, records, met.differing, judged.batch.absent)
            passed = pl.concat([passed, met.differing])
        records = records.filter(~records[table.key].is_in(passed.implode()))
    kept = kept_by_rows(table, judged.batch.absent)
    stored, refused = yield from write_apart(database, table, records, held, absent=kept)
    reasons |= yield from reasons_of(database, table, records, refused, others_write=others_write)
    # A row that another program has stored can be referenced, so not all that have reasons are refused.
    yield Call(refuse, (load, judged, refused))
    updated = len(held) - sum(key in refused for key in held)
    return Stored(Counts(inserted=stored - updated, updated=updated, unchanged=unchanged), reasons)


def _reject_late(load: Load, judged: Judged, reasons: LateReasons) -> pl.DataFrame:
    return late_rejects(reasons, load.table, judged.batch, judged.verdict)


def kept_by_rows(table: Table, absent: Sequence[str]) -> list[str]:
    """Return the columns that rows keep as they are, of those that the source lacks."""
    return [name for name in absent if not table.column(name).restamped]


def check_count(table: Table, counted: str, count: int, expected: int) -> None:
    """Raise LedgerError unless a count is what another count, taken apart from it, says."""
    if count != expected:
        raise LedgerError(
            f"table {table.name}: {count} {counted} where {expected} were expected: a defect, please report it"
        )
