"""What a database holds of the loader's own, and how many rows its tables have: what verifying asks.

Nothing is taken on trust: values come as they are stored, whatever their type, with escapes in text that is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from async_loader.effects import Query, Steps
from async_loader.ledger.agreement import DatabaseState
from async_loader.ledger.entries import TableRun
from async_loader.stores.store import Store, quoted
from async_loader.tables import Table


def hold(database: Store) -> Steps[tuple[TableRun, ...]]:
    """The lines of its ledger, in the order in which they were first written. From here on, this state of a database
    that was opened for writing is held on to, and nothing can be written to it.
    """
    yield from database.hold()
    columns = ", ".join(database.undecoded(field.name) for field in fields(TableRun))
    rows = yield Query(database.name, f"SELECT {columns} FROM loader_runs ORDER BY {database.ledger_order}")
    return tuple(TableRun(*map(_readable, row)) for row in rows)


def stored(database: Store, tables: Iterable[Table], lines: tuple[TableRun, ...]) -> Steps[DatabaseState]:
    """What there is to hold its lines against; `tables` are the declared ones that live here."""
    rejects = yield from _rejects(database)
    rows = {}
    for table in tables:
        [(rows[table.name],)] = yield Query(database.name, f"SELECT count(*) FROM {quoted(table.name)}")
    return DatabaseState(database.name, lines, rejects, rows)


def _rejects(database: Store) -> Steps[dict[str, int]]:
    """How many there are, by run."""
    sql = f"SELECT {database.undecoded('run')} AS named, count(*) FROM loader_rejects GROUP BY named"
    rows = yield Query(database.name, sql)
    return {_readable(run): count for run, count in rows}


def _readable(value: Any) -> Any:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
