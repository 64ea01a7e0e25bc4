"""The state of a run while it goes on: its plan, its sources, and how far it has come with each table."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.errors import OutputError
from async_loader.ledger.contents import Content
from async_loader.ledger.entries import Facts, TableRun
from async_loader.ledger.report import Report
from async_loader.ledger.resuming import UnfinishedRun
from async_loader.ledger.stopwatch import Watch
from async_loader.ledger.tally import Tally
from async_loader.loading.sides import RejectFile
from async_loader.loading.superseding import Superseding
from async_loader.run.plan import Plan
from async_loader.sources import Reader
from async_loader.stores.shares import Place
from async_loader.stores.store import Store
from async_loader.table_order import databases_in_commit_order
from async_loader.tables import Table

# What most runs do without is imported by those that do not.
if TYPE_CHECKING:
    from async_loader.sources.stored_rejects import StoredReader


class RunState:
    """One run; at any moment a report can be made of it.

    run, began: id and beginning (ISO 8601), those of the earlier run where this one resumes it, which `resumed` says.
    readers: by table, what it is loaded from, open. facts: what the run reads, as the ledger keeps it.
    contents: by table, the content of each source; None where it shows when the source has been read.
    described: by table, what the ledger was last given of its sources, with the JSON that it keeps of that.
    files: by table, where its rejects are written besides the database.
    committed: by table, the line of the earlier run that is resumed.
    places: by database, where this process finds tables, for a run that is spread.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.run = plan.run
        self.began = ""
        self.resumed = False
        self.watch = Watch()
        self.readers: dict[str, Sequence[Reader | StoredReader]] = {}
        self.facts: Facts = {}
        self.contents: dict[str, Sequence[Content | None]] = {}
        self.described: dict[str, tuple[Any, str]] = {}
        self.files: dict[str, RejectFile] = {}
        self.committed: dict[str, TableRun] = {}
        self.places: dict[str, Place] = {}
        self._start: datetime | None = None
        self.tallies = {table.name: self._tally(table) for table in plan.loaded}

    def _tally(self, table: Table) -> Tally:
        options, listener = self.plan.options, table.on_loaded
        is_wanted = listener is not None and not options.dry_run and listener.is_wanted
        written = list[pl.Series]() if is_wanted else None
        return Tally(table.database, self.plan.paths(table), options.report_rejects, written=written)

    def begin(self, now: datetime) -> None:
        """Note that this process begins now; whether it resumes an earlier run is not known yet."""
        self.began = now.isoformat()
        self._start = now
        for tally in self.tallies.values():
            tally.samples.origin = now

    def resume(self, unfinished: UnfinishedRun) -> None:
        """Go on under the id of an earlier run."""
        self.run, self.began, self.resumed = unfinished.run, unfinished.started_at, True
        self.committed = dict(unfinished.tables)

    def open_reject_files(self) -> None:
        """Find out, before anything is loaded, whether files of rejects can be written."""
        if self.plan.reject_file is None:
            return
        for table in self.plan.loaded:
            self.files[table.name] = self.plan.reject_file(self.run, table)
            self.files[table.name].check()

    def database(self, table: Table) -> Store:
        """Return the database where the table lives."""
        return self.plan.databases[table.database]

    def superseding(self, table: Table) -> Superseding:
        """Return what is needed to delete stored rejects of a table."""
        here = {other.name: other for other in self.plan.tables if other.database == table.database}
        return Superseding(self.run, table, self.database(table), here)

    @property
    def remaining(self) -> list[Table]:
        """The tables that are not committed as a whole, in reference order."""
        return [table for table in self.plan.loaded if not self.tallies[table.name].kept.whole]

    @property
    def is_kept(self) -> bool:
        """Whether all has been committed."""
        return not self.remaining

    @property
    def kept(self) -> str:
        """What is committed, in words; empty where that is nothing."""
        parts = [
            name
            for name in databases_in_commit_order(self.plan.loaded)
            if not any(table.database == name for table in self.remaining)
        ]
        for table in self.plan.loaded:
            kept = self.tallies[table.name].kept
            if kept.whole and table.database not in parts:
                parts.append(f"table {table.name}")
            elif kept.records and not kept.whole:
                parts.append(self._part(table, kept.records))
        return ", ".join(parts)

    def _part(self, table: Table, records: int) -> str:
        # Shares are committed in any order.
        if self.plan.cluster is not None:
            return f"{records:,} records of table {table.name}"
        return f"table {table.name} up to record {records:,}"

    def report(self, status: str, error: str | None = None) -> Report:
        """Return the report as it stands; a run that is not complete has kept what it committed before it failed."""
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

    def close(self) -> None:
        """Close sources and files of rejects."""
        for reader in [reader for readers in self.readers.values() for reader in readers]:
            reader.close()
        for file in self.files.values():
            # Closed already where all went well; else the error that ended the run is the one to report.
            with contextlib.suppress(OutputError):
                file.close()
