"""What the database itself refuses: halved until few rows are left, tried one by one, and made rejects. No I/O.

k bad rows of n cost about k log n statements, and n single ones where most are bad; all others are stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from async_loader.constraints import REFUSED
from async_loader.effects import Call, Change, Packed, Refusal, Steps
from async_loader.errors import RefusedError
from async_loader.records.arrays import are_among
from async_loader.records.batches import Batch
from async_loader.records.reasons import reason_json
from async_loader.records.validation import REJECTS, Verdict, only_column
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.stores.store import Store

# That many rows one by one take about as long as one statement with a part of a batch.
ONE_BY_ONE = 256

# By key, why the database refused a record.
Refused: TypeAlias = Mapping[Any, Refusal]
# By key, why a record was rejected when it was to be written: code, column and message.
LateReasons: TypeAlias = Mapping[Any, tuple[str, str | None, str]]


def write_apart(
    database: Store, table: Table, records: pl.DataFrame, held: pl.Series, *, absent: Collection[str]
) -> Steps[tuple[int, Refused]]:
    """Write records, of which the database refuses some: in halves, and few of them one by one.

    held: those of their keys that the table holds; these rows keep their values of columns that are `absent`.
    Returns how many were stored, and what was refused.
    """
    if len(records) <= ONE_BY_ONE:
        return (yield from database.write_each(table, records, held, absent))
    stored, refused = 0, dict[Any, Refusal]()
    middle = len(records) // 2
    pack = partial(database.pack, replace=len(held) > 0)
    for half in (records.head(middle), records.slice(middle)):
        packed: Sequence[Packed] = yield Call(pack, (half, table))
        more = yield from write_or_refuse(database, table, packed, len(half), held, absent=absent)
        if more is None:
            more, others = yield from write_apart(database, table, half, held, absent=absent)
            refused |= others
        stored += more
    return stored, refused


def write_or_refuse(
    database: Store,
    table: Table,
    packed: Sequence[Packed],
    size: int,
    held: pl.Series,
    *,
    absent: Collection[str],
    first: Sequence[Change] = (),
) -> Steps[int | None]:
    """Write all of that many records. Returns how many that were; None where the database refused one of them.
    `first` is as in `Store.write`.

    The error is dropped at once: what it refers to would keep a statement open, and so a lock, after a crash.
    """
    try:
        return (yield from database.write(table, packed, size, replace=len(held) > 0, absent=absent, first=first))
    except RefusedError:
        return None


def reason_of(refusal: Refusal, table: Table) -> tuple[str, str | None, str]:
    """Return the reason of a record that the database refused: in the words of the project, where it has some."""
    for constraint in table.constraints:
        if constraint.is_meant_by(refusal.constraint, refusal.columns):
            column = only_column(sorted(constraint.columns))
            return constraint.code, column, constraint.message or refusal.said
    return REFUSED, None, refusal.said


def late_rejects(reasons: LateReasons, table: Table, batch: Batch, verdict: Verdict) -> pl.DataFrame:
    """Return the accepted records that could not be stored as rejects, in order of lines."""
    keys = verdict.accepted[table.key]
    among = are_among(keys, reasons)
    places = verdict.places.filter(among)
    return pl.DataFrame(
        {
            "line": batch.lines.gather(places),
            "line_end": batch.line_ends.gather(places),
            "record": batch.to_json(batch.as_read[places]),
            "reasons": [f"[{reason_json(*reasons[key])}]" for key in keys.filter(among)],
        },
        schema=REJECTS,
    ).sort("line")
