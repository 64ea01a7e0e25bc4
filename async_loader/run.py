"""A whole run: check everything, lock, load the tables side by side, and commit in the order of references.

Like `load`, a generator of effects. Until the first commit nothing is kept anywhere; from then on every commit leaves
the databases without a reference that leads nowhere, because a table's targets are committed before it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from async_loader.effects import Call, Complete, Connect, Now, Steps, Together
from async_loader.errors import OutputError, StoreError
from async_loader.keys import KeyRange, key_set
from async_loader.load import Load, RejectAllowance, load
from async_loader.plan import LOCK_TIMEOUT, Plan, check_databases
from async_loader.rejects import RejectFiles
from async_loader.report import Report, Tally
from async_loader.sources import Reader
from async_loader.stores.sqlite import Database
from async_loader.tables import Table, databases_in_commit_order, in_reference_order


class Ledger:
    """The tallies of a run while it goes on; at any moment a report can be made of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seconds = 0.0
        self.committed: list[str] = []
        self.tallies = {
            table.name: Tally(
                table.database,
                tuple(source.path for source in plan.sources[table.name]),
                plan.options.report_rejects,
            )
            for table in plan.loaded
        }

    def report(self, status: str, error: str | None = None) -> Report:
        """As it stands now. A run that is not complete has kept just what it committed before it failed."""
        return Report(
            run=self.plan.run,
            mode=self.plan.mode,
            status=status,
            dry_run=self.plan.options.dry_run,
            seconds=round(self.seconds, 3),
            error=error,
            tables={
                name: tally.report(kept=status == "complete" or tally.database in self.committed)
                for name, tally in self.tallies.items()
            },
        )


def initialise(tables: Iterable[Table], databases: Mapping[str, Database], *, fresh: bool) -> Steps[None]:
    """Create what is missing in each database; with `fresh` empty it first, referencing tables before their targets."""
    ordered = in_reference_order(tables)
    check_databases(ordered, databases)
    for name in reversed(databases_in_commit_order(ordered)):
        database = databases[name]
        yield Connect(database, LOCK_TIMEOUT, create=True)
        yield from database.begin()
        here = [table for table in ordered if table.database == name]
        yield from database.create(here, fresh=fresh)
        for table in here:
            yield from database.check(table)
        yield from database.commit()


def run(ledger: Ledger) -> Steps[None]:
    """Carry out the plan, counting in the ledger."""
    plan = ledger.plan
    began = yield Now()
    files = _reject_files(plan)
    readers: dict[str, list[Reader]] = {}
    try:
        for table in plan.loaded:
            readers[table.name] = []
            for source in plan.sources[table.name]:
                reader = yield Call(Reader, (source, table, plan.options.batch_size))
                readers[table.name].append(reader)
        for each in files.values():
            yield Call(each.check)
        yield from _open_databases(plan)
        yield from _load_all(ledger, readers, files, began)
        if not plan.options.dry_run:
            yield from _keep_runs(ledger, began)
            yield Complete(_commit(ledger))
    finally:
        for reader in [reader for opened in readers.values() for reader in opened]:
            reader.close()
        for each in files.values():
            # Closed already where all went well; else the error that ended the run is the one to tell.
            with contextlib.suppress(OutputError):
                each.close()


def _reject_files(plan: Plan) -> dict[str, RejectFiles]:
    if plan.options.rejects_dir is None:
        return {}
    return {table.name: RejectFiles(plan.options.rejects_dir / plan.run, table) for table in plan.loaded}


def _open_databases(plan: Plan) -> Steps[None]:
    """Connect, check and lock: always in the order of names, so that two runs never hold what the other waits for."""
    written = {table.database for table in plan.loaded} if not plan.options.dry_run else set()
    tables = plan.loaded + plan.referenced_only
    names = sorted({table.database for table in tables})
    for name in names:
        database = plan.databases[name]
        yield Connect(database, plan.options.lock_timeout, writable=name in written)
        for table in tables:
            if table.database == name:
                yield from database.check(table)
    for name in names:
        database = plan.databases[name]
        yield from database.begin() if name in written else database.begin_reading()


def _load_all(
    ledger: Ledger, readers: Mapping[str, Sequence[Reader]], files: Mapping[str, RejectFiles], began: datetime
) -> Steps[None]:
    plan = ledger.plan
    options = plan.options
    ranges: dict[str, KeyRange | None] = {}
    for table in plan.loaded + plan.referenced_only:
        ranges[table.name] = yield from plan.database(table).key_range(table)
    accepted = {table.name: key_set(table.column(table.key)) for table in plan.loaded}
    allowance = RejectAllowance(options.max_rejects, accepted)
    by_name = {table.name: (table, plan.database(table)) for table in plan.tables}
    loads = [
        Load(
            run=plan.run,
            started_at=began.isoformat(),
            table=table,
            database=plan.database(table),
            readers=readers[table.name],
            on_conflict=options.on_conflict,
            dry_run=options.dry_run,
            allowance=allowance,
            accepted=accepted[table.name],
            tally=ledger.tallies[table.name],
            targets=by_name,
            target_keys=accepted,
            ranges=ranges,
            files=files.get(table.name),
        )
        for table in plan.loaded
    ]
    yield Together([load(each) for each in loads])


def _keep_runs(ledger: Ledger, began: datetime) -> Steps[None]:
    """One line for each table, in its own database and in the transaction of its records."""
    plan = ledger.plan
    finished_at = (yield Now()).isoformat()
    for table in plan.loaded:
        tally = ledger.tallies[table.name]
        yield from plan.database(table).add_run(
            {
                "run": plan.run,
                "table_name": table.name,
                "mode": plan.mode,
                "sources": json.dumps(tally.sources),
                "state": "complete",
                "given": tally.given,
                "inserted": tally.inserted,
                "updated": tally.updated,
                "unchanged": tally.unchanged,
                "rejected": tally.rejected,
                "checkpoint": tally.given,
                "started_at": began.isoformat(),
                "finished_at": finished_at,
            }
        )


def _commit(ledger: Ledger) -> Steps[None]:
    """A database is committed behind every one that its tables reference."""
    plan = ledger.plan
    for name in databases_in_commit_order(plan.loaded):
        try:
            yield from plan.databases[name].commit()
        except StoreError as error:
            if not ledger.committed:
                raise
            kept = ", ".join(ledger.committed)
            raise StoreError(name, f"{error.problem}; {kept} kept, run the same command again to finish") from error
        ledger.committed.append(name)
