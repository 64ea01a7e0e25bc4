"""What the database itself refuses: halved until few rows are left, tried one by one, and made rejects. No I/O.

k bad rows of n cost about k log n statements, and n single ones where most are bad; all others are stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from async_loader.effects import Call, Packed, Steps
from async_loader.errors import RefusedError
from async_loader.records.batches import Batch
from async_loader.records.reasons import REFUSED, reason_json
from async_loader.records.validation import REJECTS, Verdict
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.stores.store import Store

# That many rows one by one take about as long as one statement with a part of a batch.
ONE_BY_ONE = 256

# By key, what the database said of a record that it refused.
Refused: TypeAlias = Mapping[Any, str]


def write_apart(
    database: Store,
    table: Table,
    records: pl.DataFrame,
    packed: Sequence[Packed],
    held: pl.Series,
    *,
    absent: Collection[str],
) -> Steps[tuple[int, Refused]]:
    """Write records with keys of their own, of which the table holds some; those rows keep their values of columns that
    are `absent`. Returns how many were stored, and what was refused.
    """
    try:
        return (yield from database.write(table, packed, len(records), replace=len(held) > 0, absent=absent)), {}
    except RefusedError:
        if len(records) <= ONE_BY_ONE:
            return (yield from database.write_each(table, records, held, absent))
    changed, refused = 0, dict[Any, str]()
    middle = len(records) // 2
    for half in (records.head(middle), records.slice(middle)):
        parts: Sequence[Packed] = yield Call(partial(database.pack, replace=len(held) > 0), (half, table.key))
        more, others = yield from write_apart(database, table, half, parts, held, absent=absent)
        changed += more
        refused |= others
    return changed, refused


def rejects_with(refused: Refused, table: Table, batch: Batch, verdict: Verdict) -> pl.DataFrame:
    """Return a verdict's rejects, and with them the accepted records that were refused, in order of lines."""
    keys = verdict.accepted[table.key]
    among = keys.is_in(list(refused))
    places = verdict.places.filter(among)
    reasons = [f"[{reason_json(REFUSED, None, refused[key])}]" for key in keys.filter(among)]
    rejects = pl.DataFrame(
        {
            "line": batch.lines.gather(places),
            "line_end": batch.line_ends.gather(places),
            "record": batch.to_json(batch.as_read[places]),
            "reasons": reasons,
        },
        schema=REJECTS,
    )
    return pl.concat([verdict.rejects, rejects]).sort("line")
