"""The database's log (its -wal file), cared for so that little is left to be done at the commit.

The log is handed to the disk while it grows. Left to itself the system begins to write when a commit waits for all of
it; what has been handed over by then goes to the disk beside the work of the next batches.

And hardly a page goes into it twice: once one does, SQLite reads all of the log after it again at the commit, for new
checksums. Each batch changes the last pages of its table, so the cache has room for them and all that comes in between.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

# Fewer bytes are not worth a call.
_ENOUGH = 1 << 20
# Bytes of the cache for each byte of a batch: rejects are stored with the names of their run and source.
_STORED = 2
# The most bytes of the cache, and those that it has to begin with, as SQLite has it.
_MOST_ROOM, _LEAST_ROOM = 64 << 20, 2_000 << 10


class Log:
    """The log of a file that a connection writes to; a database that keeps none is left alone."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        # The largest batch by statement, in bytes.
        self._batches: dict[str, int] = {}
        self._log: int | None = None
        self._handed_over = 0

    def make_room(self, statement: str, size: int) -> None:
        """Make the cache large enough before a statement writes a batch of `size` bytes. A load repeats its statements
        in turn.
        """
        if size <= self._batches.get(statement, 0):
            return
        self._batches[statement] = size
        room = min(max(_STORED * sum(self._batches.values()), _LEAST_ROOM), _MOST_ROOM)
        self._connection.execute(f"PRAGMA main.cache_size = -{room >> 10}")

    def hand_over(self) -> None:
        """Let the disk begin to write what the log has got since the last time; nothing is waited for."""
        if not hasattr(os, "posix_fadvise"):
            return
        with suppress(OSError):
            if self._log is None:
                # SQLite puts it beside the file itself. It holds no lock, so closing it gives up none.
                self._log = os.open(f"{self._path.resolve()}-wal", os.O_RDONLY)
            size = os.fstat(self._log).st_size
            if size - self._handed_over >= _ENOUGH:
                # Linux writes what is not on the disk yet before it drops it from memory.
                os.posix_fadvise(self._log, self._handed_over, size - self._handed_over, os.POSIX_FADV_DONTNEED)
                self._handed_over = size

    def close(self) -> None:
        """Close the log, not the connection."""
        if self._log is not None:
            os.close(self._log)
            self._log = None
