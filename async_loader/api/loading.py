"""Databases made ready, and sources loaded into them: a plan carried out in its mode, with a report at the end."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from async_loader.api.given import SourceLike, sources_of
from async_loader.effects import Tell
from async_loader.errors import ConfigurationError, LoaderError
from async_loader.ledger.report import Report
from async_loader.loading.sides import RejectFile
from async_loader.modes import MODES, Shows
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.run.cluster import Cluster
from async_loader.run.plan import Options, Plan
from async_loader.run.remainder import remainder
from async_loader.run.run import initialise, run
from async_loader.run.state import RunState
from async_loader.stores import StoreLike, stores_of
from async_loader.tables import Table


class Run:
    """One run, to be performed once. `report` is its report at any moment, also after it was interrupted.

    cluster: in mode dask, the workers; by default as many of the run's own as there are cores.
    show: takes progress, and messages that are worth a line. Without it a warning is one of Python's.

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
        show: Shows | None = None,
    ) -> None:
        if mode not in MODES:
            raise ConfigurationError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
        if cluster is not None and not MODES[mode].is_spread:
            spread = " or ".join(name for name, each in MODES.items() if each.is_spread)
            raise ConfigurationError(f"mode {mode} has no cluster; choose mode {spread}, or name none")
        options = options or Options()
        self._mode = MODES[mode]
        self._state = RunState(
            Plan(
                run=uuid.uuid4().hex,
                mode=mode,
                tables=tuple(tables),
                sources={name: sources_of(name, given) for name, given in sources.items()},
                databases=stores_of(databases),
                options=options,
                cluster=(cluster or Cluster()) if self._mode.is_spread else None,
                reject_file=_reject_file_maker(options),
            )
        )
        self._show = show or (lambda _: None)
        if cluster is not None and (warning := cluster.warning):
            if show is None:
                warnings.warn(warning, stacklevel=2)
            else:
                show(Tell(f"warning: {warning}"))

    @property
    def id(self) -> str:
        """The run's id in `loader_runs` and `loader_rejects`; the earlier run's where this one resumes it."""
        return self._state.run

    @property
    def kept(self) -> str:
        """What has been committed so far, in words; empty where that is nothing."""
        return self._state.kept

    @property
    def rest(self) -> str:
        """What to do, after an interrupt, about what was not committed, in words."""
        return remainder(self._state, None)

    @property
    def is_kept(self) -> bool:
        """Whether all has been committed."""
        return self._state.is_kept

    def perform(self) -> Report:
        """Load in the plan's mode, and block until done. Raises LoaderError, which has the report."""
        with self._accounted():
            self._mode.perform(run(self._state), self._show, self._state.plan.cluster)
        return self.report("complete")

    async def perform_async(self) -> Report:
        """Load in the running event loop, which is the mode `async`. Raises as `perform` does."""
        if not self._mode.in_event_loop:
            raise ConfigurationError(f"mode {self._state.plan.mode} does not run in an event loop")
        with self._accounted():
            await Coroutines(self._show).run(run(self._state))
        return self.report("complete")

    def report(self, status: str, error: str | None = None) -> Report:
        """Return the counts as they stand, under this status."""
        return self._state.report(status, error)

    @contextmanager
    def _accounted(self) -> Iterator[None]:
        try:
            with self._state.watch:
                yield
        except LoaderError as error:
            if self.kept:
                error.kept = ", ".join(part for part in (f"{self.kept} kept", remainder(self._state, error)) if part)
            error.report = self.report(error.status, error.text)
            raise
        except Exception as error:
            # Of a program's own records, or a defect.
            if self.kept:
                error.add_note(", ".join(part for part in (f"{self.kept} kept", self.rest) if part))
            raise


def _reject_file_maker(options: Options) -> Callable[[str, Table], RejectFile] | None:
    """Return a function that makes the files of a run's rejects; None where none are wanted."""
    directory = options.rejects_dir
    if directory is None:
        return None
    from async_loader.rejects.files import RejectFiles

    return lambda run, table: RejectFiles(directory / run, table)


async def load(
    tables: Iterable[Table],
    sources: Mapping[str, SourceLike | Sequence[SourceLike]],
    databases: Mapping[str, StoreLike],
    options: Options | None = None,
) -> Report:
    """Check the sources and load them into their tables, each in its own database; all of it or, on an error, nothing.

    sources: by table name, what to read: one source or several, in this order. A source is a path, a `Source`, a frame
        (Polars, pandas, Arrow), or an iterable or asynchronous iterable of mappings; a list of mappings is one source.
        Tables without sources are looked up where others reference them, so declare those too.
    databases: by the name that tables use, the path of an SQLite file, or the URL of a PostgreSQL database, that `init`
        has made ready.

    Raises LoaderError, whose `report` holds the counts by then. What the code of an iterable raises is raised as it is,
    and keeps nothing either.
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
