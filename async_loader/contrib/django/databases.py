"""Which database a model lives in, and the file behind it. Light: checks of every project import it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models, router
from django.utils.connection import ConnectionDoesNotExist

from async_loader import ConfigurationError


def home(model: type[models.Model]) -> str:
    """The alias of the database that a model is written to, as the project's routers say."""
    return str(router.db_for_write(model))


def database_file(alias: str) -> Path:
    """The SQLite file behind an alias. ConfigurationError where there is none."""
    try:
        connection = connections[alias]
    except ConnectionDoesNotExist as error:
        raise ConfigurationError(f"database {alias}: is not configured; add it to DATABASES") from error
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"database {alias}: {error}") from error
    name = str(connection.settings_dict["NAME"] or "")
    if connection.vendor != "sqlite":
        raise ConfigurationError(f"database {alias}: is of {connection.vendor}; only SQLite files can be loaded into")
    if not name or name.startswith(("file:", ":memory:")):
        raise ConfigurationError(f"database {alias}: {name or 'it'} is no file; name a file in DATABASES")
    return Path(name)


def all_models() -> Iterator[type[models.Model]]:
    """Those that have tables."""
    return (model for model in apps.get_models() if not model._meta.proxy)


def own_models() -> Iterator[type[models.Model]]:
    """All of them but those of Django's own apps."""
    return (model for model in all_models() if not model.__module__.startswith("django."))
