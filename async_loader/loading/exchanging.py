"""How records are stored that have waited for each other: their rows exchange unique values. Steps, and no I/O.

All of them are written at once. If the database refuses one, it takes those along whose values depend on it, and no
others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Call, Steps
from async_loader.ledger.counts import Counts
from async_loader.loading.parking import parked
from async_loader.loading.refused import Refused, reason_of, write_or_refuse
from async_loader.loading.writing import Judged, Stored, Written, kept_by_rows, refuse, written_as
from async_loader.records.arrays import are_among
from async_loader.records.exchanges import Exchange

if TYPE_CHECKING:
    from async_loader.loading.load import Load
    from async_loader.loading.waiting import Piece


@dataclass(frozen=True, slots=True)
class _Rows:
    """Accepted records, of which rows keep columns that are `absent`.

    held: the keys among them that the table holds. groups: by key, the number of the group that is written together.
    giving: for each unique set, the keys whose rows give a value to another record.
    """

    records: pl.DataFrame
    held: pl.Series
    groups: pl.DataFrame
    giving: Sequence[pl.Series]
    absent: Sequence[str]

    def of_groups(self, numbers: pl.Series, key: str) -> _Rows:
        """Return the records of some groups."""
        groups = self.groups.filter(pl.col("group").is_in(numbers.implode()))
        keys = groups["key"].implode()
        return replace(
            self,
            records=self.records.filter(pl.col(key).is_in(keys)),
            held=self.held.filter(self.held.is_in(keys)),
            groups=groups,
            giving=[each.filter(each.is_in(keys)) for each in self.giving],
        )


def write_exchanged(
    this: Load, pieces: Sequence[Piece], judged: Sequence[Judged], decided: Exchange
) -> Steps[list[Written]]:
    """Store records that were judged together, and the rejects among them."""
    starts = list(accumulate((len(each.batch.lines) for each in judged), initial=0))
    absent = {each.batch.absent for each in judged}
    kept = kept_by_rows(this.table, judged[0].batch.absent) if len(absent) == 1 else []
    frames: list[pl.DataFrame] = []
    for each in judged:
        # Records that lack different columns are written at once, too: each with all columns, as its row has them.
        frames += [each.verdict.written if len(absent) == 1 else (yield from completed_records(this, each))]
    rows: _Rows = yield Call(_rows, (this.table.key, zip(judged, frames, starts, strict=False), decided, kept))
    refused = yield from _write(this, rows)
    written: list[Written] = []
    for (reader, _), each in zip(pieces, judged, strict=True):
        written += [(yield from written_as(this, reader, each, _stored(this, each, refused)))]
    return written


def _stored(this: Load, judged: Judged, refused: Refused) -> Stored:
    """Return what became of the accepted records of one batch. Nothing can reference those that were refused."""
    keys, held = judged.verdict.written[this.table.key], judged.verdict.changed[this.table.key]
    mine = {key: reason_of(refused[key], this.table) for key in keys if key in refused} if refused else {}
    refuse(this, judged, mine)
    updated = len(held) - sum(key in mine for key in held)
    return Stored(Counts(inserted=len(keys) - len(mine) - updated, updated=updated), mine)


def completed_records(this: Load, judged: Judged) -> Steps[pl.DataFrame]:
    """Return the records to write with what their rows hold in the columns that the source lacks."""
    table, database, records = this.table, this.database, judged.verdict.written
    columns = [table.column(name) for name in kept_by_rows(table, judged.batch.absent)]
    held = judged.verdict.changed[table.key]
    if not (columns and len(held)):
        return records
    rows = yield from database.values_of(table, columns, held)

    def filled() -> pl.DataFrame:
        keys = held.gather([number for number, *_ in rows])
        places = pl.DataFrame({table.key: keys}).join(
            records.select(table.key).with_row_index("place"), on=table.key, how="left", maintain_order="left"
        )["place"]
        values = zip(columns, zip(*(values for _, *values in rows), strict=True), strict=True)
        series = [
            records[column.name].scatter(
                places, pl.Series([database.read_back(column, each)[0] for each in stored], dtype=column.dtype)
            )
            for column, stored in values
        ]
        return records.with_columns(series)

    whole: pl.DataFrame = yield Call(filled)
    return whole


def _rows(
    key: str, parts: Iterable[tuple[Judged, pl.DataFrame, int]], decided: Exchange, absent: Sequence[str]
) -> _Rows:
    parts = list(parts)
    verdicts = [judged.verdict for judged, _, _ in parts]
    at = pl.concat(judged.verdict.places.cast(pl.Int64) + start for judged, _, start in parts)
    keys = pl.concat(verdict.accepted[key] for verdict in verdicts)
    return _Rows(
        records=pl.concat(records for _, records, _ in parts),
        held=pl.concat(verdict.changed[key] for verdict in verdicts),
        groups=pl.DataFrame({"key": keys, "group": decided.groups.gather(at)}),
        giving=[keys.filter(each.gather(at)) for each in decided.passed_on],
        absent=absent,
    )


def _write(this: Load, rows: _Rows) -> Steps[Refused]:
    """Write records, all or else group by group. Returns what was refused."""
    table, database, is_replacing = this.table, this.database, len(rows.held) > 0
    if not len(rows.records):
        return {}
    first = []
    for unique, keys in zip(table.judged_sets, rows.giving, strict=True):
        first += yield from parked(table, database, unique, keys, rows.absent)
    packed = yield Call(partial(database.pack, replace=is_replacing), (rows.records, table))
    size = len(rows.records)
    stored = yield from write_or_refuse(database, table, packed, size, rows.held, absent=rows.absent, first=first)
    if stored is not None:
        return {}
    groups = rows.groups["group"].unique(maintain_order=True)
    if len(groups) == 1:
        return (yield from _write_each(this, rows))
    middle = len(groups) // 2
    one = yield from _write(this, rows.of_groups(groups.head(middle), table.key))
    return {**one, **(yield from _write(this, rows.of_groups(groups.slice(middle), table.key)))}


def _write_each(this: Load, rows: _Rows) -> Steps[Refused]:
    """Write a group record by record, until none can be stored any more: those that wait for a refused one stay out."""
    records, key = rows.records, this.table.key
    while True:
        stored, refused = yield from this.database.write_each(this.table, records, rows.held, rows.absent)
        if not (stored and refused):
            return refused
        records = records.filter(are_among(records[key], refused))
