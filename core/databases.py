"""Which database each alias is: what an environment variable says, or else a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def database(alias: str, directory: Path) -> dict[str, Any]:
    """What DATABASES has of an alias: the URL in the variable ALIAS_DATABASE_URL, or an SQLite file in the directory.

    ImproperlyConfigured for a URL that cannot be read, which is not repeated: it may have a password.
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
    """ValueError unless it is of PostgreSQL, with nothing of a password in the database's name, which is shown."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"} or "@" in parts.path:
        raise ValueError(parts.scheme)
    return url
