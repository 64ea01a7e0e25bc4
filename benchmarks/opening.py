"""Which databases a benchmark gets for `--store`: files, or those of a server, which may have to be started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from async_loader import ConfigurationError
from benchmarks.data import TABLES
from benchmarks.databases import VARIABLES, Store
from benchmarks.files import Files
from benchmarks.server import newest, server


@contextmanager
def opened(store: str, place: Path) -> Iterator[Store]:
    """Give databases of a kind, with their files in a directory.

    Databases of PostgreSQL are on the server that the environment names, or else on one that runs as long as the
    context lasts.
    """
    if store == "sqlite":
        yield Files(place)
        return
    # It needs psycopg.
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


def refuse_impossible(store: str) -> None:
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
