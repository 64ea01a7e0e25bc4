"""A database by its URL."""

from __future__ import annotations

import psycopg
from psycopg import conninfo

from async_loader.errors import ConfigurationError
from async_loader.stores.postgres.database import Database


def from_url(name: str, url: str) -> Database:
    """Return the database at a URL, or of any text that libpq takes for a connection. ConfigurationError where it
    cannot be read; the text, which may have a password, is not repeated.
    """
    form = "postgresql://USER:PASSWORD@HOST:PORT/NAME"
    if _has_stray_at(url):
        raise ConfigurationError(f"database {name}: its URL has an @ too many; it is {form}, with %40 for an @ within")
    try:
        return Database(name, conninfo.conninfo_to_dict(url))
    except (psycopg.ProgrammingError, UnicodeEncodeError) as error:
        problem = f"its URL cannot be read; it is {form}"
        raise ConfigurationError(f"database {name}: {problem}") from error.with_traceback(None)


def _has_stray_at(url: str) -> bool:
    """Return whether libpq would take a part of a password for a host, port or database, which are shown."""
    authority, _, path = url.partition("://")[2].partition("/")
    return "@" in path.partition("?")[0] or authority.count("@") > 1
