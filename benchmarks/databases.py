"""The databases that contenders load into: made anew for each run, as files or on a server.

The databases of a run are copies of a start: of empty tables, or of tables that were loaded once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from async_loader import ConfigurationError
from benchmarks.data import TABLES
from benchmarks.server import newest, server

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


class Files:
    """SQLite, as `databases/<contender>/<table>.db` of a directory."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def start(self, name: str) -> tuple[Mapping[str, Path | str], bool]:
        """Return the locations of the files of a start, and whether their directory has just been made."""
        directory = self._start(name)
        is_new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        return {table: directory / f"{table}.db" for table in TABLES}, is_new

    def settle(self, name: str) -> None:
        """Do nothing: files do not change by themselves."""

    def fresh(self, contender: str, start: str) -> Databases:
        """Copy the files of a start, and have the system write all that earlier runs have left to it."""
        directory = self._place / "databases" / contender
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self._start(start), directory)

        os.sync()
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}
        locations: dict[str, Path | str] = {table: directory / f"{table}.db" for table in TABLES}
        return Databases(directory, locations, environment | {"DATABASE_DIR": str(directory)})

    def remove(self, contender: str) -> None:
        """Remove the directory of a contender's run."""
        shutil.rmtree(self._place / "databases" / contender)

    def cpu_seconds(self) -> None:
        """Return None: SQLite runs within the contender's process."""

    def version(self) -> Mapping[str, str]:
        """Return nothing: the version of SQLite, a library of Python's, is among the facts already."""
        return {}

    def _start(self, name: str) -> Path:
        return self._place / "start" / name.replace(" ", "-")


@contextmanager
def opened(store: str, place: Path) -> Iterator[Store]:
    """Give databases of a kind, with their files in a directory.

    Databases of PostgreSQL are on the server that the environment names, or else on one that runs as long as the
    context lasts.
    """
    if store == "sqlite":
        yield Files(place)
        return
    from benchmarks.served import Served

    urls = {table: url for table, variable in VARIABLES.items() if (url := os.environ.get(variable))}
    if not urls:
        version = newest()
        assert version is not None
        with server(version) as own:
            yield Served(place, dict.fromkeys(TABLES, own.url("postgres")), own)
        return
    served = Served(place, urls, None)
    try:
        yield served
    finally:
        served.remove_all()


def refuse(store: str) -> None:
    """Raise ConfigurationError if there can be no databases of that kind."""
    if store == "sqlite":
        return
    missing = [variable for variable in VARIABLES.values() if not os.environ.get(variable)]
    if missing and len(missing) < len(VARIABLES):
        raise ConfigurationError(f"--store {store}: set {' and '.join(missing)} as well, or none of them")
    if not missing and any(urlsplit(os.environ[variable]).password for variable in VARIABLES.values()):
        problem = "a URL with a password would be seen in the list of processes"
        raise ConfigurationError(f"--store {store}: {problem}; leave it out and set PGPASSWORD")
    if missing and newest() is None:
        problem = "no PostgreSQL server is here; pip install -e '.[benchmark]'"
        raise ConfigurationError(f"--store {store}: {problem}, or set {', '.join(missing)}")
