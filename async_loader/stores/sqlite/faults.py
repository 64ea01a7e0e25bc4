"""What errors of sqlite3 mean: one line for a person, which says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from async_loader.errors import StoreError, one_line

# The transaction may be of this very program: SQLite does not say.
_LOCKED = "another transaction, of this program or another, holds it; try again when that has ended, or wait longer"
_ADVICE = (
    (sqlite3.SQLITE_BUSY, _LOCKED),
    (sqlite3.SQLITE_LOCKED, _LOCKED),
    (sqlite3.SQLITE_FULL, "free some room on its disk and run the same command again"),
    # Not even the index of the log fits, without which no connection can read.
    (sqlite3.SQLITE_IOERR_SHMSIZE, "free some room on its disk and run the same command again"),
    (sqlite3.SQLITE_READONLY_ROLLBACK, "a load into it was killed; run that command again, or init_db, to clean up"),
    (sqlite3.SQLITE_READONLY, "allow writing to the file, its -wal and -shm, and its directory"),
    (sqlite3.SQLITE_CANTOPEN, "create it with init_db, or check its directory and permissions"),
    (sqlite3.SQLITE_NOTADB, "the file is no SQLite database; move it away and run init_db"),
    (sqlite3.SQLITE_CORRUPT, "the file is damaged; restore it from a copy"),
    (sqlite3.SQLITE_IOERR, "check the disk"),
)


def explained(database: str, path: Path | None, error: BaseException) -> StoreError:
    """Return what SQLite said of a database, as one line with advice; `path` is None for one in memory."""
    if path is None or not isinstance(error, sqlite3.Error):
        place = "in memory" if path is None else path
        return StoreError(database, f"{one_line(error)} ({place})")
    if _is_directory(path.parent) is False:
        return StoreError(database, f"the directory {path.parent} does not exist; create it first")
    if _is_directory(path):
        return StoreError(database, f"{path} is a directory; move it away and run init_db")
    code = getattr(error, "sqlite_errorcode", None)
    advice = next((text for known, text in _ADVICE if code is not None and known in (code, code & 0xFF)), None)
    return StoreError(database, f"{error} ({path}); {advice}" if advice else f"{error} ({path})")


def missing() -> sqlite3.Error:
    """Return the error of a file that is not there, as SQLite itself has it."""
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    return error


def driver_error(error: Exception) -> BaseException:
    """Return the error of sqlite3 for which a framework has raised one of its own."""
    return error.__cause__ if isinstance(error.__cause__, sqlite3.Error) else error


def _is_directory(path: Path) -> bool | None:
    """Return whether it is one; None where permissions do not let us look."""
    try:
        return path.is_dir()
    except OSError:
        return None
