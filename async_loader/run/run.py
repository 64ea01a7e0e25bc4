"""A whole run: check everything, lock, load the tables side by side, and commit in the order of references.

Like `load`, a generator of effects. Without checkpoints nothing is kept anywhere until the first commit. From then on,
and with checkpoints all along, every commit leaves the databases without a reference that leads nowhere, because a
table's targets are committed before it. A run that was cut short is gone on with by the next one of the same sources.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from async_loader.effects import Call, Complete, Connect, Now, Steps, Tell, Together
from async_loader.errors import OutputError, StoreError
from async_loader.ledger.entries import COMPLETE, KEY_RANGE, PREVIOUS, RETRY, SHARE_SIZE, SUPERSEDED, Facts, TableRun
from async_loader.ledger.layouts import READ, layout_as_json
from async_loader.ledger.report import Report
from async_loader.ledger.resuming import NotResumable, UnfinishedRun, run_to_resume
from async_loader.ledger.stopwatch import Watch
from async_loader.ledger.tally import Tally
from async_loader.loading.load import Load, RejectAllowance, called, load
from async_loader.loading.superseding import Superseding, supersede
from async_loader.records.batches import Batch
from async_loader.records.keys import AcceptedKeys, KeyRange
from async_loader.records.validation import used_values
from async_loader.run.plan import LOCK_TIMEOUT, Plan, check_databases
from async_loader.sources import Reader
from async_loader.sources.identity import identity
from async_loader.stores import reject_queries
from async_loader.stores.store import Store
from async_loader.tables import Table, databases_in_commit_order, in_reference_order

# What most runs do without is imported by those that do not.
if TYPE_CHECKING:
    from async_loader.rejects.files import RejectFiles
    from async_loader.run.spread import Began, Spread
    from async_loader.sources.stored_rejects import StoredReader


# By source and unique column, lines of records that were rejected because their value was another row's.
Used: TypeAlias = Mapping[tuple[str, str], Sequence[int]]


class Ledger:
    """The tallies of a run while it goes on; at any moment a report can be made of them.

    `run` and `began` (ISO 8601) are those of the earlier run where this one goes on with it, which `resumed` says.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.run = plan.run
        self.began = ""
        self.resumed = False
        self.watch = Watch()
        # By table, what it is loaded from.
        self.readers: dict[str, Sequence[Reader | StoredReader]] = {}
        self._start: datetime | None = None
        self.tallies = {
            table.name: Tally(
                table.database,
                plan.paths(table),
                plan.options.report_rejects,
            )
            for table in plan.loaded
        }

    def begin(self, now: datetime) -> None:
        """This process begins now; whether it goes on with an earlier run is not known yet."""
        self.began = now.isoformat()
        self._start = now
        for tally in self.tallies.values():
            tally.samples.origin = now

    @property
    def committed(self) -> list[str]:
        """The databases of which all is committed, in the order of commits."""
        return [
            name
            for name in databases_in_commit_order(self.plan.loaded)
            if all(self.tallies[table.name].kept.whole for table in self.plan.loaded if table.database == name)
        ]

    @property
    def kept(self) -> str:
        """What is committed, in words; empty where that is nothing."""
        parts = self.committed
        for table in self.plan.loaded:
            kept = self.tallies[table.name].kept
            if kept.whole and table.database not in parts:
                parts.append(f"table {table.name}")
            elif kept.records and not kept.whole and self.plan.cluster is not None:
                parts.append(f"{kept.records:,} records of table {table.name}")
            elif kept.records and not kept.whole:
                parts.append(f"table {table.name} up to record {kept.records:,}")
        return ", ".join(parts)

    def report(self, status: str, error: str | None = None) -> Report:
        """As it stands now. A run that is not complete has kept just what it committed before it failed."""
        return Report(
            run=self.run,
            mode=self.plan.mode,
            status=status,
            dry_run=self.plan.options.dry_run,
            seconds=round(self.watch.seconds, 3),
            error=error,
            tables={name: tally.report(complete=status == "complete") for name, tally in self.tallies.items()},
            resumed=self.resumed,
            began=self._start,
        )


def initialise(tables: Iterable[Table], databases: Mapping[str, Store], *, fresh: bool) -> Steps[None]:
    """Create what is missing in each database; with `fresh` empty it first, referencing tables before their targets."""
    ordered = in_reference_order(tables)
    check_databases(ordered, databases)
    for name in dict.fromkeys([*reversed(databases_in_commit_order(ordered)), *databases]):
        database = databases[name]
        yield Connect(database, LOCK_TIMEOUT, create=True)
        here = [table for table in ordered if table.database == name]
        yield from database.create(here, fresh=fresh)
        for table in here:
            yield from database.check(table)
        yield from database.commit()


def run(ledger: Ledger) -> Steps[None]:
    """Carry out the plan, counting in the ledger."""
    plan = ledger.plan
    ledger.begin((yield Now()))
    files: dict[str, RejectFiles] = {}
    try:
        for table in plan.loaded:
            yield from _open_sources(ledger, table)
        facts: Facts = yield Call(_facts, (plan,))
        yield from _open_databases(plan)
        before = {} if plan.options.dry_run else (yield from _before(ledger, facts))
        if plan.commits_apart:
            yield from _let_go(plan)
        files |= _reject_files(ledger)
        for each in files.values():
            yield Call(each.check)
        if plan.cluster is not None:
            yield from _spread_all(ledger, files, facts, before)
        else:
            yield from _load_all(ledger, files, facts, before)
        if not plan.options.dry_run and not plan.commits_apart:
            yield from _keep_runs(ledger, facts)
            yield Complete(_commit(ledger))
        yield from _tell_superseded(ledger)
    finally:
        for reader in [reader for opened in ledger.readers.values() for reader in opened]:
            reader.close()
        for each in files.values():
            # Closed already where all went well; else the error that ended the run is the one to tell.
            with contextlib.suppress(OutputError):
                each.close()


def _open_sources(ledger: Ledger, table: Table) -> Steps[None]:
    """All that a table is loaded from, so that a source that is none shows before anything is written."""
    plan = ledger.plan
    opened: list[Reader | StoredReader] = []
    ledger.readers[table.name] = opened
    for source in plan.sources.get(table.name, ()):
        reader: Reader = yield Call(Reader, (source, table, plan.options.batch_size))
        opened.append(reader)
    if table.name in plan.retried:
        from async_loader.sources.stored_rejects import StoredReader

        opened += [StoredReader(chosen, table, plan.options.batch_size) for chosen in plan.retried[table.name]]


def _tell_superseded(ledger: Ledger) -> Steps[None]:
    for name, tally in ledger.tallies.items():
        if count := tally.superseded.total():
            were = "earlier reject is" if count == 1 else "earlier rejects are"
            yield Tell(f"{name}: {count:,} {were} superseded")


def _reject_files(ledger: Ledger) -> dict[str, RejectFiles]:
    directory = ledger.plan.options.rejects_dir
    if directory is None:
        return {}
    from async_loader.rejects.files import RejectFiles

    return {table.name: RejectFiles(directory / ledger.run, table) for table in ledger.plan.loaded}


def _facts(plan: Plan) -> Facts:
    """What the run reads, as `loader_runs` keeps it."""
    tables = {table.name: [identity(source) for source in plan.sources.get(table.name, ())] for table in plan.loaded}
    facts: Facts = {"on_conflict": plan.options.on_conflict, "tables": tables}
    if plan.cluster is not None:
        facts[SHARE_SIZE] = plan.cluster.share_size
    return facts | ({RETRY: True} if plan.retried else {})


def _read(readers: Iterable[Reader | StoredReader]) -> list[dict[str, Any]]:
    """How a table's sources are read, as `loader_runs` keeps it: each once."""
    ways = dict.fromkeys((reader.source.path, layout) for reader in readers for layout in reader.layouts)
    return [layout_as_json(path, layout) for path, layout in ways]


def _open_databases(plan: Plan) -> Steps[None]:
    """Connect, check and lock: always in the order of names, so that two runs never hold what the other waits for.

    With checkpoints that is just to see how far things are, and a load takes its own database when it begins.
    """
    written = {table.database for table in plan.loaded} if not plan.options.dry_run else set()
    tables = plan.loaded + plan.referenced_only
    names = sorted({table.database for table in tables})
    for name in names:
        database = plan.databases[name]
        yield Connect(database, plan.options.lock_timeout, writable=name in written)
        for table in tables:
            if table.database == name:
                yield from database.check(table, filled=table in plan.loaded)
    for name in names:
        database = plan.databases[name]
        if name in written:
            yield from database.begin(table for table in _held(plan) if table.database == name)
            yield from database.check_writable()
        else:
            yield from database.begin_reading()


def _held(plan: Plan) -> Sequence[Table]:
    """The tables that nobody else may write to: workers do, those of an earlier process too."""
    return plan.loaded if plan.cluster is None else ()


def _let_go(plan: Plan) -> Steps[None]:
    for name in sorted({table.database for table in plan.loaded + plan.referenced_only}):
        yield from plan.databases[name].roll_back()


def _before(ledger: Ledger, facts: Facts) -> Steps[Mapping[str, TableRun]]:
    """What an earlier run has committed that this one goes on with, by table name."""
    last = {}
    for table in ledger.plan.loaded:
        line = yield from ledger.plan.database(table).last_run(table)
        if line is not None:
            last[table.name] = line
    facts[PREVIOUS] = {name: line.run for name, line in last.items()}
    found = None if ledger.plan.options.restart else run_to_resume(facts, last)
    if found is None:
        return {}
    if isinstance(found, UnfinishedRun) and (twice := _read_twice(ledger.plan)):
        found = NotResumable(found.run, f"{twice} is read twice, and its rejects cannot be told apart")
    if isinstance(found, UnfinishedRun) and (shared := _shared_source(ledger.plan)):
        found = NotResumable(
            found.run, f"{shared} went into two tables of one database, whose rejects cannot be told apart"
        )
    if isinstance(found, NotResumable):
        yield Tell(found.message)
        return {}
    yield Tell(found.message([table.name for table in ledger.plan.loaded]))
    ledger.run, ledger.began, ledger.resumed = found.run, found.started_at, True
    return found.tables


def _shared_source(plan: Plan) -> str | None:
    """A path that two tables of one database are loaded from."""
    seen: dict[tuple[str, str], str] = {}
    for table in plan.loaded:
        for source in plan.sources.get(table.name, ()):
            if seen.setdefault((table.database, source.path), table.name) != table.name:
                return source.path
    return None


def _read_twice(plan: Plan) -> str | None:
    """A path that a table with unique columns is loaded from twice."""
    for table in plan.loaded:
        paths = [source.path for source in plan.sources[table.name]]
        for path in paths:
            if table.unique and paths.count(path) > 1:
                return path
    return None


def _restore(
    ledger: Ledger, line: TableRun, readers: Sequence[Reader | StoredReader], files: RejectFiles | None
) -> Steps[Used]:
    """Count what has been committed of a table, and write the files of its rejects anew. Returns, by source and unique
    column, the lines of the records that were rejected because their value was another row's.
    """
    used: dict[tuple[str, str], list[int]] = {}
    tally = ledger.tallies[line.table_name]
    tally.restore(line)
    for reader in readers:
        tally.notice(reader.ignored)
    database = ledger.plan.databases[tally.database]
    for reader in {reader.source.path: reader for reader in readers}.values():
        last = None
        while page := (yield from reject_queries.page_of_source(database, ledger.run, reader.source.path, last)):
            last, rejects = page[-1], reject_queries.as_judged(page)
            yield Call(tally.restore_rejects, (reader.source.path, rejects))
            if files is not None:
                yield Call(files.write, (reader, rejects))
            for column, number in (yield Call(used_values, (rejects,))):
                used.setdefault((reader.source.path, column), []).append(number)
    return used


def _load_all(
    ledger: Ledger, files: Mapping[str, RejectFiles], facts: Facts, before: Mapping[str, TableRun]
) -> Steps[None]:
    """In this process."""
    plan, readers = ledger.plan, ledger.readers
    used: dict[str, Used] = {}
    for name, line in before.items():
        used[name] = yield from _restore(ledger, line, readers[name], files.get(name))
    options = plan.options
    ranges: dict[str, KeyRange | None] = {}
    for table in plan.loaded + plan.referenced_only:
        ranges[table.name] = yield from plan.database(table).key_range(table)
    loaded = [table for table in plan.loaded if not ledger.tallies[table.name].kept.whole]
    accepted = {table.name: AcceptedKeys(table.column(table.key)) for table in loaded}
    allowance = RejectAllowance(options.max_rejects, accepted)
    by_name = {table.name: (table, plan.database(table)) for table in plan.tables}
    loads = [
        Load(
            run=ledger.run,
            started_at=ledger.began,
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
            save=_saving(ledger, table, facts),
            confirm=_confirming(ledger, table),
            files=files.get(table.name),
            read=_reading(plan, table),
            supersede=_superseding(ledger, table),
            commit_every=plan.commit_every,
            behind=[other.name for other in loaded[:place] if other.database == table.database],
            checkpoint=ledger.tallies[table.name].kept.records,
            used_before=used.get(table.name, {}),
        )
        for place, table in enumerate(loaded)
    ]
    yield Together([load(each) for each in loads])


def _spread_all(
    ledger: Ledger, files: Mapping[str, RejectFiles], facts: Facts, before: Mapping[str, TableRun]
) -> Steps[None]:
    """By workers, share by share. Where a number of rejects is too many, a rehearsal tells first whether there are."""
    from async_loader.run.spread import retell, spread

    plan, options = ledger.plan, ledger.plan.options
    if not options.dry_run:
        for name in sorted({table.database for table in plan.loaded}):
            yield from plan.databases[name].begin(())
    if options.max_rejects is not None and not options.dry_run:
        yield Together([spread(each) for each in _spreads(ledger, {}, facts, {}, rehearsal=True)])
    for table in plan.loaded:
        name = table.name
        if name in before and before[name].state == COMPLETE:
            tally, database = ledger.tallies[name], plan.database(table)
            tally.restore(before[name])
            yield from retell(database, ledger.run, table, tally, readers=ledger.readers[name], files=files.get(name))
    yield Together([spread(each) for each in _spreads(ledger, files, facts, before)])


def _spreads(
    ledger: Ledger,
    files: Mapping[str, RejectFiles],
    facts: Facts,
    before: Mapping[str, TableRun],
    *,
    rehearsal: bool = False,
) -> list[Spread]:
    """Of each table that is not complete. A rehearsal counts apart, and writes nothing."""
    from async_loader.run.spread import Spread

    plan = ledger.plan
    loaded = [table for table in plan.loaded if not ledger.tallies[table.name].kept.whole]
    allowance = RejectAllowance(plan.options.max_rejects, [table.name for table in loaded])
    ranges: dict[str, KeyRange | None] = {}
    accepted: dict[str, Any] = {}
    return [
        Spread(
            plan=plan,
            run=ledger.run,
            started_at=ledger.began,
            table=table,
            tally=Tally(table.database, plan.paths(table), 0) if rehearsal else ledger.tallies[table.name],
            allowance=allowance,
            ranges=ranges,
            accepted=accepted,
            loaded=[other.name for other in loaded],
            behind=[other.name for other in loaded[:place] if other.database == table.database],
            save=_saving(ledger, table, facts, ranges),
            dry_run=rehearsal or plan.options.dry_run,
            readers=ledger.readers[table.name],
            sources=list(zip(plan.sources[table.name], facts["tables"][table.name], strict=True)),
            files=files.get(table.name),
            began=_began(before.get(table.name)),
            phase="rehearsal of " if rehearsal else "",
        )
        for place, table in enumerate(loaded)
    ]


def _began(line: TableRun | None) -> Began | None:
    """The keys that a table held when an earlier process began with it."""
    if line is None:
        return None
    from async_loader.run.spread import Began

    key_range = json.loads(line.sources)[KEY_RANGE]
    return Began(None if key_range is None else tuple(key_range))


def _reading(plan: Plan, table: Table) -> Callable[[Any], Steps[Batch | None]]:
    """Steps that give the next batch: of a source, or of rejects that the table's database has stored."""
    if not plan.retried:
        return called
    from async_loader.loading.retrying import next_batch

    return partial(next_batch, plan.database(table))


def _superseding(ledger: Ledger, table: Table) -> Callable[[Sequence[str]], Steps[Counter[str]]]:
    """Steps that delete the table's stored rejects that mended records name."""
    plan = ledger.plan
    here = {other.name: other for other in plan.tables if other.database == table.database}
    return partial(supersede, Superseding(ledger.run, table, plan.database(table), here))


def _saving(
    ledger: Ledger, table: Table, facts: Facts, ranges: Mapping[str, KeyRange | None] | None = None
) -> Callable[[str], Steps[None]]:
    """Steps that keep how far the run has come with a table: in its own database, in the transaction of its records.

    ranges: of a run that is spread, the keys that each table held when it was begun.
    """

    def save(state: str) -> Steps[None]:
        tally = ledger.tallies[table.name]
        finished_at = (yield Now()).isoformat() if state == COMPLETE else None
        spread_facts = {} if ranges is None else {KEY_RANGE: ranges[table.name]}
        line = TableRun(
            run=ledger.run,
            table_name=table.name,
            mode=ledger.plan.mode,
            sources=json.dumps(facts | spread_facts | {READ: _read(ledger.readers[table.name])} | _superseded(tally)),
            state=state,
            counts=tally.counts,
            checkpoint=tally.counts.given,
            started_at=ledger.began,
            finished_at=finished_at,
        )
        yield from ledger.plan.database(table).save_run(line)
        if state == COMPLETE:
            yield from ledger.plan.database(table).go_on_counting(table)

    return save


def _superseded(tally: Tally) -> dict[str, dict[str, int]]:
    return {SUPERSEDED: dict(tally.superseded)} if tally.superseded else {}


def _confirming(ledger: Ledger, table: Table) -> Callable[[], Steps[None]]:
    """Steps that fail where another process has gone on with this run, while no transaction of this one was open."""

    def confirm() -> Steps[None]:
        committed = yield from ledger.plan.database(table).checkpoint(ledger.run, table)
        if (committed or 0) != ledger.tallies[table.name].kept.records:
            problem = f"another process goes on with run {ledger.run}, and has come to record {committed or 0:,}"
            raise StoreError(table.database, f"table {table.name}: {problem}; let it finish")

    return confirm


def _keep_runs(ledger: Ledger, facts: Facts) -> Steps[None]:
    for table in ledger.plan.loaded:
        if not ledger.tallies[table.name].kept.whole:
            yield from _saving(ledger, table, facts)(COMPLETE)


def _commit(ledger: Ledger) -> Steps[None]:
    """A database is committed behind every one that its tables reference."""
    plan = ledger.plan
    for name in databases_in_commit_order(plan.loaded):
        try:
            yield from plan.databases[name].commit()
        except StoreError as error:
            if not ledger.kept:
                raise
            problem = f"{error.problem}; {ledger.kept} kept, run the same command again to finish"
            raise StoreError(name, problem) from error
        for table in plan.loaded:
            if table.database == name:
                ledger.tallies[table.name].keep(whole=True)
