"""How far a run has come with a table, kept in the table's own database with its records. Steps."""

from __future__ import annotations

import json

from async_loader.effects import Now, Steps
from async_loader.errors import StoreError
from async_loader.ledger.entries import COMPLETE, SUPERSEDED, Facts, TableRun
from async_loader.ledger.layouts import READ
from async_loader.run.reading import layouts_read
from async_loader.run.state import RunState
from async_loader.tables import Table


def save(run: RunState, table: Table, state: str, facts: Facts | None = None) -> Steps[None]:
    """Keep in the ledger, in the open transaction, how far the run has come with a table; `facts` are more of these."""
    tally, database = run.tallies[table.name], run.database(table)
    facts = run.facts | (facts or {}) | {READ: layouts_read(run.readers[table.name])}
    if tally.superseded:
        facts[SUPERSEDED] = dict(tally.superseded)
    line = TableRun(
        run=run.run,
        table_name=table.name,
        mode=run.plan.mode,
        sources=json.dumps(facts),
        state=state,
        counts=tally.counts,
        checkpoint=tally.counts.given,
        started_at=run.began,
        finished_at=(yield Now()).isoformat() if state == COMPLETE else None,
    )
    yield from database.save_run(line)
    if state == COMPLETE:
        yield from database.go_on_counting(table)


def confirm(run: RunState, table: Table) -> Steps[None]:
    """Raise StoreError where another process has resumed this run, while no transaction of this one was open."""
    committed = yield from run.database(table).checkpoint(run.run, table)
    if (committed or 0) != run.tallies[table.name].kept.records:
        problem = f"another process goes on with run {run.run}, and has come to record {committed or 0:,}"
        raise StoreError(table.database, f"table {table.name}: {problem}; let it finish")
