"""Deletes a stored reject when its record is loaded again, in the transaction of that load. Steps, and no I/O.

A record names the reject that it is mended from. Whatever becomes of the record then, accepted or rejected again, it
has been judged anew, and the old reject goes. A reject that takes its place is found under the old name too: the file
that gives the name may be mended and loaded once more. A name that leads nowhere, or to a reject of another table,
deletes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import polars as pl

from async_loader.effects import Steps
from async_loader.errors import LedgerError
from async_loader.ledger.layouts import Layout, layouts_by_table
from async_loader.ledger.reject_groups import table_of_record, with_parsed_names
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


def replace_rejects(
    this: Superseding, path: str, named: pl.DataFrame, lines: pl.Series, add: Steps[int]
) -> Steps[tuple[int, Counter[str]]]:
    """Delete the table's stored rejects that records name, and add those of the batch, which keep the names.

    named: the line of each record of the batch that names a reject, and the name. lines: those of the batch's rejects,
    all of this source, that the steps `add` store. Returns how many these were, and how many were deleted, by the run
    that had stored them.
    """
    named = with_parsed_names(named).filter(pl.col("run") != this.run)
    replaced = (yield from _find(this, named)).filter(pl.col("run") != this.run)
    failing = named.filter(pl.col("line").is_in(lines.implode()))
    kept = yield from _names_to_keep(this, failing, replaced)
    rejects = replaced.unique("id")
    made_good = yield from reject_queries.made_good(this.database, rejects["id"])
    deleted = yield from reject_queries.delete_ids(this.database, rejects["id"])
    if deleted != len(rejects):
        raise LedgerError(f"table {this.table.name}: {deleted} of {len(rejects)} superseded rejects could be deleted")
    after = (yield from reject_queries.last_id(this.database)) if len(kept) else 0
    added = yield from add
    if len(kept):
        yield from reject_queries.keep_names(this.database, this.run, path, after, kept)
    if len(kept) and len(made_good):
        # What was made good once stays so when it is tried again in vain.
        good = failing.select("line", "name").join(replaced.select("name", "id"), on="name").join(made_good, on="id")
        yield from reject_queries.keep_good_lines(this.database, this.run, path, after, good.unique("line"))
    return added, Counter(rejects["run"])


def _find(this: Superseding, named: pl.DataFrame) -> Steps[pl.DataFrame]:
    """Return the table's stored rejects that these names call, each with the name, run and path."""
    if not len(named):
        return pl.DataFrame(schema=reject_queries.NAMED)
    rejects = yield from reject_queries.find_named(this.database, named)
    groups = rejects.select("run", "path").unique().rows()
    yield from _learn_candidates(this, set(groups) - set(this.candidates))
    certain = [group for group in groups if list(this.candidates[group]) == [this.table.name]]
    possible = [group for group in groups if this.table.name in this.candidates[group] and group not in certain]
    return pl.concat([_of_groups(rejects, certain), (yield from _of_this_table(this, _of_groups(rejects, possible)))])


def _of_groups(rejects: pl.DataFrame, groups: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Return the rejects of these runs and paths."""
    wanted = pl.DataFrame(groups, schema={"run": pl.String, "path": pl.String}, orient="row")
    return rejects.join(wanted, on=["run", "path"], how="semi")


def _names_to_keep(this: Superseding, failing: pl.DataFrame, replaced: pl.DataFrame) -> Steps[pl.DataFrame]:
    """Return, with the lines of their records, the names under which the rejects to come are to be found.

    A record that fails again is found under the name that it gives, so that the same file can be loaded again, and
    under those of the reject that it replaces, so that an older file can.
    """
    given = failing.select("line", "name")
    if not len(given) or not len(replaced):
        return given
    earlier = yield from reject_queries.earlier_names(this.database, replaced["id"].unique())
    inherited = replaced.select("name", "id").join(earlier.rename({"name": "earlier"}), on="id")
    return pl.concat([given, given.join(inherited, on="name").select("line", name="earlier")])


def _learn_candidates(this: Superseding, groups: Iterable[tuple[str, str]]) -> Steps[None]:
    for run, path in groups:
        lines = yield from reject_queries.lines_of_run(this.database, run)
        this.candidates[run, path] = layouts_by_table(lines, path)


def _of_this_table(this: Superseding, rejects: pl.DataFrame) -> Steps[pl.DataFrame]:
    """Return those of the rejects whose own columns show that they are of the table."""
    if not len(rejects):
        return rejects
    groups = {number: (run, path) for number, run, path in rejects.select("id", "run", "path").rows()}
    rows = yield from reject_queries.records_of(this.database, groups)
    ours = [
        number
        for number, record, reasons in rows
        if table_of_record(this.candidates[groups[number]], this.tables, record, reasons) == this.table.name
    ]
    return rejects.filter(pl.col("id").is_in(ours))
