"""A whole run: open the sources, prepare the databases, load the tables side by side, commit, report.

Like `load`, a generator of effects. Without checkpoints nothing is kept in any database until all tables are written.
No commit, at the end or at a checkpoint, leaves a reference that leads nowhere, because a table's targets are committed
before it. A run that was cut short is resumed by the next one of the same sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from async_loader.effects import Connect, Now, Steps, Tell, Together
from async_loader.errors import LoaderError
from async_loader.run.executions import execution_of
from async_loader.run.loaded import announce
from async_loader.run.plan import LOCK_TIMEOUT, check_databases
from async_loader.run.reading import open_sources
from async_loader.run.state import RunState
from async_loader.stores.store import Store
from async_loader.table_order import databases_in_commit_order, in_reference_order
from async_loader.tables import Table


def run(state: RunState) -> Steps[None]:
    """Carry out the plan."""
    execution = execution_of(state)
    state.begin((yield Now()))
    try:
        yield from open_sources(state)
        yield from execution.prepare()
        yield Together([execution.load(table) for table in state.remaining])
        yield from execution.commit()
        yield from _report_superseded(state)
    except LoaderError:
        yield from announce(state)
        raise
    else:
        yield from announce(state)
    finally:
        state.close()


def _report_superseded(state: RunState) -> Steps[None]:
    for name, tally in state.tallies.items():
        if count := tally.superseded.total():
            were = "earlier reject is" if count == 1 else "earlier rejects are"
            yield Tell(f"{name}: {count:,} {were} superseded")


def initialise(tables: Iterable[Table], databases: Mapping[str, Store], *, fresh: bool) -> Steps[None]:
    """Create what is missing in each database; with `fresh` empty it first, referencing tables before their targets."""
    ordered = in_reference_order(tables)
    check_databases(ordered, databases)
    if any(table.parents for table in ordered):
        from async_loader.stores.inherited import for_tables

        databases = for_tables(databases, ordered)
    for name in dict.fromkeys([*reversed(databases_in_commit_order(ordered)), *databases]):
        database = databases[name]
        yield Connect(database, LOCK_TIMEOUT, create=True)
        here = [table for table in ordered if table.database == name]
        yield from database.create(here, fresh=fresh)
        for table in here:
            yield from database.check(table)
        yield from database.commit()
