"""Deletes the rejects of earlier loads once the same content has been loaded again as a whole, into the same table, in
the transaction that completes this load. Steps, and no I/O.

A reject says what became of a record. When the source of the record is loaded again, each of its records is judged
anew, and is accepted or rejected: so the rejects of the earlier load say nothing that is still true. Rejects of a
content that only resembles this one stay, and so do those of other tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from async_loader.effects import Steps
from async_loader.ledger.contents import Content, contents_by_path
from async_loader.ledger.entries import COMPLETE, TableRun
from async_loader.ledger.reject_groups import RejectGroup, Selection, reject_group
from async_loader.loading.superseding import Superseding
from async_loader.stores import reject_queries


def earlier_loads(this: Superseding, contents: Iterable[Content]) -> Steps[list[TableRun]]:
    """Return lines of earlier runs that rejected records of this table, and may have read one of these contents."""
    marks = {content.mark for content in contents}
    if not marks:
        return []
    return (yield from reject_queries.rejecting_lines(this.database, this.table.name, this.run, sorted(marks)))


def supersede_repeated(
    this: Superseding, lines: Sequence[TableRun], contents: Collection[Content]
) -> Steps[Counter[str]]:
    """Delete the rejects that runs of these lines have stored of the table, from sources of which all content is among
    these. Returns how many, by run.
    """
    repeated = {
        (line.run, path)
        for line in lines
        for path, several in contents_by_path(line).items()
        if _are_among(several, contents)
    }
    deleted = Counter[str]()
    for row in (yield from reject_queries.group_rows(this.database, {run for run, _ in repeated})):
        run, path, *_ = row
        if (run, path) in repeated:
            run_lines = yield from reject_queries.lines_of_run(this.database, run)
            deleted[run] += yield from _delete(this, reject_group(this.database.name, run_lines, row), contents)
    return +deleted


def _are_among(several: Iterable[Content], contents: Collection[Content]) -> bool:
    return all(any(content.is_same_as(other) for other in contents) for content in several)


def _delete(this: Superseding, group: RejectGroup, contents: Collection[Content]) -> Steps[int]:
    """Delete those of a group's rejects that are of the table.

    Where the group may be of several tables, rejects of which the table is not known go as soon as this run has loaded
    the content into all of these.
    """
    if set(group.tables) <= (yield from _loaded_tables(this, contents)):
        return (yield from reject_queries.delete(this.database, group, None))
    # It reads rejects with libraries that no other load needs.
    from async_loader.loading.retrying import next_page

    number, after = 0, group.first - 1
    selection = Selection(group, this.table.name, None, this.tables)
    while (page := (yield from next_page(this.database, selection, after))) is not None:
        after, rows = page
        number += yield from reject_queries.delete_ids(this.database, [row.id for row in rows])
    return number


def _loaded_tables(this: Superseding, contents: Collection[Content]) -> Steps[set[str]]:
    """Return the tables of the database that this run has completed from all of these contents, with this table."""
    lines = yield from reject_queries.lines_of_run(this.database, this.run)
    loaded = {
        line.table_name
        for line in lines
        if line.state == COMPLETE and _are_among(contents, [*chain.from_iterable(contents_by_path(line).values())])
    }
    return {*loaded, this.table.name}
