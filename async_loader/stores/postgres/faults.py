"""What errors of psycopg mean: one line for a person, which says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import errors

from async_loader.effects import Refusal
from async_loader.errors import LockedError, StoreError, UnreachableError, one_line
from async_loader.stores.store import PASSED_OVER, refused

# Errors of a row, not of the database: its constraints, types and triggers, and keys longer than an index can hold.
REFUSALS = (errors.IntegrityError, errors.DataError, errors.RaiseException, errors.ProgramLimitExceeded)

# By SQLSTATE, or the class that begins it, what to do.
_ADVICE = {
    "55P03": "another transaction, of this program or another, holds it; try again when that has ended, or wait longer",
    "40P01": "another transaction, of this program or another, waited for this one; try again when that has ended",
    "40001": "another transaction, of this program or another, has changed the same; try again when that has ended",
    "53100": "free some room on the server's disk and run the same command again",
    "53300": "the server has no connection left; try again later, or raise its max_connections",
    "42501": "grant the role what docs/postgresql.md lists",
    "2200H": "no key is left for a new row; give the key a larger type, such as bigint, or its sequence a MAXVALUE",
    "25006": "the server is a standby, or default_transaction_read_only is set; name a database that can be written",
    "42P01": "run init_db first",
    "3F000": "create the schema first",
}
# What SQLSTATE begins with where the server went away, or has chosen this transaction to end a deadlock.
_PASSING = ("08", "57P", "40P01")
_LOST = "see that the server runs, and run the same command again"
# Of a connection that is refused no SQLSTATE is handed on.
UNREACHABLE = "see that the server runs, and that its host, database, user and password are right"


# Where the server, whatever its language, refuses a row for a policy of row-level security.
_POLICIES = "ExecWithCheckOptions"


def is_refusal(error: psycopg.Error) -> bool:
    """Return whether an error is of a row, and not of the database."""
    # A counter at its end is no fault of the row.
    if isinstance(error, errors.SequenceGeneratorLimitExceeded):
        return False
    return isinstance(error, REFUSALS) or (
        isinstance(error, errors.InsufficientPrivilege) and error.diag.source_function == _POLICIES
    )


class PassedOverError(Exception):
    """A row was neither stored nor broke a constraint."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains errors of one database: under its name, and with the server that `parameters` lead to."""

    database: str
    parameters: Mapping[str, Any] = field(repr=False)

    def explained(self, error: BaseException, lost: str = _LOST) -> StoreError:
        """Return what the server said, as one line with advice; `lost`: the advice where there is no connection."""
        if isinstance(error, PassedOverError):
            return refused(self.database, PASSED_OVER)
        if not isinstance(error, psycopg.Error):
            return StoreError(self.database, one_line(error))
        if is_refusal(error):
            return refused(self.database, Refusal(said(error), error.diag.constraint_name or ""))
        kind: type[StoreError] = StoreError
        state = error.sqlstate or ""
        advice = next((_ADVICE[known] for known in (state, state[:3], state[:2]) if known in _ADVICE), None)
        if state.startswith(_PASSING) or (not state and isinstance(error, errors.OperationalError)):
            kind, advice = UnreachableError, advice or lost
        if isinstance(error, errors.LockNotAvailable):
            kind = LockedError
        problem = f"{said(error)} ({self.place})"
        return kind(self.database, f"{problem}; {advice}" if advice else problem)

    @property
    def place(self) -> str:
        """Which database of which server; no password."""
        known = self.parameters
        database = known.get("dbname") or known.get("service") or known.get("user") or "the default database"
        return f"{database} at {known.get('host') or known.get('hostaddr') or 'the local socket'}"


def driver_error(error: Exception) -> Exception:
    """Return the error of psycopg for which a framework has raised one of its own."""
    return error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error


def said(error: psycopg.Error) -> str:
    """Return what the server said, without the statement that it was at."""
    parts = [error.diag.message_primary, error.diag.message_detail]
    return "; ".join(" ".join(part.split()) for part in parts if part) or " ".join(str(error).split())
