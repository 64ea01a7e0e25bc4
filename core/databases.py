"""The database of each alias: the URL in an environment variable, or else an SQLite file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def database(alias: str, directory: Path) -> dict[str, Any]:
    """Return the entry of an alias in DATABASES: the URL in ALIAS_DATABASE_URL, or an SQLite file in the directory.

    Raises ImproperlyConfigured for a URL that cannot be read, without repeating it: it may have a password.
    """
    variable = f"{alias.upper()}_DATABASE_URL"
    url = os.environ.get(variable)
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / f"{alias}.db"}
    try:
        import dj_database_url
    except ImportError as error:
        raise ImproperlyConfigured(f"{variable} needs dj-database-url; pip install -e '.[sample]'") from error
    try:
        return {**dj_database_url.parse(_checked(url))}
    except ValueError:
        problem = "cannot be read; it is postgresql://USER:PASSWORD@HOST:PORT/NAME"
        raise ImproperlyConfigured(f"{variable} {problem}") from None


def _checked(url: str) -> str:
    """Return a URL of PostgreSQL. ValueError for another, and for a name that may hold part of a password."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"} or "@" in parts.path:
        raise ValueError(parts.scheme)
    return url
