"""Which database a model lives in, and where that is. Light: checks of every project import it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionDoesNotExist

from async_loader import ConfigurationError, PostgreSQL

# An SQLite file, or a database of a PostgreSQL server.
Location: TypeAlias = Path | PostgreSQL

# Of what Django gives to psycopg, what is not for libpq.
_OF_PSYCOPG = ("autocommit", "context", "cursor_factory", "prepare_threshold", "row_factory")
# Seconds that a server may take to answer, where the project says nothing else.
_CONNECT_TIMEOUT = 10


def home(model: type[models.Model]) -> str:
    """The alias of the database that a model is written to, as the project's routers say."""
    return str(router.db_for_write(model))


def is_postgresql(alias: str) -> bool:
    """Whether the database is of a PostgreSQL server. ConfigurationError where there is none of that alias."""
    return str(_connection(alias).vendor) == "postgresql"


def location(alias: str) -> Location:
    """Where the database behind an alias is. ConfigurationError where there is none that can be loaded into."""
    connection = _connection(alias)
    if connection.vendor == "postgresql":
        return _server(alias, connection)
    name = str(connection.settings_dict["NAME"] or "")
    if connection.vendor != "sqlite":
        problem = "only SQLite files and PostgreSQL can be loaded into"
        raise ConfigurationError(f"database {alias}: is of {connection.vendor}; {problem}")
    if not name or name.startswith(("file:", ":memory:")):
        raise ConfigurationError(f"database {alias}: {name or 'it'} is no file; name a file in DATABASES")
    return Path(name)


def stored_tables(alias: str) -> set[str] | None:
    """The names of the tables that a database has; None where that cannot be told."""
    try:
        if isinstance(place := location(alias), PostgreSQL):
            return _served_tables(connections[alias])
        return set(connections[alias].introspection.table_names()) if place.exists() else None
    except (ConfigurationError, DatabaseError, OSError):
        return None


def _served_tables(connection: BaseDatabaseWrapper) -> set[str]:
    """By a connection of its own: the project's may be of a pool, wait as long as the system does, and stay open."""
    own = connection.copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    own.settings_dict["OPTIONS"].setdefault("connect_timeout", _CONNECT_TIMEOUT)
    with closing(own):
        return set(own.introspection.table_names())


def all_models() -> Iterator[type[models.Model]]:
    """Those that have tables."""
    return (model for model in apps.get_models() if not model._meta.proxy)


def own_models() -> Iterator[type[models.Model]]:
    """All of them but those of Django's own apps."""
    return (model for model in all_models() if not model.__module__.startswith("django."))


def _connection(alias: str) -> Any:
    """Django's, which need not be open."""
    try:
        return connections[alias]
    except ConnectionDoesNotExist as error:
        raise ConfigurationError(f"database {alias}: is not configured; add it to DATABASES") from error
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"database {alias}: {error}{_advice(error)}") from error


def _advice(error: ImproperlyConfigured) -> str:
    """What to do where a backend cannot be imported because psycopg is missing."""
    missing = error.__context__.name if isinstance(error.__context__, ImportError) else None
    return "; pip install 'django-async-loader[postgresql]'" if (missing or "").startswith("psycopg") else ""


def _server(alias: str, connection: BaseDatabaseWrapper) -> PostgreSQL:
    """As Django itself connects to it, in the same role and time zone."""
    try:
        parameters = connection.get_connection_params()
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"database {alias}: {error}") from error
    wanted = {name: value for name, value in parameters.items() if name not in _OF_PSYCOPG}
    if role := connection.settings_dict["OPTIONS"].get("assume_role"):
        wanted["options"] = f"{wanted.get('options') or ''} -c role={_escaped(role)}".strip()
    return PostgreSQL(wanted, zone=str(connection.timezone_name))


def _escaped(text: str) -> str:
    """As one word of libpq's `options`."""
    return "".join(f"\\{each}" if each.isspace() or each == "\\" else each for each in text)
