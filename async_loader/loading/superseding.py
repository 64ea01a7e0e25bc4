"""Deletes a stored reject when its record is loaded again, in the transaction of that load. Steps, and no I/O.

A record names the reject that it is mended from. Whatever becomes of the record then, accepted or rejected again, it
has been judged anew, and the old reject goes. A name that leads nowhere, or to a reject of another table, does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from async_loader.effects import Steps
from async_loader.errors import LedgerError
from async_loader.ledger.layouts import Layout, layouts_by_table
from async_loader.ledger.reject_groups import parse_reject_name, table_of_record
from async_loader.stores import reject_queries
from async_loader.stores.store import Store
from async_loader.tables import Table

# The tables that rejects of one run and source may be of, as `layouts_by_table` gives them.
_Candidates: TypeAlias = Mapping[str, Sequence[Layout]]


@dataclass(frozen=True, slots=True)
class Superseding:
    """What is needed to find the rejects that records of one table name.

    run: the one that loads; it never supersedes rejects of its own.
    tables: all that live in the table's database, by name.
    candidates: what the ledger says, by run and source, as far as it was asked.
    """

    run: str
    table: Table
    database: Store
    tables: Mapping[str, Table]
    candidates: dict[tuple[str, str], _Candidates] = field(default_factory=dict)


def supersede(this: Superseding, texts: Iterable[str]) -> Steps[Counter[str]]:
    """Delete the table's stored rejects that these texts name. Returns how many, by the run that had stored them."""
    names = {name for name in map(parse_reject_name, texts) if name is not None and name[0] != this.run}
    if not names:
        return Counter()
    rejects = yield from reject_queries.find_named(this.database, sorted(names, key=lambda name: name[1]))
    yield from _learn_candidates(this, {(run, path) for _, run, path in rejects} - set(this.candidates))
    ours: list[tuple[int, str]] = []
    uncertain: dict[int, tuple[str, str]] = {}
    for number, run, path in rejects:
        candidates = this.candidates[run, path]
        if list(candidates) == [this.table.name]:
            ours.append((number, run))
        elif this.table.name in candidates:
            uncertain[number] = run, path
    ours += yield from _of_this_table(this, uncertain)
    deleted = yield from reject_queries.delete_ids(this.database, [number for number, _ in ours])
    if deleted != len(ours):
        raise LedgerError(f"table {this.table.name}: {deleted} of {len(ours)} superseded rejects could be deleted")
    return Counter(run for _, run in ours)


def _learn_candidates(this: Superseding, groups: Iterable[tuple[str, str]]) -> Steps[None]:
    for run, path in groups:
        lines = yield from reject_queries.lines_of_run(this.database, run)
        this.candidates[run, path] = layouts_by_table(lines, path)


def _of_this_table(this: Superseding, uncertain: Mapping[int, tuple[str, str]]) -> Steps[list[tuple[int, str]]]:
    """Return id and run of the rejects whose own columns show that they are of the table; `uncertain` by id."""
    if not uncertain:
        return []
    rows = yield from reject_queries.records_of(this.database, list(uncertain))
    return [
        (number, uncertain[number][0])
        for number, record, reasons in rows
        if table_of_record(this.candidates[uncertain[number]], this.tables, record, reasons) == this.table.name
    ]
