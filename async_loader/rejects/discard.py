"""Stored rejects deleted because a person wants no more of them; the ledger keeps how many. A generator of effects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from async_loader.effects import Complete, Connect, Now, Steps
from async_loader.ledger.counts import NOTHING
from async_loader.ledger.entries import COMPLETE, DISCARD, DISCARDED, TableRun
from async_loader.ledger.layouts import READ
from async_loader.ledger.reject_groups import Selection
from async_loader.loading.retrying import next_page
from async_loader.run.inspection import Inspection
from async_loader.stores import reject_queries
from async_loader.stores.store import Store


def discard(inspection: Inspection, run: str, selections: Sequence[Selection]) -> Steps[int]:
    """Delete the selected rejects, as far as they are still there, and record that in the ledgers under this run:
    database by database, each in a transaction of its own. Returns how many were deleted.
    """
    began = (yield Now()).isoformat()
    total = 0
    for name in sorted({selection.group.database for selection in selections}):
        here = [selection for selection in selections if selection.group.database == name]
        total += yield from _discard_in(inspection, run, began, here)
    return total


def _discard_in(inspection: Inspection, run: str, began: str, selections: Sequence[Selection]) -> Steps[int]:
    """Discard in the one database that these selections are of."""
    name = selections[0].group.database
    database, tables = inspection.databases[name], inspection.here(name)
    yield Connect(database, inspection.options.lock_timeout)
    for table in tables:
        yield from database.check(table)
    yield from database.begin(tables)
    # By table, how many of which run.
    deleted: dict[str, Counter[str]] = {}
    for selection in selections:
        number = yield from _delete(database, selection)
        deleted.setdefault(selection.table_in_words, Counter())[selection.group.run] += number
    finished = (yield Now()).isoformat()
    for table_name, counts in deleted.items():
        if +counts:
            yield from database.save_run(_line(run, table_name, +counts, (began, finished)))
    yield Complete(database.commit())
    return sum(counts.total() for counts in deleted.values())


def _delete(database: Store, selection: Selection) -> Steps[int]:
    group = selection.group
    if group.is_of_one_table:
        return (yield from reject_queries.delete(database, group, selection.reason))
    number, after = 0, group.first - 1
    while (page := (yield from next_page(database, selection, after))) is not None:
        after, rows = page
        number += yield from reject_queries.delete_ids(database, [row.id for row in rows])
    return number


def _line(run: str, table: str, counts: Counter[str], times: tuple[str, str]) -> TableRun:
    """Make the ledger's line of what was discarded of a table."""
    facts = {"tables": {table: []}, READ: [], DISCARDED: dict(counts)}
    began, finished = times
    return TableRun(run, table, DISCARD, json.dumps(facts), COMPLETE, NOTHING, 0, began, finished)
