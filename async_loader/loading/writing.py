"""How a verdict is written: what was accepted, and the rejects with it, in place of those that its records name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Call, Packed, Steps
from async_loader.errors import LedgerError
from async_loader.ledger.counts import Counts
from async_loader.loading.refused import Refused, rejects_with, write_apart
from async_loader.loading.sides import Readable
from async_loader.loading.superseding import replace_rejects
from async_loader.records.batches import Batch
from async_loader.records.validation import Verdict
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.loading.load import Load


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch's verdict, and its parts made ready to be written."""

    batch: Batch
    verdict: Verdict
    written: Sequence[Packed]
    rejects: Sequence[Packed]


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing a batch: rows inserted and updated, by run the number of rejects that were superseded, what
    the database refused, and all rejects of the batch with those.
    """

    counts: Counts
    superseded: Counter[str]
    source: str
    refused: Refused
    rejects: pl.DataFrame


def write(load: Load, reader: Readable, judged: Judged) -> Steps[Written]:
    """Store a verdict, and count what came of it."""
    verdict, source = judged.verdict, judged.batch.source
    # New and changed records together, in their order: which of two that cannot both be stored comes first is not to
    # depend on how the source is cut into batches.
    held = verdict.changed[load.table.key]
    kept_as_held = [name for name in judged.batch.absent if not load.table.column(name).restamped]
    stored, refused = yield from write_apart(
        load.database, load.table, verdict.written, judged.written, held, absent=kept_as_held
    )
    rejects, packed = verdict.rejects, judged.rejects
    if refused:
        rejects = yield Call(_refuse, (load, judged, refused))
        packed = yield Call(load.database.pack, (rejects,))
    if load.files is not None and len(rejects):
        yield Call(load.files.write, (reader, rejects))
    kept, superseded = yield from _keep_rejects(load, reader.source.name, judged.batch, rejects["line"], packed)
    check_count(load.table, "rejects kept", kept, len(rejects))
    updated = len(held) - sum(key in refused for key in held) if refused else len(held)
    return Written(Counts(inserted=stored - updated, updated=updated), superseded, source, refused, rejects)


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


def _refuse(load: Load, judged: Judged, refused: Refused) -> pl.DataFrame:
    """Exclude refused keys from what can be referenced. Returns the batch's rejects, with the refused records."""
    keys = judged.verdict.accepted[load.table.key]
    load.accepted.refuse(keys.filter(keys.is_in(list(refused))))
    return rejects_with(refused, load.table, judged.batch, judged.verdict)


def check_count(table: Table, counted: str, count: int, expected: int) -> None:
    """Raise LedgerError unless a count is what another count, taken apart from it, says."""
    if count != expected:
        raise LedgerError(
            f"table {table.name}: {count} {counted} where {expected} were expected: a defect, please report it"
        )
