"""What came of all shares of a table, as its database says."""

from __future__ import annotations

from functools import partial
from typing import Any

import polars as pl

from async_loader.effects import Call, Steps
from async_loader.ledger.outcomes import outcome_from, total
from async_loader.ledger.tally import Tally
from async_loader.loading.sides import TakesRejects
from async_loader.run.patience import patiently
from async_loader.run.state import RunState
from async_loader.stores.reject_queries import BY_LINE, as_judged, page_of_source
from async_loader.tables import Table


def recount(state: RunState, table: Table) -> Steps[int]:
    """Count what came of all shares of a table, as its database says, and write the files of their rejects. Returns how
    many shares that were.
    """
    database, tally, files = state.database(table), state.tallies[table.name], state.files.get(table.name)
    texts = yield from patiently(state, partial(database.shares.outcomes, state.run, table.name))
    tally.take_total(total([outcome_from(text, table) for text in texts]))
    for reader in {reader.source.name: reader for reader in state.readers[table.name]}.values():
        last = None
        while files is not None or len(tally.rejects) < tally.rejects_shown:
            # Shares are committed in any order.
            ask = partial(page_of_source, database, state.run, reader.source.name, last, order=BY_LINE)
            page = yield from patiently(state, ask)
            if not page:
                break
            yield Call(_take_rejects, (tally, files, reader, as_judged(page)))
            last = page[-1]
    return len(texts)


def _take_rejects(tally: Tally, files: TakesRejects | None, reader: Any, rejects: pl.DataFrame) -> None:
    tally.show_rejects(reader.source.name, rejects)
    if files is not None:
        files.write(reader, rejects)
