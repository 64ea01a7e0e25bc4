"""How a run is executed: in this process with one commit, with checkpoints, spread over workers, or dry. Steps.

Which of these it is is looked up once, by `execution_of`; all else asks the execution.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from async_loader.effects import Connect, Steps
from async_loader.loading.versions import Versions
from async_loader.run.discovery import complete
from async_loader.run.plan import Plan
from async_loader.run.state import RunState
from async_loader.tables import Table


class Execution(ABC):
    """One way to execute a run. `prepare` comes first, `load` for each table after it, `commit` last."""

    def __init__(self, state: RunState) -> None:
        self.state = state

    @abstractmethod
    def prepare(self) -> Steps[None]:
        """Make databases and files ready, and see what an earlier run has committed."""

    @abstractmethod
    def load(self, table: Table) -> Steps[None]:
        """Load one table, beside others."""

    @abstractmethod
    def commit(self) -> Steps[None]:
        """Commit what is not committed by then."""


def execution_of(state: RunState) -> Execution:
    """Look up how a run is executed."""
    options = state.plan.options
    if state.plan.cluster is not None:
        from async_loader.run.spreading import DrySpread, Spread

        return DrySpread(state) if options.dry_run else Spread(state)

    from async_loader.run.local import Checkpointed, DryRun, OneCommit

    if options.dry_run:
        return DryRun(state)
    return Checkpointed(state) if options.commit_every else OneCommit(state)


def open_databases(state: RunState, versions: Versions | None = None) -> Steps[None]:
    """Connect, check and lock: always in the order of names, so that two runs never hold what the other waits for.

    versions: notes those that databases have then.
    """
    yield from connect_databases(state)
    plan = state.plan
    written = {table.database for table in plan.loaded}
    for name in sorted({table.database for table in plan.loaded + plan.referenced_only}):
        database = plan.databases[name]
        if name in written:
            here = [table for table in plan.loaded if table.database == name]
            yield from database.begin([*here, *plan.link_tables(name)])
            yield from database.check_writable()
        else:
            yield from database.begin_reading()
        if versions is not None:
            yield from versions.note(database)


def connect_databases(state: RunState) -> Steps[None]:
    """Connect to databases, check their tables, and complete the plan by what they say.

    All of that is asked in one transaction of each: outside of one a server takes three times as long to answer.
    """
    yield from _connect(state.plan)
    completed = yield from complete(state.plan)
    yield from release_databases(state)
    state.plan = completed


def _connect(plan: Plan) -> Steps[None]:
    tables = plan.loaded + plan.referenced_only
    written = {table.database for table in plan.loaded}
    for name in sorted({table.database for table in tables}):
        yield Connect(plan.databases[name], plan.options.lock_timeout, writable=name in written)
        yield from plan.databases[name].begin_reading()
        for table in tables:
            if table.database == name:
                yield from plan.databases[name].check(table, filled=table in plan.loaded)
        for table in plan.link_tables(name):
            yield from plan.databases[name].check(table, filled=True)


def release_databases(state: RunState, *, only_read: bool = False) -> Steps[None]:
    """Roll back what `open_databases` began; with `only_read`, in databases that nothing is written to."""
    plan = state.plan
    written = {table.database for table in plan.loaded} if only_read else set()
    for name in sorted({table.database for table in plan.loaded + plan.referenced_only} - written):
        yield from plan.databases[name].roll_back()


def note_unasked(state: RunState) -> Steps[None]:
    """Note which constraints a dry run cannot ask, because the database asks them when a table is changed."""
    for table in state.plan.loaded:
        state.tallies[table.name].cannot_ask((yield from state.database(table).unasked(table)))
