"""What becomes of a stored reject when its record is loaded again: it is deleted, in the transaction of what takes its
place. Steps, and no I/O.

A record names the reject that it is mended from. Whatever becomes of the record then, accepted or rejected again, the
old reject has had its day. A name that leads nowhere, or to a reject of another table, does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from async_loader.effects import Steps
from async_loader.errors import LedgerError
from async_loader.origins import Name, named, table_of_record, tables_of
from async_loader.resume import TableRun
from async_loader.stores import rejects
from async_loader.stores.sqlite import Database
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Superseding:
    """What is needed to find the rejects that records of one table name.

    run: the one that loads; its own rejects are never superseded by it.
    tables: all that live in the table's database, by name.
    lines: what the ledger says, by run, of the runs that were asked about.
    """

    run: str
    table: Table
    database: Database
    tables: Mapping[str, Table]
    lines: dict[str, list[TableRun]] = field(default_factory=dict)


def supersede(this: Superseding, texts: Iterable[str]) -> Steps[Counter[str]]:
    """Delete the table's stored rejects that these texts name. Returns how many, by the run that had stored them."""
    wanted = {name for name in map(named, texts) if name is not None and name[0] != this.run}
    if not wanted:
        return Counter()
    found = yield from rejects.of_names(this.database, _in_order(wanted))
    for run in dict.fromkeys(run for _, run, _ in found):
        if run not in this.lines:
            this.lines[run] = yield from rejects.lines_of(this.database, run)
    certain = [(number, run) for number, run, source in found if _candidates(this, run, source) == [this.table.name]]
    doubtful = {
        number: (run, source)
        for number, run, source in found
        if len(candidates := _candidates(this, run, source)) > 1 and this.table.name in candidates
    }
    ours = certain + (yield from _ours(this, doubtful))
    deleted = yield from rejects.delete_each(this.database, [number for number, _ in ours])
    if deleted != len(ours):
        raise LedgerError(f"table {this.table.name}: {deleted} of {len(ours)} superseded rejects could be deleted")
    return Counter(run for _, run in ours)


def _ours(this: Superseding, doubtful: dict[int, tuple[str, str]]) -> Steps[list[tuple[int, str]]]:
    """Those of the rejects whose own columns tell that they are of the table."""
    if not doubtful:
        return []
    found = yield from rejects.of_ids(this.database, list(doubtful))
    return [(number, doubtful[number][0]) for number, *texts in found if _is_ours(this, *doubtful[number], *texts)]


def _is_ours(this: Superseding, run: str, source: str, record: str, reasons: str) -> bool:
    layouts = tables_of(this.lines[run], source)
    return table_of_record(layouts, this.tables, record, reasons) == this.table.name


def _candidates(this: Superseding, run: str, source: str) -> list[str]:
    return list(tables_of(this.lines[run], source))


def _in_order(names: Iterable[Name]) -> list[Name]:
    return sorted(names, key=lambda name: name[1])
