"""What a database holds of shares: which of them is claimed, by the transaction that loads it, and what came of it.

Steps, and no psycopg: who leads shares imports this whatever is installed.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from async_loader.effects import Change, Query, Steps
from async_loader.errors import StoreError
from async_loader.ledger.entries import DISCARD
from async_loader.records.validation import REJECTS
from async_loader.stores.store import REJECTS_PER_QUERY, Store, quoted


def claim(database: Store, name: str, run: str, table: str) -> Steps[bool]:
    """Take a share, in the open transaction; false where it has been taken and committed. While another transaction
    that is not committed has it, this waits; LockedError where that takes too long.
    """
    sql = "INSERT INTO loader_shares (claim, run, table_name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
    taken: int = yield Change(database.name, sql, (name, run, table))
    return taken > 0


def check_current(database: Store, run: str, table: str) -> Steps[None]:
    """StoreError where another load of the table has begun since this run did. None does until the open transaction
    ends.
    """
    yield Change(database.name, f"LOCK TABLE {quoted(table)} IN ROW EXCLUSIVE MODE")
    sql = """SELECT run FROM loader_runs WHERE table_name = $1 AND mode <> $2
        ORDER BY coalesce(finished_at, started_at) DESC, started_at DESC LIMIT 1"""
    rows = yield Query(database.name, sql, (table, DISCARD))
    if rows != [(run,)]:
        other = f"run {rows[0][0]}" if rows else "nobody knows who"
        problem = f"{other} has loaded it since run {run} began; run the same command again to load the rest"
        raise StoreError(database.name, f"table {table}: {problem}")


def wait_for_others(database: Store, table: str) -> Steps[None]:
    """Wait, in the open transaction, until nobody writes to the table; nobody does until it ends."""
    yield Change(database.name, f"LOCK TABLE {quoted(table)} IN SHARE ROW EXCLUSIVE MODE")


def conclude(database: Store, name: str, outcome: str) -> Steps[None]:
    """Keep what came of a share, in the open transaction."""
    yield Change(database.name, "UPDATE loader_shares SET outcome = $1 WHERE claim = $2", (outcome, name))


def outcome_of(database: Store, name: str) -> Steps[str | None]:
    """What came of a share; None where it is not committed."""
    rows = yield Query(database.name, "SELECT outcome FROM loader_shares WHERE claim = $1", (name,))
    return rows[0][0] if rows else None


def outcomes(database: Store, run: str, table: str) -> Steps[list[str]]:
    """What came of all shares of a table that are committed."""
    sql = "SELECT outcome FROM loader_shares WHERE run = $1 AND table_name = $2 ORDER BY claim"
    rows = yield Query(database.name, sql, (run, table))
    return [outcome for (outcome,) in rows]


def end_silent(database: Store, session: str, seconds: float) -> Steps[bool]:
    """End the sessions of that name that have waited for their client for so long: it no longer answers. Returns
    whether there were others of the name, or such.
    """
    sql = """SELECT CASE WHEN silent THEN pg_terminate_backend(pid) END FROM (
            SELECT pid, wait_event_type = 'Client'
                AND state_change < clock_timestamp() - make_interval(secs => $2::double precision) AS silent
            FROM pg_stat_activity
            WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()) AS sessions"""
    rows = yield Query(database.name, sql, (session, seconds))
    return bool(rows)


def rejects_by_line(database: Store, run: str, source: str, after: tuple[int, int]) -> Steps[_Page]:
    """Some of the rejects that a run has stored of a source, in order of lines, behind a line and an id: where they
    end, and the rejects as a verdict has them; none at the end.
    """
    sql = f"""SELECT id, line, line_end, record, reasons FROM loader_rejects
        WHERE run = $1 AND source = $2 AND (line, id) > ($3, $4) ORDER BY line, id LIMIT {REJECTS_PER_QUERY}"""
    rows: Sequence[tuple[int, int, int, str, str]] = yield Query(database.name, sql, (run, source, *after))
    frame = pl.DataFrame([row[1:] for row in rows], schema=REJECTS, orient="row")
    return ((rows[-1][1], rows[-1][0]) if rows else after), frame


# Where some rejects end, and what they are.
_Page = tuple[tuple[int, int], pl.DataFrame]
