"""A connection of sqlite3 as the store uses it: its transaction, the database in memory for batches, and its file.

In a transaction that the owner of the connection has begun, ours lies between savepoints. A connection that its owner
goes on using is left as it was.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from async_loader.errors import StoreError
from async_loader.locations import Lent
from async_loader.stores.answers import BrokenRows
from async_loader.stores.sqlite.json_values import SAME_JSON, same_json
from async_loader.stores.sqlite.statements import IMAGE
from async_loader.stores.sqlite.wal import Log

# Bytes of a page in a database made here. Loading is a fifth faster than with SQLite's own 4 KiB, reading a single row
# costs the same, and changing one writes this much.
PAGE_SIZE = 16_384

BEGIN, COMMIT, ROLLBACK = "BEGIN", "COMMIT", "ROLLBACK"
# Moves what is committed from the log into the file.
CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"

_SAVEPOINT = "SAVEPOINT loader_run"
_RELEASE = "RELEASE loader_run"
_UNDO = "ROLLBACK TO loader_run"

# Of PRAGMA synchronous: a commit has reached the disk when it returns.
_FULL = 2


class Session:
    """One connection. A trigger or a full disk may end its transaction at any statement.

    path: the file; None for a database in memory.
    """

    def __init__(self, database: str, lent: Lent, path: Path | None) -> None:
        self.database = database
        self.path = path
        self._lent = lent
        self._raw: sqlite3.Connection = lent.connection
        self._log = None if path is None or lent.is_shared else Log(self._raw, path)
        self._inode = self._look()
        self._is_open = False
        self._undo: list[Callable[[], Any]] = []

    def set_up(self, *, lock_timeout: float, writable: bool, is_new: bool) -> None:
        """Make the connection ready for a load."""
        self._set("text_factory", str)
        if not self._lent.is_joined:
            # Within a transaction of the owner's, sqlite3 would commit it.
            self._set("isolation_level", None)
        self._set_pragma("busy_timeout", round(lock_timeout * 1000))
        if not self._lent.is_shared:
            self._set_up_file(is_new=is_new)
        self._set_pragma("query_only", int(not writable))
        [(encoding,)] = self.execute("PRAGMA encoding").fetchall()
        if encoding != "UTF-8":
            raise StoreError(self.database, f"its text is in {encoding} ({self.place}); create it again in UTF-8")
        if (IMAGE,) not in self.execute("SELECT name FROM pragma_database_list").fetchall():
            self.execute(f"ATTACH ':memory:' AS {IMAGE}")
            self._undo.append(self._detach)
        self._raw.create_function(SAME_JSON, 2, same_json, deterministic=True)

    @property
    def place(self) -> str:
        """Where the database is."""
        return "in memory" if self.path is None else str(self.path)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open: ours, and where it is joined, that of the owner."""
        return self._raw.in_transaction and (self._is_open or not self._lent.is_joined)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement, whose rows are tuples whatever the owner of the connection has made of them."""
        cursor = self._raw.cursor()
        cursor.row_factory = None
        try:
            return cursor.execute(sql, parameters)
        except BaseException:
            # A traceback would keep it, and with it the connection, which is closed only once all its cursors are.
            cursor.close()
            raise

    def interrupt(self) -> None:
        """End the statement that is being performed, if there is one; from any thread."""
        self._raw.interrupt()

    def begin(self, sql: str) -> None:
        """Begin a transaction by this SQL."""
        self.execute(_SAVEPOINT if self._lent.is_joined else sql)
        self._is_open = True

    def commit(self) -> None:
        """Make the transaction permanent. StoreError where the file is no longer the one that was opened."""
        self.check_file()
        try:
            self.execute(_RELEASE if self._lent.is_joined else COMMIT)
        except sqlite3.IntegrityError as error:
            raise StoreError(self.database, self._broken_reference(str(error))) from error
        self._is_open = False
        self.check_file()

    def roll_back(self) -> None:
        """Undo the transaction, if one is open."""
        if self.in_transaction and self._lent.is_joined:
            self.execute(_UNDO)
            self.execute(_RELEASE)
        elif self.in_transaction:
            self.execute(ROLLBACK)
        self._is_open = False

    def check_point(self) -> None:
        """Move what is committed into the file; a connection that its owner goes on using is left alone."""
        if not self._lent.is_shared:
            self.execute(CHECKPOINT)

    def hang(self, image: bytearray) -> None:
        """Put an image beside the database, in the place of the one before."""
        self._raw.deserialize(image, name=IMAGE)

    def make_room(self, statement: str, size: int) -> None:
        """Do what `Log.make_room` says."""
        if self._log is not None:
            self._log.make_room(statement, size)

    def hand_over(self) -> None:
        """Do what `Log.hand_over` says."""
        if self._log is not None:
            self._log.hand_over()

    def check_file(self) -> None:
        """Raise StoreError where another file, or none, is in the place of the one that was opened."""
        if self._inode is not None and self._look() != self._inode:
            advice = "put it back, and run the same command again"
            problem = f"its file was moved, replaced or deleted while it was in use ({self.path}); {advice}"
            raise StoreError(self.database, problem)

    def close(self) -> None:
        """Roll back what is not committed, and end the use of the connection."""
        if self._log is not None:
            self._log.close()
        try:
            with suppress(sqlite3.Error):
                self.roll_back()
            if self._lent.is_shared:
                for undo in reversed(self._undo):
                    undo()
        finally:
            self._lent.give_back()

    def _broken_reference(self, said: str) -> str:
        """Return why a commit was refused: a foreign key that waits for it leads nowhere."""
        broken = self.execute("SELECT * FROM pragma_foreign_key_check LIMIT 1").fetchall()
        if not broken:
            return f"{said} ({self.place})"
        [(table, row, target, _)] = broken
        return f"table {table}: {BrokenRows(1, row, target)}"

    def _set_up_file(self, *, is_new: bool) -> None:
        if is_new:
            self.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            # With a log of its own a load shuts no reader out, however large its transaction.
            self.execute("PRAGMA journal_mode = WAL")
            self._inode = self._look()
        # From the log into the file when the connection is closed, then for all databases at once, or by `begin_next`:
        # not within a commit, for which other databases wait.
        self.execute("PRAGMA wal_autocheckpoint = 0")
        # What is committed must outlive the machine, since other databases will reference it.
        [(level,)] = self.execute("PRAGMA main.synchronous").fetchall()
        if level < _FULL:
            self.execute(f"PRAGMA main.synchronous = {_FULL}")

    def _set(self, name: str, value: Any) -> None:
        before = getattr(self._raw, name)
        if before is not value:
            setattr(self._raw, name, value)
            self._undo.append(lambda: setattr(self._raw, name, before))

    def _set_pragma(self, name: str, value: int) -> None:
        [(before,)] = self.execute(f"PRAGMA {name}").fetchall()
        self.execute(f"PRAGMA {name} = {value}")
        self._undo.append(lambda: self.execute(f"PRAGMA {name} = {before}"))

    def _detach(self) -> None:
        # Within a transaction of the owner's it stays: SQLite detaches nothing there.
        with suppress(sqlite3.OperationalError):
            self.execute(f"DETACH {IMAGE}")

    def _look(self) -> tuple[int, int] | None:
        """Return the identity of the file; None where there is no file."""
        if self.path is None:
            return None
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino
