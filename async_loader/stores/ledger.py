"""The loader's own tables of a database, and how many rows the others have: what verifying asks.

Nothing is taken on trust: values come as they are stored, whatever their type, with escapes in text that is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from async_loader.effects import Query, Steps
from async_loader.ledger.agreement import DatabaseState
from async_loader.ledger.entries import TableRun
from async_loader.stores.names import table_sql
from async_loader.stores.store import Store
from async_loader.tables import Table


def hold_ledger(database: Store) -> Steps[tuple[TableRun, ...]]:
    """Return the lines of a ledger, in the order in which they were first written. From here on, this state of a
    database that was opened for writing is held, and nothing can be written to it.
    """
    yield from database.hold()
    columns = ", ".join(map(database.undecoded, TableRun.COLUMNS))
    rows = yield Query(database.name, f"SELECT {columns} FROM loader_runs ORDER BY {database.ledger_order}")
    return tuple(TableRun.from_row([*map(_decoded, row)]) for row in rows)


def state_of(database: Store, tables: Iterable[Table], lines: tuple[TableRun, ...]) -> Steps[DatabaseState]:
    """Count what the lines of a database's ledger speak of; `tables` are the declared ones that live there."""
    rejects = yield from _rejects_by_run(database)
    rows = {}
    for table in tables:
        [(rows[table.name],)] = yield Query(database.name, f"SELECT count(*) FROM {table_sql(table.name)}")
    return DatabaseState(database.name, lines, rejects, rows)


def _rejects_by_run(database: Store) -> Steps[dict[str, int]]:
    sql = f"SELECT {database.undecoded('run')} AS named, count(*) FROM loader_rejects GROUP BY named"
    rows = yield Query(database.name, sql)
    return {_decoded(run): count for run, count in rows}


def _decoded(value: Any) -> Any:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
