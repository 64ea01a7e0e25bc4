"""Stores: databases that take records. All SQL of the package is built here; each kind of store has a package.

What may live here: the interface of stores (`store.py`, `answers.py`, `shares.py`), SQL that is the same for all of
them (`names.py`, `conditions.py`, `ledger.py`, `reject_queries.py`), the store of a dry run (`dry.py`), keys of new
rows (`new_keys.py`), values as stores keep them (`values.py`), and, in a package for each kind, its SQL, its
connections and the way in which batches cross into it. Nothing here waits, but the modules called `connections.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from async_loader.errors import ConfigurationError, one_line
from async_loader.locations import PostgreSQL, SQLite
from async_loader.stores.store import Store

# A database, as callers may name it: the path of an SQLite file, the URL of a PostgreSQL database or the
# parameters of a connection to it, or a store made for it.
StoreLike: TypeAlias = str | PathLike[str] | SQLite | PostgreSQL | Store

_URLS = ("postgresql:", "postgres:")


def store_of(name: str, where: StoreLike) -> Store:
    """Return the database under the name that tables use for it. ConfigurationError for a URL that cannot be read, and
    where the library that connects is not installed.
    """
    if isinstance(where, Store):
        return where
    if isinstance(where, SQLite):
        from async_loader.stores.sqlite import Database

        return Database(name, where.path, where.zone, where.lend)
    if isinstance(where, PostgreSQL):
        return _postgres(name).Database(name, where.parameters, where.zone, where.lend)  # type: ignore[no-any-return]
    if fspath(where).startswith(_URLS):
        return _postgres(name).from_url(name, fspath(where))  # type: ignore[no-any-return]
    if isinstance(where, str) and "://" in where:
        problem = "its URL is not of PostgreSQL; give postgresql://USER:PASSWORD@HOST:PORT/NAME, or the path of a file"
        raise ConfigurationError(f"database {name}: {problem}")
    from async_loader.stores.sqlite import Database

    return Database(name, Path(where))


def stores_of(databases: Mapping[str, StoreLike]) -> dict[str, Store]:
    """Return the store of each database, under its name."""
    return {name: store_of(name, where) for name, where in databases.items()}


def _postgres(name: str) -> ModuleType:
    """Return the module, which needs a library that is an extra."""
    try:
        from async_loader.stores.postgres import urls
    except ImportError as error:
        advice = "pip install 'django-async-loader[postgresql]'"
        raise ConfigurationError(f"database {name}: PostgreSQL needs psycopg: {one_line(error)}; {advice}") from error
    return urls


def from_environment(name: str) -> Store:
    """Return the database whose URL the environment has, for `users` under USERS_DATABASE_URL. ConfigurationError where
    it has none.
    """
    variable = f"{re.sub('[^A-Za-z0-9]', '_', name).upper()}_DATABASE_URL"
    where = os.environ.get(variable)
    if not where:
        raise ConfigurationError(f"database {name}: nothing says where it is; set {variable}")
    return store_of(name, where)
