"""Databases made ready, and sources loaded into them: a plan carried out in its mode, with a report at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike

from async_loader.effects import Show, Tell
from async_loader.errors import ConfigurationError, LoaderError
from async_loader.ledger.report import Report
from async_loader.modes import DASK, MODES
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.run.cluster import Cluster
from async_loader.run.plan import Options, Plan
from async_loader.run.run import Ledger, initialise, run
from async_loader.sources import Source
from async_loader.stores import StoreLike, stores_of
from async_loader.tables import Table

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
            databases=stores_of(databases),
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
        from async_loader.modes.dask.driver import Workers

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


def init(tables: Iterable[Table], databases: Mapping[str, StoreLike], *, fresh: bool = False) -> tuple[str, ...]:
    """Create the tables that are missing, and the loader's own in every database; `fresh` empties them all first.

    Returns the names of the databases, in the order in which tables first name them, then the others. Raises
    LoaderError.
    """
    tables = tuple(tables)
    Sequential(lambda _: None).run(initialise(tables, stores_of(databases), fresh=fresh))
    return tuple(dict.fromkeys([*(table.database for table in tables), *databases]))


def _sources(given: SourceLike | Sequence[SourceLike]) -> tuple[Source, ...]:
    several = [given] if isinstance(given, Source | str | PathLike) else given
    return tuple(each if isinstance(each, Source) else Source(str(each)) for each in several)
