"""What becomes of a stored reject when its record is loaded again: it is deleted, in the transaction of what takes its
place. Steps, and no I/O.

A record names the reject that it is mended from. Whatever becomes of the record then, accepted or rejected again, the
old reject has had its day. A name that leads nowhere, or to a reject of another table, does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from async_loader.effects import Steps
from async_loader.errors import LedgerError
from async_loader.ledger.layouts import Layout, parse_reject_name, table_of_record, tables_of
from async_loader.stores import stored_rejects
from async_loader.stores.store import Store
from async_loader.tables import Table

# What is known of the tables that rejects of one run and source are of, as `tables_of` gives it.
_Tables: TypeAlias = Mapping[str, Sequence[Layout]]


@dataclass(frozen=True, slots=True)
class Superseding:
    """What is needed to find the rejects that records of one table name.

    run: the one that loads; its own rejects are never superseded by it.
    tables: all that live in the table's database, by name.
    known: what the ledger says, by run and source, as far as it was asked.
    """

    run: str
    table: Table
    database: Store
    tables: Mapping[str, Table]
    known: dict[tuple[str, str], _Tables] = field(default_factory=dict)


def supersede(this: Superseding, texts: Iterable[str]) -> Steps[Counter[str]]:
    """Delete the table's stored rejects that these texts name. Returns how many, by the run that had stored them."""
    wanted = {name for name in map(parse_reject_name, texts) if name is not None and name[0] != this.run}
    if not wanted:
        return Counter()
    found = yield from stored_rejects.of_names(this.database, sorted(wanted, key=lambda name: name[1]))
    yield from _learn(this, {(run, source) for _, run, source in found} - set(this.known))
    certain = [(number, run) for number, run, source in found if list(this.known[run, source]) == [this.table.name]]
    doubtful = {
        number: (run, source)
        for number, run, source in found
        if this.table.name in (tables := this.known[run, source]) and len(tables) > 1
    }
    ours = certain + (yield from _ours(this, doubtful))
    deleted = yield from stored_rejects.delete_each(this.database, [number for number, _ in ours])
    if deleted != len(ours):
        raise LedgerError(f"table {this.table.name}: {deleted} of {len(ours)} superseded rejects could be deleted")
    return Counter(run for _, run in ours)


def _learn(this: Superseding, origins: Iterable[tuple[str, str]]) -> Steps[None]:
    for run, source in origins:
        lines = yield from stored_rejects.lines_of(this.database, run)
        this.known[run, source] = tables_of(lines, source)


def _ours(this: Superseding, doubtful: Mapping[int, tuple[str, str]]) -> Steps[list[tuple[int, str]]]:
    """Those of the rejects whose own columns tell that they are of the table."""
    if not doubtful:
        return []
    found = yield from stored_rejects.of_ids(this.database, list(doubtful))
    return [
        (number, doubtful[number][0])
        for number, record, reasons in found
        if table_of_record(this.known[doubtful[number]], this.tables, record, reasons) == this.table.name
    ]
