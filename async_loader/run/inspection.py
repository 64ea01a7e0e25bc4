"""Databases that are inspected, not loaded into: each is opened, checked and held in one state. Steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from async_loader.effects import Connect, Steps
from async_loader.ledger.entries import TableRun
from async_loader.run.discovery import first_names, with_first_names
from async_loader.run.plan import Options, check_databases
from async_loader.stores.ledger import hold_ledger
from async_loader.stores.store import Store
from async_loader.table_order import databases_in_reading_order, in_reference_order
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class Inspection:
    """The databases to inspect, with the tables that are declared in them. Of the options, `lock_timeout` counts.

    Raises ConfigurationError where tables and databases do not fit together.
    """

    tables: tuple[Table, ...]
    databases: Mapping[str, Store]
    options: Options

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", in_reference_order(self.tables))
        check_databases(self.tables, self.databases)
        if any(table.parents for table in self.tables):
            from async_loader.stores.inherited import for_tables

            object.__setattr__(self, "databases", for_tables(self.databases, self.tables))

    def here(self, database: str) -> list[Table]:
        """Return the tables that live in a database."""
        return [table for table in self.tables if table.database == database]


def open_databases(inspection: Inspection) -> Steps[Inspection]:
    """Connect to the databases and check their tables, in the order of names, as a load does. Returns the inspection
    with one name for each database.
    """
    names = sorted({table.database for table in inspection.tables})
    for name in names:
        yield Connect(inspection.databases[name], inspection.options.lock_timeout)
        for table in inspection.here(name):
            yield from inspection.databases[name].check(table)
    first = yield from first_names(inspection.databases, names)
    return replace(inspection, tables=with_first_names(inspection.tables, first))


def hold_all(inspection: Inspection) -> Steps[dict[str, tuple[TableRun, ...]]]:
    """Hold one state of each database from here on. Returns the ledger of each, by its name.

    All are held before anything is counted, which takes longer, and targets after the databases that reference them: a
    load that commits meanwhile releases its targets first, so that it and an inspection never wait for each other.
    """
    lines = {}
    for name in reversed(databases_in_reading_order(inspection.tables)):
        lines[name] = yield from hold_ledger(inspection.databases[name])
    return lines
