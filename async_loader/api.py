"""The engine's front door: carry out a plan in its mode, and come back with a report."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path

from async_loader.agreement import VerifiedRun
from async_loader.cluster import Cluster
from async_loader.effects import Result, Show, Steps, Tell
from async_loader.errors import ConfigurationError, LoaderError
from async_loader.modes import DASK, MODES
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.origins import Chosen, RejectFilter, Stored
from async_loader.plan import LOCK_TIMEOUT, Options, Plan
from async_loader.references import CheckPlan, ReferenceReport, check, findings
from async_loader.report import Report
from async_loader.run import Ledger, initialise, run
from async_loader.sources import Source
from async_loader.stored import (
    Exported,
    RejectingRun,
    StoredReject,
    counted,
    discard,
    export,
    handed_over,
    overview,
    retried,
    stored_reject,
)
from async_loader.stores import StoreLike, store_of
from async_loader.stores.store import Store
from async_loader.tables import Table
from async_loader.verify import VerificationReport, VerifyPlan
from async_loader.verify import verify as verifying
from async_loader.watch import Watch

# What callers may give where a source is wanted: a path tells its format by its suffix.
SourceLike = Source | str | PathLike[str]


class Run:
    """One run, to be performed once. `report` tells how far it is at any moment, also after it was interrupted.

    cluster: in mode dask, the workers; by default as many of the run's own as there are cores.

    Raises ConfigurationError where tables, sources and databases do not fit together.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        sources: Mapping[str, SourceLike | Sequence[SourceLike]],
        databases: Mapping[str, StoreLike],
        options: Options | None = None,
        *,
        mode: str = "async",
        cluster: Cluster | None = None,
        show: Callable[[Show | Tell], None] | None = None,
    ) -> None:
        if mode not in (*MODES, DASK):
            raise ConfigurationError(f"mode is one of {', '.join((*MODES, DASK))}, not {mode!r}")
        if cluster is not None and mode != DASK:
            raise ConfigurationError(f"mode {mode} has no cluster; choose mode {DASK}, or name none")
        plan = Plan(
            run=uuid.uuid4().hex,
            mode=mode,
            tables=tuple(tables),
            sources={name: _sources(given) for name, given in sources.items()},
            databases=_databases(databases),
            options=options or Options(),
            cluster=(cluster or Cluster()) if mode == DASK else None,
        )
        self._ledger = Ledger(plan)
        self._show = show or (lambda _: None)

    @property
    def id(self) -> str:
        """What the run is called in `loader_runs` and `loader_rejects`; the earlier run's where it goes on with one."""
        return self._ledger.run

    @property
    def kept(self) -> str:
        """What has been committed so far, in words; empty where that is nothing."""
        return self._ledger.kept

    @property
    def is_kept(self) -> bool:
        """Whether all has been committed."""
        return all(tally.kept.whole for tally in self._ledger.tallies.values())

    def perform(self) -> Report:
        """Load in the plan's mode, and block until done. Raises LoaderError, which has the report."""
        with self._accounted():
            self._carry_out()
        return self.report("complete")

    def _carry_out(self) -> None:
        plan = self._ledger.plan
        if plan.cluster is None:
            MODES[plan.mode](run(self._ledger), self._show)
            return
        from async_loader.modes.workers import Workers

        Workers(self._show, plan.cluster).run(run(self._ledger))

    async def perform_async(self) -> Report:
        """Load in the running event loop, which is the mode `async`. Raises as `perform` does."""
        if self._ledger.plan.mode != "async":
            raise ConfigurationError(f"mode {self._ledger.plan.mode} does not run in an event loop")
        with self._accounted():
            await Coroutines(self._show).run(run(self._ledger))
        return self.report("complete")

    def report(self, status: str, error: str | None = None) -> Report:
        """The counts as they stand, under this status."""
        return self._ledger.report(status, error)

    @contextmanager
    def _accounted(self) -> Iterator[None]:
        try:
            with self._ledger.watch:
                yield
        except LoaderError as error:
            if self._ledger.plan.commits_apart and self.kept:
                error.kept = f"{self.kept} kept, run the same command again to go on from there"
            error.report = self.report(error.status, error.told)
            raise


class Retry(Run):
    """One run, to be performed once, that tries stored rejects again as they are. Those that pass now, and those that
    fail again with the reasons that they have now, take the place of the rejects in the same transaction.

    wanted: which rejects. `left` are lines about those that cannot be tried; `nothing_to_do` tells that there were none
    that can.

    Of the options, `commit_every` and `restart` do not count: what a crash leaves, the next retry finds.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        wanted: RejectFilter,
        databases: Mapping[str, StoreLike],
        options: Options | None = None,
        *,
        mode: str = "async",
        show: Callable[[Show | Tell], None] | None = None,
    ) -> None:
        chosen = replace(options or Options(), commit_every=0, restart=True)
        super().__init__(tables, {}, databases, chosen, mode=mode, show=show)
        self._wanted = wanted
        self._is_found = False
        self.left: tuple[str, ...] = ()

    @property
    def nothing_to_do(self) -> bool:
        """Whether no reject was found that can be tried again."""
        return not self._ledger.plan.retried

    def find(self) -> None:
        """See which rejects there are to try again. `perform` does so where it has not been done. Raises LoaderError;
        ConfigurationError for a table or run that nothing is called.
        """
        self._plan_retry(Sequential(lambda _: None).run(self._finding()))

    def perform(self) -> Report:
        """As a run does."""
        if not self._is_found:
            self.find()
        return super().perform()

    async def perform_async(self) -> Report:
        """As a run does."""
        if not self._is_found:
            self._plan_retry(await Coroutines(lambda _: None).run(self._finding()))
        return await super().perform_async()

    def _finding(self) -> Steps[list[tuple[Chosen, int]]]:
        plan = self._ledger.plan
        return counted(VerifyPlan(plan.tables, plan.databases, None, plan.options), self._wanted)

    def _plan_retry(self, found: Sequence[tuple[Chosen, int]]) -> None:
        plan = self._ledger.plan
        tried, left = retried(plan.tables, [of for of, _ in found])
        self._ledger, self.left, self._is_found = Ledger(replace(plan, retried=tried)), tuple(left), True


async def load(
    tables: Iterable[Table],
    sources: Mapping[str, SourceLike | Sequence[SourceLike]],
    databases: Mapping[str, StoreLike],
    options: Options | None = None,
) -> Report:
    """Check the sources and load them into their tables, each in its own database; all of it or, on an error, nothing.

    sources: by table name, what to read: one source or several, in this order. Tables without sources are looked up
        where others reference them, so declare those too.
    databases: by the name that tables use, the path of an SQLite file, or the URL of a PostgreSQL database, that `init`
        has made ready.

    Raises LoaderError, whose `report` holds the counts by then.
    """
    return await Run(tables, sources, databases, options).perform_async()


class ReferenceCheck:
    """One check of what is stored, to be performed once: are there rows that reference what does not exist? It writes
    nothing. `report` tells what it has found so far, also after it was interrupted.

    names: the tables to look at; none are all that reference something.
    report_rejects: how many of the rows found a table's report names.
    lock_timeout: seconds to wait for a database that another program writes to.

    Raises ConfigurationError where tables, names and databases do not fit together.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        databases: Mapping[str, StoreLike],
        names: Iterable[str] = (),
        *,
        report_rejects: int = Options().report_rejects,
        lock_timeout: float = LOCK_TIMEOUT,
        show: Callable[[Show | Tell], None] | None = None,
    ) -> None:
        options = Options(report_rejects=report_rejects, lock_timeout=lock_timeout)
        self._plan = CheckPlan(tuple(tables), tuple(names), _databases(databases), options)
        self._found = findings(self._plan)
        self._show = show or (lambda _: None)
        self._watch = Watch()

    def perform(self) -> ReferenceReport:
        """Check, and block until done. Raises LoaderError.

        In the calling thread: each step needs what the last one found, so there is nothing to do side by side.
        """
        with self._watch:
            Sequential(self._show).run(check(self._plan, self._found))
        return self.report("complete")

    async def perform_async(self) -> ReferenceReport:
        """Check in the running event loop. Raises as `perform` does."""
        with self._watch:
            await Coroutines(self._show).run(check(self._plan, self._found))
        return self.report("complete")

    def report(self, status: str, error: str | None = None) -> ReferenceReport:
        """What has been found by now, under this status."""
        tables = {name: found.report() for name, found in self._found.items()}
        return ReferenceReport(status, round(self._watch.seconds, 3), error, tables)


async def check_references(
    tables: Iterable[Table], databases: Mapping[str, StoreLike], names: Iterable[str] = ()
) -> ReferenceReport:
    """Find the rows, in all tables or those named, that reference what does not exist. Raises LoaderError."""
    return await ReferenceCheck(tables, databases, names).perform_async()


class Verification:
    """One look at the ledgers, to be performed once: do the databases hold what `loader_runs` says? It writes nothing.

    run: the id of the run to look at; None is all of them.
    lock_timeout: seconds to wait for a database that another program writes to.

    Raises ConfigurationError where tables and databases do not fit together.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        databases: Mapping[str, StoreLike],
        run: str | None = None,
        *,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self._plan = VerifyPlan(tuple(tables), _databases(databases), run, Options(lock_timeout=lock_timeout))
        self._runs: tuple[VerifiedRun, ...] = ()
        self._watch = Watch()

    def perform(self) -> VerificationReport:
        """Look, and block until done. Raises LoaderError; ConfigurationError for a run that no ledger knows."""
        with self._watch:
            self._runs = Sequential(lambda _: None).run(verifying(self._plan))
        return self.report("complete")

    async def perform_async(self) -> VerificationReport:
        """Look in the running event loop. Raises as `perform` does."""
        with self._watch:
            self._runs = await Coroutines(lambda _: None).run(verifying(self._plan))
        return self.report("complete")

    def report(self, status: str, error: str | None = None) -> VerificationReport:
        """What was found, under this status."""
        return VerificationReport(status, round(self._watch.seconds, 3), error, self._runs)


async def verify(
    tables: Iterable[Table], databases: Mapping[str, StoreLike], run: str | None = None
) -> VerificationReport:
    """Hold the ledgers against the databases, for all runs or the one named. Raises LoaderError."""
    return await Verification(tables, databases, run).perform_async()


class StoredRejects:
    """The rejects that the databases hold: looked at, exported, discarded. However many, they pass by in parts.

    lock_timeout: seconds to wait for a database that another program writes to.

    Raises ConfigurationError where tables and databases do not fit together; each method, LoaderError, and
    ConfigurationError for a table or run that nothing is called.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        databases: Mapping[str, StoreLike],
        *,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self._plan = VerifyPlan(tuple(tables), _databases(databases), None, Options(lock_timeout=lock_timeout))

    def overview(self) -> tuple[RejectingRun, ...]:
        """Every run, the newest last, with how many of its rejects are still stored, and why."""
        return self._perform(overview(self._plan))

    def count(self, wanted: RejectFilter) -> dict[str | None, int]:
        """How many there are, by table; None is for those of which nobody can tell the table."""
        return _by_table(self._perform(counted(self._plan, wanted)))

    def each(self, wanted: RejectFilter, take: Callable[[Sequence[StoredReject]], bool]) -> None:
        """Hand over the rejects, some thousand at a time, until `take` says that it wants no more: by database and run,
        the first one first, in their sources' order.
        """

        def hand_over(of: Chosen, rows: Sequence[Stored]) -> bool:
            return take([stored_reject(of, row) for row in rows])

        self._perform(handed_over(self._plan, wanted, hand_over))

    def export(self, wanted: RejectFilter, target: str | PathLike[str]) -> Exported | None:
        """Write those of one table to a file that does not exist yet, in their source's own format and columns; None
        where there are none. Raises ConfigurationError where they do not fit into such a file.
        """
        return self._perform(export(self._plan, wanted, Path(target)))

    def discard(self, wanted: RejectFilter, confirm: Callable[[dict[str | None, int]], bool]) -> int | None:
        """Delete rejects, unless `confirm` says no when it is told how many there are, by table; None then. Returns how
        many were deleted.
        """
        found = self._perform(counted(self._plan, wanted))
        if not found:
            return 0
        if not confirm(_by_table(found)):
            return None
        return self._perform(discard(self._plan, uuid.uuid4().hex, [of for of, _ in found]))

    def _perform(self, steps: Steps[Result]) -> Result:
        return Sequential(lambda _: None).run(steps)


def _by_table(found: Iterable[tuple[Chosen, int]]) -> dict[str | None, int]:
    counts: dict[str | None, int] = {}
    for of, count in found:
        counts[of.table] = counts.get(of.table, 0) + count
    return counts


def init(tables: Iterable[Table], databases: Mapping[str, StoreLike], *, fresh: bool = False) -> tuple[str, ...]:
    """Create the tables that are missing, and the loader's own in every database; `fresh` empties them all first.

    Returns the names of the databases, in the order in which tables first name them, then the others. Raises
    LoaderError.
    """
    tables = tuple(tables)
    Sequential(lambda _: None).run(initialise(tables, _databases(databases), fresh=fresh))
    return tuple(dict.fromkeys([*(table.database for table in tables), *databases]))


def _databases(given: Mapping[str, StoreLike]) -> dict[str, Store]:
    return {name: store_of(name, where) for name, where in given.items()}


def _sources(given: SourceLike | Sequence[SourceLike]) -> tuple[Source, ...]:
    several = [given] if isinstance(given, Source | str | PathLike) else given
    return tuple(each if isinstance(each, Source) else Source(str(each)) for each in several)
