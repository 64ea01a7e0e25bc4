"""Compares ledgers with databases: reads what each holds, in one state of it, and has `agreement` judge that. A
generator of effects, which only read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from async_loader.effects import Call, Steps
from async_loader.errors import ConfigurationError
from async_loader.ledger.agreement import VerifiedRun, verify_ledgers
from async_loader.ledger.counts import flattened
from async_loader.run.inspection import Inspection, hold_all, open_databases
from async_loader.stores.ledger import state_of
from async_loader.table_order import databases_in_reading_order


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The outcome of a verification. `status` is complete, failed or interrupted; `error` the line that says why. Where
    it is not complete, there are no runs.
    """

    status: str
    seconds: float
    error: str | None
    runs: tuple[VerifiedRun, ...]

    @property
    def findings(self) -> int:
        """How many findings all runs have together."""
        return sum(len(run.findings) for run in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        report = {"version": 1, **asdict(self)}
        for run in report["runs"]:
            run["tables"] = {name: flattened(line) for name, line in run["tables"].items()}
        return report


def verify(inspection: Inspection, run: str | None) -> Steps[tuple[VerifiedRun, ...]]:
    """Verify the run of this id; None is all. ConfigurationError for a run that nothing names."""
    opened = yield from open_databases(inspection)
    lines = yield from hold_all(opened)
    databases = {}
    for name in databases_in_reading_order(opened.tables):
        databases[name] = yield from state_of(opened.databases[name], opened.here(name), lines[name])
    runs: tuple[VerifiedRun, ...] = yield Call(verify_ledgers, (list(databases.values()),))
    if run is None:
        return runs
    chosen = tuple(each for each in runs if each.run == run)
    if not chosen:
        last = f"the last one is {runs[-1].run}" if runs else "there is none"
        raise ConfigurationError(f"no run is called {run!r}; {last}")
    return chosen
