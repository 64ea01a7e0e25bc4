"""Verifying the ledger: what each database holds, read in one state of it, is handed to `agreement`. A generator of
effects, which only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from async_loader.effects import Call, Connect, Steps
from async_loader.errors import ConfigurationError
from async_loader.ledger.agreement import VerifiedRun, verified
from async_loader.ledger.entries import TableRun
from async_loader.run.plan import Options, check_databases
from async_loader.stores.ledger import hold, stored
from async_loader.stores.store import Store
from async_loader.tables import Table, databases_in_commit_order, in_reference_order


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """One look at the ledgers. `status` is complete, failed or interrupted; `error` the line that says why. Where it is
    not complete, there are no runs.
    """

    status: str
    seconds: float
    error: str | None
    runs: tuple[VerifiedRun, ...]

    @property
    def findings(self) -> int:
        """Those of all runs."""
        return sum(len(run.findings) for run in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"version": 1, **asdict(self)}


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """What to verify: the run of this id; None is all. Of the options, `lock_timeout` counts.

    Raises ConfigurationError where tables and databases do not fit together.
    """

    tables: tuple[Table, ...]
    databases: Mapping[str, Store]
    run: str | None
    options: Options

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", in_reference_order(self.tables))
        databases_in_commit_order(self.tables)
        check_databases(self.tables, self.databases)

    def here(self, database: str) -> list[Table]:
        """The tables that live there."""
        return [table for table in self.tables if table.database == database]


def verify(plan: VerifyPlan) -> Steps[tuple[VerifiedRun, ...]]:
    """Carry out the plan. ConfigurationError for a run that nothing names."""
    yield from open_databases(plan)
    lines = yield from hold_all(plan)
    found = {}
    for name in databases_in_commit_order(plan.tables):
        found[name] = yield from stored(plan.databases[name], plan.here(name), lines[name])
    runs: tuple[VerifiedRun, ...] = yield Call(verified, (list(found.values()),))
    if plan.run is None:
        return runs
    chosen = tuple(run for run in runs if run.run == plan.run)
    if not chosen:
        last = f"the last one is {runs[-1].run}" if runs else "there is none"
        raise ConfigurationError(f"no run is called {plan.run!r}; {last}")
    return chosen


def open_databases(plan: VerifyPlan) -> Steps[None]:
    """Connect and check, in the order of names as a load does."""
    for name in sorted({table.database for table in plan.tables}):
        yield Connect(plan.databases[name], plan.options.lock_timeout)
        for table in plan.here(name):
            yield from plan.databases[name].check(table)


def hold_all(plan: VerifyPlan) -> Steps[dict[str, tuple[TableRun, ...]]]:
    """The ledger of each database, by name; from here on, one state of each is held on to.

    All are held before anything is counted, which takes longer, and targets behind those that reference them: a load
    that commits meanwhile lets go of targets first, so that it and this never wait for each other.
    """
    lines = {}
    for name in reversed(databases_in_commit_order(plan.tables)):
        lines[name] = yield from hold(plan.databases[name])
    return lines
