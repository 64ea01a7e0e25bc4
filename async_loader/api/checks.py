"""Checks of what is stored: do references lead somewhere, and do ledgers and databases agree?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from async_loader.checks.references import CheckPlan, ReferenceReport, check, no_findings
from async_loader.checks.verification import VerificationReport
from async_loader.checks.verification import verify as verifying
from async_loader.effects import Show, Tell
from async_loader.ledger.agreement import VerifiedRun
from async_loader.ledger.stopwatch import Watch
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.run.inspection import Inspection
from async_loader.run.plan import LOCK_TIMEOUT, Options
from async_loader.stores import StoreLike, stores_of
from async_loader.tables import Table


class ReferenceCheck:
    """One check of what is stored, to be performed once: are there rows that reference what does not exist? It writes
    nothing. `report` is what it has found so far, also after it was interrupted.

    names: the tables to look at; none are all that reference something.
    report_rejects: how many of the rows found a table's report names.
    lock_timeout: seconds to wait for a database that another transaction holds.

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
        self._plan = CheckPlan(tuple(tables), tuple(names), stores_of(databases), options)
        self._found = no_findings(self._plan)
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
        """Return what has been found by now, under this status."""
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
    lock_timeout: seconds to wait for a database that another transaction holds.

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
        self._inspection = Inspection(tuple(tables), stores_of(databases), Options(lock_timeout=lock_timeout))
        self._run = run
        self._runs: tuple[VerifiedRun, ...] = ()
        self._watch = Watch()

    def perform(self) -> VerificationReport:
        """Look, and block until done. Raises LoaderError; ConfigurationError for a run that no ledger knows."""
        with self._watch:
            self._runs = Sequential(lambda _: None).run(verifying(self._inspection, self._run))
        return self.report("complete")

    async def perform_async(self) -> VerificationReport:
        """Look in the running event loop. Raises as `perform` does."""
        with self._watch:
            self._runs = await Coroutines(lambda _: None).run(verifying(self._inspection, self._run))
        return self.report("complete")

    def report(self, status: str, error: str | None = None) -> VerificationReport:
        """Return what was found, under this status."""
        return VerificationReport(status, round(self._watch.seconds, 3), error, self._runs)


async def verify(
    tables: Iterable[Table], databases: Mapping[str, StoreLike], run: str | None = None
) -> VerificationReport:
    """Hold the ledgers against the databases, for all runs or the one named. Raises LoaderError."""
    return await Verification(tables, databases, run).perform_async()
