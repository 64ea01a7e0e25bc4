"""The front door to stored rejects: they are listed, exported, discarded, and tried again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from async_loader.api.loading import Run
from async_loader.effects import Result, Show, Steps, Tell
from async_loader.errors import ConfigurationError
from async_loader.ledger.reject_groups import RejectFilter, Selection
from async_loader.ledger.report import Report
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.rejects.discard import discard
from async_loader.rejects.export import Exported, export
from async_loader.rejects.listing import RejectingRun, StoredReject, list_runs, show
from async_loader.rejects.retry import find_as_before, plan_retry
from async_loader.rejects.selection import count_selections
from async_loader.run.inspection import Inspection
from async_loader.run.mended import Mended, find_mended
from async_loader.run.plan import LOCK_TIMEOUT, Options
from async_loader.run.state import RunState
from async_loader.sources import Source
from async_loader.stores import StoreLike, stores_of
from async_loader.tables import Table


class Retry(Run):
    """One run, to be performed once, that tries stored rejects again as they are. Those that pass now, and those that
    fail again with the reasons that they have now, take the place of the rejects in the same transaction.

    wanted: which rejects. `left` are lines about those that cannot be tried; `nothing_to_do` says that there were none
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
        return not self._state.plan.retried

    def find(self) -> None:
        """Find the rejects to try again. `perform` does so where it has not been done. Raises LoaderError;
        ConfigurationError for a table or run that there is not.
        """
        self._plan_retry(Sequential(lambda _: None).run(self._finding()))

    def perform(self) -> Report:
        """Perform the retry as a run."""
        if not self._is_found:
            self.find()
        return super().perform()

    async def perform_async(self) -> Report:
        """Perform the retry as a run."""
        if not self._is_found:
            self._plan_retry(await Coroutines(lambda _: None).run(self._finding()))
        return await super().perform_async()

    def _finding(self) -> Steps[tuple[list[tuple[Selection, int]], int]]:
        plan = self._state.plan
        inspection = Inspection(plan.tables, plan.databases, plan.options)
        counted = yield from count_selections(inspection, self._wanted)
        if self._wanted.run is not None:
            return counted, 0
        # What later runs have made good is not tried again unless its run is named.
        still_open = yield from count_selections(inspection, replace(self._wanted, is_open=True))
        return still_open, sum(number for _, number in counted) - sum(number for _, number in still_open)

    def _plan_retry(self, finding: tuple[Sequence[tuple[Selection, int]], int]) -> None:
        counted, made_good = finding
        plan = self._state.plan
        retried, left = plan_retry(plan.tables, [selection for selection, _ in counted])
        plan = replace(plan, retried=retried, tables=find_as_before(plan.tables, retried))
        if made_good:
            rejects = "1 reject is" if made_good == 1 else f"{made_good:,} rejects are"
            left.append(f"{rejects} left, which later runs have made good; --run tries those of a run again")
        self._state, self.left, self._is_found = RunState(plan), tuple(left), True


class StoredRejects:
    """The rejects that the databases hold: listed, exported, discarded. However many, only a page is in memory.

    lock_timeout: seconds to wait for a database that another transaction holds.

    Raises ConfigurationError where tables and databases do not fit together; each method, LoaderError, and
    ConfigurationError for a table or run that there is not.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        databases: Mapping[str, StoreLike],
        *,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self._inspection = Inspection(tuple(tables), stores_of(databases), Options(lock_timeout=lock_timeout))

    def overview(self, run: str | None = None) -> tuple[RejectingRun, ...]:
        """Return the runs, the newest last, with how many of their rejects are still stored, and why; or one alone.
        Runs of which no reject is left, and whose sources have been loaded again, are left out unless named.
        """
        return self._perform(list_runs(self._inspection, run))

    def count(self, wanted: RejectFilter) -> dict[str | None, int]:
        """Return how many there are, by table; under None those whose table is not known."""
        return _by_table(self._perform(count_selections(self._inspection, wanted)))

    def each(self, wanted: RejectFilter, take: Callable[[Sequence[StoredReject]], bool]) -> None:
        """Hand over the rejects, some thousand at a time, until `take` wants no more: by database and run, those of the
        first run first, in their sources' order.
        """
        self._perform(show(self._inspection, wanted, take))

    def export(self, wanted: RejectFilter, target: str | PathLike[str]) -> Exported | None:
        """Write those of one table to a file that does not exist yet, in their source's own format and columns; None
        where there are none. Raises ConfigurationError where they do not fit into such a file.
        """
        return self._perform(export(self._inspection, wanted, Path(target)))

    def mended(self, table: str, source: Source) -> Mended | None:
        """Return how a file of rejects of a table is to be read: as the run that rejected them read its source. What is
        said of the file comes first. None for a file that is none, or whose run is not known. Raises SourceError where
        its rejects were read in different ways, or the file may be of several encodings.
        """
        found = next((each for each in self._inspection.tables if each.name == table), None)
        if found is None:
            raise ConfigurationError(f"no table is called {table!r}")
        return self._perform(find_mended(self._inspection, found, source))

    def discard(self, wanted: RejectFilter, confirm: Callable[[dict[str | None, int]], bool]) -> int | None:
        """Delete rejects, unless `confirm`, given how many there are by table, returns false; None then. Returns how
        many were deleted.
        """
        counted = self._perform(count_selections(self._inspection, wanted))
        if not counted:
            return 0
        if not confirm(_by_table(counted)):
            return None
        selections = [selection for selection, _ in counted]
        return self._perform(discard(self._inspection, uuid.uuid4().hex, selections))

    def _perform(self, steps: Steps[Result]) -> Result:
        return Sequential(lambda _: None).run(steps)


def _by_table(counted: Iterable[tuple[Selection, int]]) -> dict[str | None, int]:
    counts: dict[str | None, int] = {}
    for selection, number in counted:
        counts[selection.table] = counts.get(selection.table, 0) + number
    return counts
