"""Shares in PostgreSQL: rows of `loader_shares`, claimed by a conflict of keys. Steps, and no psycopg."""

from __future__ import annotations

from dataclasses import dataclass

from async_loader.effects import Change, Query, Steps
from async_loader.errors import StoreError
from async_loader.ledger.entries import DISCARD
from async_loader.stores.names import table_sql
from async_loader.stores.postgres.schema import PLACE, TAKE_TURNS
from async_loader.stores.shares import Place, Shares


@dataclass(frozen=True, slots=True)
class KeptShares(Shares):
    """The shares in one database of a server."""

    def place(self) -> Steps[Place]:
        """Do what `Shares.place` says."""
        [(path, schemas, ledger)] = yield Query(self.database, PLACE)
        return Place({"search_path": path}, schemas, ledger)

    def guard(self) -> Steps[None]:
        """Do what `Shares.guard` says."""
        yield Change(self.database, "BEGIN")
        yield Change(self.database, TAKE_TURNS)

    def claim(self, claim: str, run: str, table: str) -> Steps[bool]:
        """Do what `Shares.claim` says."""
        sql = "INSERT INTO loader_shares (claim, run, table_name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        taken: int = yield Change(self.database, sql, (claim, run, table))
        return taken > 0

    def check_current(self, run: str, table: str) -> Steps[None]:
        """Do what `Shares.check_current` says."""
        yield Change(self.database, f"LOCK TABLE {table_sql(table)} IN ROW EXCLUSIVE MODE")
        sql = """SELECT run FROM loader_runs WHERE table_name = $1 AND mode <> $2
            ORDER BY number DESC LIMIT 1"""
        rows = yield Query(self.database, sql, (table, DISCARD))
        if rows != [(run,)]:
            other = f"run {rows[0][0]}" if rows else "an unknown run"
            problem = f"{other} has loaded it since run {run} began; run the same command again to load the rest"
            raise StoreError(self.database, f"table {table}: {problem}")

    def wait_for_others(self, table: str) -> Steps[None]:
        """Do what `Shares.wait_for_others` says."""
        yield Change(self.database, f"LOCK TABLE {table_sql(table)} IN SHARE ROW EXCLUSIVE MODE")

    def conclude(self, claim: str, outcome: str) -> Steps[None]:
        """Do what `Shares.conclude` says."""
        yield Change(self.database, "UPDATE loader_shares SET outcome = $1 WHERE claim = $2", (outcome, claim))

    def outcome(self, claim: str) -> Steps[str | None]:
        """Do what `Shares.outcome` says."""
        rows = yield Query(self.database, "SELECT outcome FROM loader_shares WHERE claim = $1", (claim,))
        return rows[0][0] if rows else None

    def outcomes(self, run: str, table: str) -> Steps[list[str]]:
        """Do what `Shares.outcomes` says."""
        sql = "SELECT outcome FROM loader_shares WHERE run = $1 AND table_name = $2 ORDER BY claim"
        rows = yield Query(self.database, sql, (run, table))
        return [outcome for (outcome,) in rows]

    def end_silent(self, session: str, seconds: float) -> Steps[bool]:
        """Do what `Shares.end_silent` says."""
        sql = """SELECT CASE WHEN silent THEN pg_terminate_backend(pid) END FROM (
                SELECT pid, wait_event_type = 'Client'
                    AND state_change < clock_timestamp() - make_interval(secs => $2::double precision) AS silent
                FROM pg_stat_activity
                WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()) AS sessions"""
        rows = yield Query(self.database, sql, (session, seconds))
        return bool(rows)
