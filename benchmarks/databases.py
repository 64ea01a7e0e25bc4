"""Where contenders load into: databases made anew for each run, as files or on a server.

Those of a run are copies of a start: empty tables, or what was loaded into them once.
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

# What a URL is called in the environment, as the project's settings have it.
VARIABLES = {table: f"{table.upper()}_DATABASE_URL" for table in TABLES}


@dataclass(frozen=True, slots=True)
class Databases:
    """Those of one run. A directory for files, where each table's database is, and the environment of processes that
    are to find them.
    """

    directory: Path
    locations: Mapping[str, Path | str]
    environment: Mapping[str, str]


class Store(Protocol):
    """A kind of database."""

    def start(self, name: str) -> tuple[Mapping[str, Path | str], bool]:
        """By table, where the databases of a start are, and whether they have been made just now."""

    def settle(self, name: str) -> None:
        """A start has all that it will ever have."""

    def fresh(self, contender: str, start: str) -> Databases:
        """Copies of a start for a contender's run, and nothing left to do that is not this run's."""

    def remove(self, contender: str) -> None:
        """They are used no longer."""

    def cpu_seconds(self) -> float | None:
        """What a server has taken so far; None where there is none, or no knowing."""

    def version(self) -> Mapping[str, str]:
        """What the machine's facts say of it."""


class Files:
    """SQLite, as `databases/<contender>/<table>.db` of a directory."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def start(self, name: str) -> tuple[Mapping[str, Path | str], bool]:
        """See Store."""
        directory = self._start(name)
        is_new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        return {table: directory / f"{table}.db" for table in TABLES}, is_new

    def settle(self, name: str) -> None:
        """See Store."""

    def fresh(self, contender: str, start: str) -> Databases:
        """See Store."""
        directory = self._place / "databases" / contender
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self._start(start), directory)
        # What earlier runs have left to the system to write is not this one's to wait for.
        os.sync()
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}
        locations: dict[str, Path | str] = {table: directory / f"{table}.db" for table in TABLES}
        return Databases(directory, locations, environment | {"DATABASE_DIR": str(directory)})

    def remove(self, contender: str) -> None:
        """See Store."""
        shutil.rmtree(self._place / "databases" / contender)

    def cpu_seconds(self) -> None:
        """See Store."""

    def version(self) -> Mapping[str, str]:
        """See Store. SQLite is a library of Python's."""
        return {}

    def _start(self, name: str) -> Path:
        return self._place / "start" / name.replace(" ", "-")


@contextmanager
def opened(store: str, place: Path) -> Iterator[Store]:
    """Databases of a kind, with their files in a directory. For PostgreSQL, on the server that the environment names,
    or else on one that runs as long as this lasts. ConfigurationError where the environment names only some.
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
    """ConfigurationError where there can be no databases of that kind."""
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
