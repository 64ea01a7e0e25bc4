"""The checks of `manage.py check`: do the declared tables fit together, and can models and databases be loaded?

The check of a project without declarations imports nothing heavy, because Django runs it before other commands too.
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
from async_loader.contrib.django.models.loadable import problems_of
from async_loader.contrib.django.settings import TABLES

if TYPE_CHECKING:
    from async_loader import Table


def check_project(**_: Any) -> list[CheckMessage]:
    """Check the declared tables, and the databases of these and of all models."""
    if getattr(settings, TABLES, None) is None:
        return [*_homes_of_models(set()), *_unloadable(set())]
    from async_loader.contrib.django.models.tables import declared

    try:
        tables = declared()
    except ConfigurationError as error:
        return [Error(f"{error}.", hint=f"Correct the function that {TABLES} names.", id="async_loader.E001")]
    declared_homes = {table.database for table in tables}
    messages = [message for alias in sorted(declared_homes) for message in _database(alias, Error, "E004", "E005")]
    others = [*_homes_of_models(declared_homes), *_unloadable({table.name for table in tables})]
    return [*_twice(tables), *_undeclared(tables), *messages, *others]


def _homes_of_models(checked: set[str]) -> Iterator[CheckMessage]:
    """Check the other databases of models. These are warnings: a project may have models that it never loads into."""
    for alias in sorted({home(model) for model in own_models()} - checked):
        yield from _database(alias, Notice, "W001", "W002")


def _unloadable(declared: set[str]) -> Iterator[CheckMessage]:
    """Report in one message the models that are not declared and cannot be loaded: other commands leave them out."""
    problems = list(problems_of(model for model in own_models() if model._meta.db_table not in declared))
    if problems:
        hint = "If none of them is to be loaded, add async_loader.W003 to SILENCED_SYSTEM_CHECKS."
        models = "1 model" if len(problems) == 1 else f"{len(problems)} models"
        # What follows a problem is advice on loading that model.
        listed = "; ".join(problem.partition(";")[0] for problem in problems)
        yield Notice(f"{models} cannot be loaded: {listed}.", hint=hint, id="async_loader.W003")


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
