"""A run in this process: with one commit at the end, with checkpoints, or dry. Steps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from async_loader.effects import Call, Complete, Steps
from async_loader.errors import StoreError
from async_loader.ledger.contents import Content
from async_loader.ledger.entries import COMPLETE, RUNNING
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

if TYPE_CHECKING:
    from async_loader.run.deleting import Deleting


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
    # Of a run that deletes rows which no record names.
    _deleting: Deleting | None = None

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
        if state.plan.options.delete_missing:
            from async_loader.run.deleting import Deleting

            self._deleting = Deleting(state)
            yield from self._deleting.begin()

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
            noted=self._noted(),
            named=None if self._deleting is None else self._deleting.named(table.name),
        )
        return load(self._loads[table.name])

    def _noted(self) -> frozenset[str]:
        """Return the tables of which all keys are noted that accepted records name."""
        return frozenset()

    def _contents(self, table: Table) -> list[Content]:
        """Return the contents whose earlier rejects go when the load is complete, as far as they are known by now."""
        return [] if self.state.plan.retried else [*chain.from_iterable(contents_read(self.state, table).values())]

    def _commits(self, table: Table) -> Commits:  # noqa: ARG002 - of a run with checkpoints
        """Return when the load of a table commits."""
        return Commits()

    def _read(self, table: Table) -> Callable[[Any], Steps[Batch | None]]:
        """Return steps that give the next batch: of a source, or of rejects that the table's database has stored."""
        if any(source.data is not None for source in self.state.plan.sources.get(table.name, ())):
            from async_loader.loading.drawing import draw_next

            return draw_next
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
        late = yield from self._delete_now()
        for table in self.state.remaining:
            yield from save(self.state, table, RUNNING if table.name in late else COMPLETE)
        yield from self._check_broken()
        yield Complete(self._commit_all(late))
        if late:
            yield from self._delete_late()

    def _delete_now(self) -> Steps[frozenset[str]]:
        """Delete the rows that no record names, but for those of some tables, which are returned: these are deleted
        after the commit.
        """
        if self._deleting is None:
            return frozenset()
        yield from self._deleting.find(self._accepted)
        late = self._deleting.late()
        yield from self._deleting.delete(self._deleting.names - late)
        return late

    def _delete_late(self) -> Steps[None]:
        """Delete, in transactions of their own, the rows of the tables that are left, referencing databases first."""
        state, deleting = self.state, self._deleting
        if deleting is None:
            return
        left = state.remaining
        names = {table.database for table in state.plan.loaded}
        for name in sorted(names):
            here = [table for table in state.plan.loaded if table.database == name]
            yield from state.plan.databases[name].begin_next([*here, *state.plan.link_tables(name)])
        for table in left:
            yield from confirm(state, table)
        yield from deleting.look_again() if deleting.is_found else deleting.find(self._accepted)
        yield from deleting.delete(table.name for table in left)
        for table in left:
            yield from save(state, table, COMPLETE)
        yield Complete(self._commit_late())

    def _commit_late(self) -> Steps[None]:
        """Commit each database before every one that its tables reference."""
        for name in reversed(databases_in_commit_order(self.state.plan.loaded)):
            yield from self.state.plan.databases[name].commit()
            self._keep(name)

    def _keep(self, database: str, late: Collection[str] = ()) -> None:
        """Remember that what was counted of a database's tables is committed: all of it, but for late deletions."""
        for table in self.state.remaining:
            if table.database == database:
                self.state.tallies[table.name].keep(whole=table.name not in late)

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

    def _commit_all(self, late: Collection[str]) -> Steps[None]:
        """Commit each database after every one that its tables reference."""
        state = self.state
        for name in databases_in_commit_order(state.plan.loaded):
            # Tables that are committed can change again.
            yield from self._recheck(ask_always=False)
            yield from self._check_places()
            yield from state.plan.databases[name].commit()
            self._keep(name, late)
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
        targets = {*table.targets, *table.after}
        return Checkpoints(
            every=state.plan.options.commit_every,
            after=[other.name for other in before if other.database == table.database or other.name in targets],
            save=partial(save, state, table),
            confirm=partial(confirm, state, table),
            recheck=self._recheck_at,
            last=RUNNING if self._deletes_from(table) else COMPLETE,
        )

    def _recheck_at(self, load: Load, versions: Versions, state: str) -> Steps[None]:
        """Recheck at every commit what databases say has changed; those that do not say so are asked at the end."""
        yield from self._check_places({load.database.name, *(each.name for each in load.target_databases)})
        changes = yield from versions.changes(load.target_databases)
        yield from recheck(load, changes, lambda _: False, ask_always=state == COMPLETE)

    def _deletes_from(self, table: Table) -> bool:
        return self._deleting is not None and table.name in self._deleting.names

    def commit(self) -> Steps[None]:
        """Commit nothing more, but for deletions: every load has committed its last records."""
        yield from self._check_places()
        if self.state.remaining:
            yield from self._delete_late()


class DryRun(OneCommit):
    """All is read and judged, and nothing is kept: the stores of a dry run swallow what is written."""

    def prepare(self) -> Steps[None]:
        """See Execution: rows that others look up are kept in memory."""
        yield from super().prepare()
        self._dry = DryRows(looked_up(self.state))
        yield from note_unasked(self.state)

    def _superseding(self, table: Table) -> Superseding | None:  # noqa: ARG002 - nothing is written
        return None

    def _noted(self) -> frozenset[str]:
        """See OneCommit: which rows accepted records name is in no database."""
        return frozenset() if self._deleting is None else self._deleting.names

    def commit(self) -> Steps[None]:
        """Commit nothing: nothing was written."""
        if self._deleting is not None:
            yield from release_databases(self.state, only_read=True)
            yield from self._deleting.find(self._accepted, self._loads)
            self._deleting.count()


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
