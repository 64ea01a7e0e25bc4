"""Notes which stored rejects of earlier runs a load has made good: it has accepted a record under their key, or under
their match columns. In the transaction of the load; steps, and no I/O.

A reject stays where it is then, because nothing says that its own values were stored; but it is shown as made good, and
is not tried again: it would put older values into the row. One that was rejected only as a duplicate is none of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from async_loader.effects import Call, Steps
from async_loader.errors import LoaderError
from async_loader.ledger.reject_groups import RejectGroup, RejectRow, Selection, reject_group
from async_loader.loading.finding import Finding
from async_loader.records.batches import Batch
from async_loader.records.identities import identities
from async_loader.stores import reject_queries

if TYPE_CHECKING:
    from async_loader.loading.load import Load

# Stored rejects that a load looks at, those of the last runs first: at most the first number, in a second. A small load
# looks at the second number of them, and as many more as it has accepted records.
MOST_LOOKED_AT, LOOKED_AT = 100_000, 10_000
# The code of a record beside which another one of its own run was accepted.
_DUPLICATE = "duplicate"
_QUOTED_DUPLICATE = f'"{_DUPLICATE}"'


def make_good(this: Load, finding: Finding) -> Steps[None]:
    """Note the rejects of earlier runs under whose keys this load has accepted records."""
    if this.superseding is None or this.table.append or (this.table.match and this.tally.refused):
        return
    counts = this.tally.counts
    accepted = counts.given - counts.rejected
    left = min(MOST_LOOKED_AT, LOOKED_AT + accepted) if accepted else 0
    for group in (yield from _groups(this)) if accepted else ():
        left -= yield from _make_good(this, finding, group, left)
        if left <= 0:
            return


def _groups(this: Load) -> Steps[list[RejectGroup]]:
    """Return the stored rejects that earlier runs may have of the table, the newest first."""
    lines = yield from reject_queries.rejecting_lines(this.database, this.table.name, this.run)
    by_run = {line.run: line for line in lines}
    groups = []
    for row in (yield from reject_queries.group_rows(this.database, set(by_run))):
        run_lines = yield from reject_queries.lines_of_run(this.database, row[0])
        group = reject_group(this.database.name, run_lines, row)
        if this.table.name in group.tables and not _will_go(this, group):
            groups.append(group)
    return groups[::-1]


def _will_go(this: Load, group: RejectGroup) -> bool:
    """Return whether this load takes the place of all of a group: it reads the same contents."""
    contents = group.contents.get(this.table.name, ())
    return bool(contents) and all(any(each.is_same_as(own) for own in this.contents) for each in contents)


def _make_good(this: Load, finding: Finding, group: RejectGroup, most: int) -> Steps[int]:
    """Look at the rejects of a group, page after page, until it has seen as many as that. Returns how many."""
    assert this.superseding is not None
    selection = Selection(group, this.table.name, None, this.superseding.tables)
    if any(layout.append or layout.match != this.table.match for layout in selection.layouts):
        return 0
    after, looked_at = group.first - 1, 0
    while looked_at < most and (rows := (yield from reject_queries.unnamed_page(this.database, group, after))):
        after = rows[-1].id
        looked_at += len(rows)
        good = yield Call(_made_good, (this, finding, selection, rows))
        yield from reject_queries.keep_made_good(this.database, this.run, group.run, good)
    return looked_at


def _made_good(this: Load, finding: Finding, selection: Selection, rows: Sequence[RejectRow]) -> list[int]:
    """Return the ids of the rejects under whose keys this load has accepted records. Rejects that cannot be read, or
    not any more, are none of them: they are no fault of this load.
    """
    try:
        wrong = _at_fault(selection.of_table(rows))
        return [int(name) for batch in _batches(this, selection, wrong) for name in _accepted(this, finding, batch)]
    except (ValueError, TypeError, KeyError, AttributeError, LoaderError):
        return []


def _at_fault(rows: Sequence[RejectRow]) -> list[RejectRow]:
    """Return the rejects that are not only duplicates. Reasons are read where their text has the code at all: reading
    all of them would take as long as finding the keys.
    """
    return [row for row in rows if _QUOTED_DUPLICATE not in row.reasons or not _is_duplicate(row)]


def _is_duplicate(row: RejectRow) -> bool:
    """Return whether a reject has no other reason than that it is a duplicate."""
    return all(reason["code"] == _DUPLICATE for reason in json.loads(row.reasons))


def _batches(this: Load, selection: Selection, rows: Sequence[RejectRow]) -> Iterator[Batch]:
    """Yield the records of rejects as they were read."""
    # Most loads have no earlier rejects to look at, and do without what this imports.
    from async_loader.sources.stored_rejects import StoredReader

    reader = StoredReader(selection, this.table, max(1, len(rows)))
    reader.take(rows)
    while (batch := reader.give()) is not None:
        yield batch


def _accepted(this: Load, finding: Finding, batch: Batch) -> pl.Series:
    """Return the names of the rejects under whose keys, or match columns, a record was accepted."""
    assert batch.supersedes is not None
    if not this.table.match:
        return batch.supersedes.filter(this.accepted.are_referable(batch.values[this.table.key]))
    if set(this.table.match) & set(batch.lookups):
        return batch.supersedes.clear()
    return batch.supersedes.filter(finding.taken(identities(batch.values.select(this.table.match))))
