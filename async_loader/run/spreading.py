"""A run that is spread over workers, or rehearsed by them. Steps for the process that leads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from async_loader.effects import Call, Steps, Tell, Together
from async_loader.errors import OverLimitError
from async_loader.ledger.entries import COMPLETE, KEY_RANGE, TableRun
from async_loader.ledger.tally import Tally
from async_loader.loading.sides import RejectAllowance
from async_loader.records.keys import KeyRange
from async_loader.run.executions import Execution, connect_databases, note_unasked, open_databases
from async_loader.run.guards import guard
from async_loader.run.local import DryRun, looked_up
from async_loader.run.recounting import recount
from async_loader.run.resuming import refuse_repeated, resume
from async_loader.run.spread import Beginning, Rehearsal, SpreadTable, spread
from async_loader.run.state import RunState
from async_loader.tables import Table


class Spread(Execution):
    """Each share of a table is loaded by a worker, in a transaction of its own."""

    _tables: dict[str, SpreadTable]

    def prepare(self) -> Steps[None]:
        """Prepare the databases; no table is held: workers write to them, those of an earlier process too."""
        state = self.state
        yield from connect_databases(state)
        written = [state.plan.databases[name] for name in sorted({table.database for table in state.plan.loaded})]
        yield from guard(written, state.plan.options.lock_timeout)
        for database in written:
            yield from database.begin_share()
            yield from database.check_writable()
        yield from _note_places(state)
        yield from resume(state)
        yield from refuse_repeated(state)
        yield Call(state.open_reject_files)
        if state.plan.options.max_rejects is not None:
            yield from _rehearse(state)
        for table in state.plan.loaded:
            line = state.committed.get(table.name)
            if line is not None and line.state == COMPLETE:
                state.tallies[table.name].restore(line)
                yield from recount(state, table)
        self._tables = _spread_tables(state, SpreadTable, state.tallies, state.committed)

    def load(self, table: Table) -> Steps[None]:
        """Lead the load of one table."""
        return spread(self._tables[table.name])

    def commit(self) -> Steps[None]:
        """Commit nothing more: every share is committed by its worker."""
        yield from ()


class DrySpread(Execution):
    """Each share of a table is judged by a worker, and nothing is written.

    What records look up in a table of the same run is in no database, so that workers cannot see it. Then this process
    judges all records, as it does without workers.
    """

    _tables: dict[str, SpreadTable]
    _alone: DryRun | None = None

    def prepare(self) -> Steps[None]:
        """Open the databases for reading."""
        if names := sorted(looked_up(self.state) & {table.name for table in self.state.plan.loaded}):
            yield Tell(
                f"rows of {', '.join(names)} may be looked up, and are not stored: one process judges all records"
            )
            self._alone = DryRun(self.state)
            yield from self._alone.prepare()
            return
        yield from open_databases(self.state)
        yield from _note_places(self.state)
        yield from refuse_repeated(self.state)
        yield Call(self.state.open_reject_files)
        yield from note_unasked(self.state)
        self._tables = _spread_tables(self.state, Rehearsal, self.state.tallies, {})

    def load(self, table: Table) -> Steps[None]:
        """Lead the load of one table, or judge it here."""
        return spread(self._tables[table.name]) if self._alone is None else self._alone.load(table)

    def commit(self) -> Steps[None]:
        """Commit nothing: nothing was written."""
        yield from ()


def _note_places(state: RunState) -> Steps[None]:
    """Note where this process finds the tables of each database."""
    plan = state.plan
    for name in sorted({table.database for table in plan.loaded + plan.referenced_only}):
        state.places[name] = yield from plan.databases[name].shares.place()


def _rehearse(state: RunState) -> Steps[None]:
    """Find out whether there are more rejects than are allowed before anything is written, with tallies of its own."""
    tallies = {table.name: Tally(table.database, state.plan.paths(table), 0) for table in state.plan.loaded}
    try:
        yield Together([spread(each) for each in _spread_tables(state, Rehearsal, tallies, {}).values()])
    except OverLimitError:
        for name, tally in tallies.items():
            state.tallies[name].take_rehearsed(tally)
        raise


def _spread_tables(
    state: RunState, kind: type[SpreadTable], tallies: Mapping[str, Tally], committed: Mapping[str, TableRun]
) -> dict[str, SpreadTable]:
    """Return what spreading each table that is not complete needs to know, by its name."""
    loaded = state.remaining
    allowance = RejectAllowance(state.plan.options.max_rejects, [table.name for table in loaded])
    ranges: dict[str, KeyRange | None] = {}
    accepted: dict[str, Any] = {}
    return {
        table.name: kind(
            state=state,
            table=table,
            tally=tallies[table.name],
            allowance=allowance,
            ranges=ranges,
            accepted=accepted,
            loaded=loaded,
            # Where rejects are counted apart, they are not written.
            files=state.files.get(table.name) if tallies is state.tallies else None,
            beginning=_beginning(committed.get(table.name)),
        )
        for table in loaded
    }


def _beginning(line: TableRun | None) -> Beginning | None:
    """Return the keys that a table held when an earlier process began with it."""
    if line is None:
        return None
    key_range = json.loads(line.sources)[KEY_RANGE]
    return Beginning(None if key_range is None else tuple(key_range))
