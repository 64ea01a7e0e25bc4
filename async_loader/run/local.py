"""A run in this process: with one commit at the end, with checkpoints, or dry. Steps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from itertools import chain
from typing import Any

from async_loader.effects import Call, Complete, Steps
from async_loader.errors import StoreError
from async_loader.ledger.contents import Content
from async_loader.ledger.entries import COMPLETE
from async_loader.loading.commits import Checkpoints, Commits
from async_loader.loading.finding import DryRows
from async_loader.loading.load import Load, load, read_next
from async_loader.loading.sides import RejectAllowance
from async_loader.loading.superseding import Superseding
from async_loader.loading.versions import Versions
from async_loader.records.batches import Batch
from async_loader.records.keys import AcceptedKeys, KeyRange
from async_loader.run.executions import Execution, note_unasked, open_databases, release_databases
from async_loader.run.progress import claim, confirm, save
from async_loader.run.reading import contents_read
from async_loader.run.rechecking import recheck
from async_loader.run.resuming import UsedValues, refuse_repeated, restore, resume
from async_loader.run.state import RunState
from async_loader.stores.answers import BrokenRows
from async_loader.table_order import databases_in_commit_order
from async_loader.tables import Table


class OneCommit(Execution):
    """Nothing is committed before all is loaded; then one database after another, in the order of references."""

    _used: dict[str, UsedValues]
    _ranges: dict[str, KeyRange | None]
    _accepted: dict[str, AcceptedKeys]
    _allowance: RejectAllowance
    # By table, the rows that broke its foreign keys before.
    _broken: dict[str, BrokenRows]
    _versions: Versions
    # By table, the loads of this run.
    _loads: dict[str, Load]
    # The rows that a dry run would store.
    _dry: DryRows | None = None

    def prepare(self) -> Steps[None]:
        """Lock all databases until they are committed, and read what is known of their keys."""
        state = self.state
        self._loads, self._versions = {}, Versions()
        yield from open_databases(state, self._versions)
        yield from resume(state)
        yield from refuse_repeated(state)
        yield from self._release()
        yield Call(state.open_reject_files)
        self._used = {}
        for name, line in state.committed.items():
            self._used[name] = yield from restore(state, line)
        self._ranges = {}
        for table in state.plan.loaded + state.plan.referenced_only:
            self._ranges[table.name] = yield from state.database(table).key_range(table)
        self._broken = yield from self._broken_rows()
        self._accepted = {table.name: AcceptedKeys(table.column(table.key)) for table in state.remaining}
        self._allowance = RejectAllowance(state.plan.options.max_rejects, self._accepted)

    def _release(self) -> Steps[None]:
        """Release the databases that are not needed yet."""
        yield from ()

    def load(self, table: Table) -> Steps[None]:
        """Load one table in this process."""
        state = self.state
        self._loads[table.name] = Load(
            run=state.run,
            started_at=state.began,
            table=table,
            database=state.database(table),
            readers=state.readers[table.name],
            on_conflict=state.plan.options.on_conflict,
            allowance=self._allowance,
            accepted=self._accepted[table.name],
            tally=state.tallies[table.name],
            targets={target.name: (target, state.database(target)) for target in state.plan.tables},
            target_keys=self._accepted,
            ranges=self._ranges,
            commits=self._commits(table),
            files=state.files.get(table.name),
            read=self._read(table),
            contents=self._contents(table),
            superseding=self._superseding(table),
            checkpoint=state.tallies[table.name].kept.records,
            waited=state.tallies[table.name].waiting,
            used_before=self._used.get(table.name, {}),
            dry=self._dry,
        )
        return load(self._loads[table.name])

    def _contents(self, table: Table) -> list[Content]:
        """Return the contents whose earlier rejects go when the load is complete, as far as they are known by now."""
        return [] if self.state.plan.retried else [*chain.from_iterable(contents_read(self.state, table).values())]

    def _commits(self, table: Table) -> Commits:  # noqa: ARG002 - of a run with checkpoints
        """Return when the load of a table commits."""
        return Commits()

    def _read(self, table: Table) -> Callable[[Any], Steps[Batch | None]]:
        """Return steps that give the next batch: of a source, or of rejects that the table's database has stored."""
        if not self.state.plan.retried:
            return read_next
        from async_loader.loading.retrying import next_batch

        return partial(next_batch, self.state.database(table))

    def _superseding(self, table: Table) -> Superseding | None:
        """Return what is needed to delete the table's stored rejects that mended records name."""
        return self.state.superseding(table)

    def commit(self) -> Steps[None]:
        """Commit all databases, with what the ledger says of their tables."""
        # From here on the newest states of databases are seen.
        yield from release_databases(self.state, only_read=True)
        yield from self._recheck(ask_always=True)
        for table in self.state.remaining:
            yield from save(self.state, table, COMPLETE)
        yield from self._check_broken()
        yield Complete(self._commit_all())

    def _broken_rows(self) -> Steps[dict[str, BrokenRows]]:
        """Return by table the rows that break foreign keys which only a commit would ask."""
        rows = {}
        for table in self.state.remaining:
            rows[table.name] = yield from self.state.database(table).broken_rows(table)
        return rows

    def _check_broken(self) -> Steps[None]:
        """Raise StoreError where a commit would be refused: by then other databases would be committed."""
        now = yield from self._broken_rows()
        for table in self.state.remaining:
            broken = now[table.name]
            if broken.number > self._broken[table.name].number:
                raise StoreError(table.database, f"table {table.name}: {broken}")

    def _recheck(self, *, ask_always: bool) -> Steps[None]:
        """Raise StoreError where rows that are not committed name rows that are gone by now."""
        loads = [self._loads[table.name] for table in self.state.remaining]
        changes = yield from self._versions.changes(database for each in loads for database in each.target_databases)
        for each in loads:
            yield from recheck(each, changes, lambda table: table in self.state.plan.loaded, ask_always=ask_always)

    def _commit_all(self) -> Steps[None]:
        """Commit each database after every one that its tables reference."""
        state = self.state
        for name in databases_in_commit_order(state.plan.loaded):
            # Tables that are committed can change again.
            yield from self._recheck(ask_always=False)
            yield from self._check_places()
            yield from state.plan.databases[name].commit()
            for table in state.plan.loaded:
                if table.database == name:
                    state.tallies[table.name].keep(whole=True)
        yield from self._check_places()

    def _check_places(self, names: Collection[str] | None = None) -> Steps[None]:
        """Raise StoreError where a file was moved, replaced or deleted, also one that has been committed by then.

        names: the databases to look at; by default all.
        """
        plan = self.state.plan
        if names is None:
            names = {table.database for table in plan.loaded + plan.referenced_only}
        for name in sorted(names):
            yield from plan.databases[name].check_place()


class Checkpointed(OneCommit):
    """Each load commits its own database at every checkpoint, and tables of one database come one after another."""

    def _release(self) -> Steps[None]:
        """Release all databases: a load takes its own when it begins. Before that, other processes with the same run
        are stopped, in all databases at once: so one of them goes on, with all tables.
        """
        if self.state.resumed:
            yield from claim(self.state)
            for name in databases_in_commit_order(self.state.plan.loaded):
                yield Complete(self.state.plan.databases[name].commit())
        yield from release_databases(self.state, only_read=self.state.resumed)

    def _commits(self, table: Table) -> Commits:
        state = self.state
        before = state.remaining[: state.remaining.index(table)]
        # A load that holds a lock never waits for another table, which may wait for what another process holds.
        targets = {*table.targets}
        return Checkpoints(
            every=state.plan.options.commit_every,
            after=[other.name for other in before if other.database == table.database or other.name in targets],
            save=partial(save, state, table),
            confirm=partial(confirm, state, table),
            recheck=self._recheck_at,
        )

    def _recheck_at(self, load: Load, versions: Versions, state: str) -> Steps[None]:
        """Recheck at every commit what databases say has changed; those that do not say so are asked at the end."""
        yield from self._check_places({load.database.name, *(each.name for each in load.target_databases)})
        changes = yield from versions.changes(load.target_databases)
        yield from recheck(load, changes, lambda _: False, ask_always=state == COMPLETE)

    def commit(self) -> Steps[None]:
        """Commit nothing more: every load has committed its last records."""
        yield from self._check_places()


class DryRun(OneCommit):
    """All is read and judged, and nothing is kept: the stores of a dry run swallow what is written."""

    def prepare(self) -> Steps[None]:
        """See Execution: rows that others look up are kept in memory."""
        yield from super().prepare()
        self._dry = DryRows(looked_up(self.state))
        yield from note_unasked(self.state)

    def _superseding(self, table: Table) -> Superseding | None:  # noqa: ARG002 - nothing is written
        return None

    def commit(self) -> Steps[None]:
        """Commit nothing: nothing was written."""
        yield from ()


def looked_up(state: RunState) -> set[str]:
    """Return the names of the tables in which records of a run may look rows up."""
    return {
        reference.table
        for table in state.plan.loaded
        for reference in table.references
        if any(reference.column in reader.lookups for reader in state.readers[table.name])
        or (reference.may_be_looked_up and any(_is_unsettled(each) for each in state.readers[table.name]))
    } | {links.reference.table for table in state.plan.loaded for links in table.used_links}


def _is_unsettled(reader: Any) -> bool:
    """Return whether a source shows its columns only when its first records are read, as JSON Lines does."""
    return any(layout.kind in {"jsonl", "ndjson", "json"} for layout in reader.layouts)
