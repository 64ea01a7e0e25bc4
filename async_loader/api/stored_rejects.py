"""Stored rejects: looked at, exported, discarded, and tried again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from async_loader.api.loading import Run
from async_loader.effects import Result, Show, Steps, Tell
from async_loader.ledger.layouts import RejectFilter, RejectRow, Selection
from async_loader.ledger.report import Report
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.rejects.stored import (
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
from async_loader.run.inspection import Inspection
from async_loader.run.plan import LOCK_TIMEOUT, Options
from async_loader.run.run import Ledger
from async_loader.stores import StoreLike, stores_of
from async_loader.tables import Table


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

    def _finding(self) -> Steps[list[tuple[Selection, int]]]:
        plan = self._ledger.plan
        return counted(Inspection(plan.tables, plan.databases, plan.options), self._wanted)

    def _plan_retry(self, found: Sequence[tuple[Selection, int]]) -> None:
        plan = self._ledger.plan
        tried, left = retried(plan.tables, [of for of, _ in found])
        self._ledger, self.left, self._is_found = Ledger(replace(plan, retried=tried)), tuple(left), True


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
        self._plan = Inspection(tuple(tables), stores_of(databases), Options(lock_timeout=lock_timeout))

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

        def hand_over(of: Selection, rows: Sequence[RejectRow]) -> bool:
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


def _by_table(found: Iterable[tuple[Selection, int]]) -> dict[str | None, int]:
    counts: dict[str | None, int] = {}
    for of, count in found:
        counts[of.table] = counts.get(of.table, 0) + count
    return counts
