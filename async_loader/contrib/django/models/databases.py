"""Which database a model lives in, and where that is. Light: checks of every project import it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import split_identifier
from django.db.models.base import ModelState
from django.utils.connection import ConnectionDoesNotExist

from async_loader import ConfigurationError, PostgreSQL, SQLite
from async_loader.contrib.django.models.connections import Lender, has_transaction, is_in_memory

# A database of SQLite, or of a PostgreSQL server.
Location: TypeAlias = SQLite | PostgreSQL

# Tables that are found by their names alone, and those of the schemas that a project names.
_TABLES = """\
SELECT nspname, relname, pg_table_is_visible(pg_class.oid) FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE relkind = ANY(%s::"char"[])
AND nspname NOT IN ('pg_catalog', 'pg_toast') AND (pg_table_is_visible(pg_class.oid) OR nspname = ANY(%s))"""

# The parameters that Django gives to psycopg and that libpq does not know.
_OF_PSYCOPG = ("autocommit", "context", "cursor_factory", "prepare_threshold", "row_factory")

# Modules with models that no file is loaded into, unless it is named.
_NOT_LOADED = ("django.", "async_loader.contrib.django.admin.")


def home(model: type[models.Model]) -> str:
    """Return the alias of the database that the project's routers choose for writing a model. The table that Django
    makes of a many-to-many field is where the rows of the field's model are, unless routers say otherwise.
    """
    owner: Any = model._meta.auto_created
    if not owner:
        return str(router.db_for_write(model))
    row = owner.__new__(owner)
    row._state = ModelState()
    row._state.db = home(owner)
    return str(router.db_for_write(model, instance=row))


def is_postgresql(alias: str) -> bool:
    """Return whether the database is PostgreSQL. Raises ConfigurationError for an unknown alias."""
    return str(connection_of(alias).vendor) == "postgresql"


def location(alias: str) -> Location:
    """Return where the database of an alias is, and how Django connects to it from the calling thread.

    Raises ConfigurationError if it cannot be loaded into. Nothing is connected to yet.
    """
    connection = connection_of(alias)
    if connection.vendor == "postgresql":
        return _server(alias, connection)
    if connection.vendor == "sqlite":
        return SQLite(_file(alias, connection), str(connection.timezone_name), Lender(connection))
    problem = "only SQLite and PostgreSQL can be loaded into"
    raise ConfigurationError(f"database {alias}: is of {connection.vendor}; {problem}")


def refuse_transactions(aliases: Iterable[str]) -> None:
    """Raise ConfigurationError where the calling thread has a transaction open, of which workers would see nothing."""
    for alias in sorted(aliases):
        if has_transaction(connection_of(alias)):
            problem = "workers cannot see what its open transaction has written"
            advice = "load outside of atomic(), in a test with TransactionTestCase, or in another mode than dask"
            raise ConfigurationError(f"database {alias}: {problem}; {advice}")


def file_of(where: Location | Path) -> Path | None:
    """Return the file of a database, or a path as it is; None where a database has no file of its own."""
    if isinstance(where, Path):
        return where
    return where.path if isinstance(where, SQLite) else None


def stored_tables(alias: str, *, with_views: bool = False) -> set[str] | None:
    """Return the names of the tables that a database has, to be asked by `is_among`; None where it cannot be asked."""
    try:
        if isinstance(where := location(alias), PostgreSQL):
            return _served_tables(connections[alias], "fmprv" if with_views else "fpr")
        if where.path is not None and not where.path.exists():
            return None
        return set(connections[alias].introspection.table_names(include_views=with_views))
    except (ConfigurationError, DatabaseError, OSError):
        return None


def stored_views(alias: str) -> set[str]:
    """Return the names of the views that a database has; none where it cannot be asked."""
    return (stored_tables(alias, with_views=True) or set()) - (stored_tables(alias) or set())


def is_among(table: str, stored: Container[str]) -> bool:
    """Return whether a table, as `db_table` names it, is among those that a database has."""
    schema, name = split_identifier(table)
    return (_in_schema(schema, name) if schema else name) in stored


def _served_tables(connection: BaseDatabaseWrapper, kinds: str) -> set[str]:
    """Return the names of a server's tables of these kinds, over a connection as a load has it, in one transaction.

    The project's own connection may wait for a dead server as long as the system does, and stay open.
    """
    schemas = {split_identifier(model._meta.db_table)[0] for model in all_models()}
    lent = Lender(connection)()
    try:
        with connection.wrap_database_errors, lent.connection.cursor() as cursor:
            for statement, values in _with_settings(lent.settings):
                cursor.execute(statement, values)
            cursor.execute(_TABLES, (list(kinds), list(schemas)))
            rows = cursor.fetchall()
            if lent.settings:
                cursor.execute("ROLLBACK")
    finally:
        lent.give_back()
    names = {_in_schema(schema, name) for schema, name, _ in rows}
    return names | {name for _, name, is_visible in rows if is_visible}


def _with_settings(settings: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Yield the statements that begin a transaction in which settings hold; none where there are none."""
    if settings:
        yield "BEGIN", None
    for setting in settings.items():
        yield "SELECT set_config(%s, %s, TRUE)", setting


def _in_schema(schema: str, name: str) -> str:
    return f'"{schema}"."{name}"'


def all_models() -> Iterator[type[models.Model]]:
    """Return the models that have tables of their own, with those that Django makes of many-to-many fields."""
    return (model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy)


def own_models() -> Iterator[type[models.Model]]:
    """Return those models but the ones of Django's own apps and of the console."""
    return (model for model in all_models() if not model.__module__.startswith(_NOT_LOADED))


def connection_of(alias: str) -> Any:
    """Return Django's connection for the alias, which need not be open."""
    try:
        return connections[alias]
    except ConnectionDoesNotExist as error:
        raise ConfigurationError(f"database {alias}: is not configured; add it to DATABASES") from error
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"database {alias}: {error}{_advice(error)}") from error


def _advice(error: ImproperlyConfigured) -> str:
    """Return what to do if a backend cannot be imported because psycopg is missing, else nothing."""
    missing = error.__context__.name if isinstance(error.__context__, ImportError) else None
    return "; pip install 'django-async-loader[postgresql]'" if (missing or "").startswith("psycopg") else ""


def _server(alias: str, connection: BaseDatabaseWrapper) -> PostgreSQL:
    """Return the server as Django itself connects to it, with the same parameters and time zone."""
    try:
        parameters = connection.get_connection_params()
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"database {alias}: {error}") from error
    wanted = {name: value for name, value in parameters.items() if name not in _OF_PSYCOPG}
    return PostgreSQL(wanted, str(connection.timezone_name), Lender(connection))


def _file(alias: str, connection: BaseDatabaseWrapper) -> Path | None:
    """Return the file of an SQLite database; None for one in memory."""
    if is_in_memory(connection):
        return None
    name = str(connection.settings_dict["NAME"] or "")
    if not name:
        raise ConfigurationError(f"database {alias}: has no name; name a file in DATABASES")
    return Path(unquote(urlsplit(name).path)) if name.startswith("file:") else Path(name)
