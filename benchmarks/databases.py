"""The databases that contenders load into: made anew for each run, as files or on a server.

The databases of a run are copies of a start: of empty tables, or of tables that were loaded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.data import TABLES

# The variables of the environment with the URLs of databases, as in the project's settings.
VARIABLES = {table: f"{table.upper()}_DATABASE_URL" for table in TABLES}


@dataclass(frozen=True, slots=True)
class Databases:
    """The databases of one run: a directory for files, the location of each table's database, and the environment in
    which processes find them.
    """

    directory: Path
    locations: Mapping[str, Path | str]
    environment: Mapping[str, str]


class Store(Protocol):
    """A kind of database, with the databases of all starts and runs."""

    def start(self, name: str) -> tuple[Mapping[str, Path | str], bool]:
        """Return the locations of the databases of a start by table, and whether they have just been made."""

    def settle(self, name: str) -> None:
        """Take note that a start is filled and will not change any more."""

    def fresh(self, contender: str, start: str) -> Databases:
        """Copy a start for a contender's run, and finish all work that would otherwise fall into that run."""

    def remove(self, contender: str) -> None:
        """Remove the databases of a contender's run."""

    def cpu_seconds(self) -> float | None:
        """Return the CPU seconds of the server so far; None if there is no server, or if they are not known."""

    def version(self) -> Mapping[str, str]:
        """Return versions to be listed among the facts of the machine."""
