"""What the database itself refuses: halved until the bad rows stand alone, and made rejects. No I/O.

k bad rows of n cost about k log n statements; all others are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from async_loader.batches import Batch
from async_loader.effects import Call, Packed, Steps
from async_loader.errors import RefusedError
from async_loader.reasons import reason_json
from async_loader.tables import Table
from async_loader.validation import REJECTS, Verdict

if TYPE_CHECKING:
    from async_loader.stores.sqlite import Database

CODE = "refused"

# By key, what the database said of a record that it refused.
Refused: TypeAlias = Mapping[Any, str]
# Stores records, which come packed too, or raises RefusedError and stores none.
Write: TypeAlias = Callable[[pl.DataFrame, Sequence[Packed]], Steps[int]]


def write_apart(
    database: Database, write: Write, table: Table, records: pl.DataFrame, packed: Sequence[Packed]
) -> Steps[tuple[int, Refused]]:
    """Write records with keys of their own. Returns how many rows changed, and what was refused."""
    try:
        return (yield from write(records, packed)), {}
    except RefusedError as error:
        if len(records) == 1:
            return 0, {records[table.key][0]: error.problem}
    changed, refused = 0, dict[Any, str]()
    middle = len(records) // 2
    for half in (records.head(middle), records.slice(middle)):
        parts: Sequence[Packed] = yield Call(database.pack, (half,))
        more, others = yield from write_apart(database, write, table, half, parts)
        changed += more
        refused |= others
    return changed, refused


def rejects_with(refused: Refused, table: Table, batch: Batch, verdict: Verdict) -> pl.DataFrame:
    """A verdict's rejects, and with them the accepted records that were refused, in order of lines."""
    keys = verdict.accepted[table.key]
    among = keys.is_in(list(refused))
    places = verdict.places.filter(among)
    reasons = [f"[{reason_json(CODE, None, refused[key])}]" for key in keys.filter(among)]
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
