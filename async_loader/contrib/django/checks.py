"""The checks of `manage.py check`: do the declared tables fit together, and can the databases be loaded into?

Tables that are derived from models without a declaration are not checked here: an error is reported when such a table
is loaded. So the check of a project without declarations imports nothing heavy.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Notice

from async_loader import ConfigurationError
from async_loader.contrib.django.models.databases import file_of, home, location, own_models

if TYPE_CHECKING:
    from async_loader import Table

SETTING = "ASYNC_LOADER_TABLES"


def check_project(**_: Any) -> list[CheckMessage]:
    """Check the declared tables, and the databases of these and of all models."""
    if getattr(settings, SETTING, None) is None:
        return list(_homes_of_models(set()))
    from async_loader.contrib.django.models.tables import declared

    try:
        tables = declared()
    except ConfigurationError as error:
        return [Error(f"{error}.", hint=f"Correct the function that {SETTING} names.", id="async_loader.E001")]
    declared_homes = {table.database for table in tables}
    messages = [message for alias in sorted(declared_homes) for message in _database(alias, Error, "E004", "E005")]
    return [*_twice(tables), *_undeclared(tables), *messages, *_homes_of_models(declared_homes)]


def _homes_of_models(checked: set[str]) -> Iterator[CheckMessage]:
    """Check the other databases of models. These are warnings: a project may have models that it never loads into."""
    for alias in sorted({home(model) for model in own_models()} - checked):
        yield from _database(alias, Notice, "W001", "W002")


def _twice(tables: Sequence[Table]) -> Iterator[CheckMessage]:
    for name, count in Counter(table.name for table in tables).items():
        if count > 1:
            yield Error(
                f"{count} tables have the name {name}.", hint="Declare each table once.", id="async_loader.E002"
            )


def _undeclared(tables: Sequence[Table]) -> Iterator[CheckMessage]:
    from async_loader.contrib.django.models.tables import models_by_table

    known = {table.name for table in tables} | set(models_by_table())
    for table in tables:
        for reference in table.references:
            if reference.table not in known:
                yield Error(
                    f"Table {table.name}: {reference.column} references {reference.table}, which is no table.",
                    hint="Use the table's name in its database, or declare the table.",
                    id="async_loader.E003",
                )


def _database(alias: str, kind: type[Error | Notice], unusable: str, unwritable: str) -> Iterator[CheckMessage]:
    try:
        where = location(alias)
    except ConfigurationError as error:
        hint = "Nothing can be loaded into tables that live there."
        yield kind(f"{error}.", hint=hint, id=f"async_loader.{unusable}")
        return
    if (path := file_of(where)) is None:
        return
    directory = path.absolute().parent
    if not directory.is_dir():
        problem, hint = "does not exist", "Create it."
    elif not os.access(directory, os.W_OK | os.X_OK):
        problem, hint = "cannot be written to", "SQLite makes files beside a database: make the directory writable."
    else:
        return
    yield kind(f"Database {alias}: the directory {directory} {problem}.", hint=hint, id=f"async_loader.{unwritable}")
