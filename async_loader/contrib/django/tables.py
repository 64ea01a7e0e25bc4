"""Which tables there are to load: those of the project's models, with the rules and references that the project adds.

A model is made into a table when somebody wants it, so that one which cannot be loaded is in nobody's way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections, models, router
from django.utils.module_loading import import_string

from async_loader import Column, ConfigurationError, Reference, Rule, Table, Type

# The setting that names a function without parameters; it gives the tables of models that are not to be loaded just as
# they are derived.
SETTING = "ASYNC_LOADER_TABLES"

_TYPES: tuple[tuple[type[models.Field[Any, Any]], Type], ...] = (
    (models.BigIntegerField, Type.INTEGER),
    (models.FloatField, Type.REAL),
    (models.TextField, Type.TEXT),
)


def table_of(model: type[models.Model], *, rules: Iterable[Rule] = (), references: Iterable[Reference] = ()) -> Table:
    """The table for a model, with more rules and references than the model states.

    Raises ConfigurationError for a field of a type that cannot be loaded.
    """
    return Table(
        name=model._meta.db_table,
        database=router.db_for_write(model),
        columns=tuple(_column(field) for field in model._meta.concrete_fields),
        key=str(model._meta.pk.column),
        rules=tuple(rules),
        references=tuple(references),
    )


def declared() -> tuple[Table, ...]:
    """The tables that the project's setting gives, in their order; none where it is not set."""
    path = getattr(settings, SETTING, None)
    if path is None:
        return ()
    try:
        tables: Callable[[], Iterable[Table]] = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"setting {SETTING}: {error}") from error
    return tuple(tables())


def tables(names: Iterable[str] = ()) -> tuple[Table, ...]:
    """The tables of these names, with all that they reference; without names, all that there are.

    A table is called as it is in its database, or as Django calls its model (`shop.Order`). Raises ConfigurationError
    for a name that nothing has.
    """
    given = {table.name: table for table in declared()}
    found = {model._meta.db_table: model for model in _models()}
    wanted = [table_name(name) for name in names] or [*given, *(name for name in found if name not in given)]
    reached: dict[str, Table] = {}
    while wanted:
        name = wanted.pop()
        if name not in reached:
            reached[name] = given[name] if name in given else table_of(found[name])
            wanted += [reference.table for reference in reached[name].references if reference.table in {*given, *found}]
    return tuple(reached[name] for name in dict.fromkeys([*given, *found]) if name in reached)


def table_name(name: str) -> str:
    """What the table of that name, or of the model that Django calls so, is called in its database."""
    names = {table.name: table.name for table in declared()}
    for model in _models():
        table = model._meta.db_table
        names |= {table: table, model._meta.label_lower: table}
    known = names.get(name) or names.get(name.lower())
    if known is None:
        raise ConfigurationError(f"no table is called {name!r}; there are {', '.join(sorted(set(names.values())))}")
    return known


def databases(tables: Iterable[Table]) -> dict[str, Path]:
    """By alias, the file of each database that the tables live in."""
    return {table.database: Path(connections[table.database].settings_dict["NAME"]) for table in tables}


def _models() -> Iterator[type[models.Model]]:
    return (model for model in apps.get_models() if not model._meta.proxy)


def _column(field: models.Field[Any, Any]) -> Column:
    for kind, column_type in _TYPES:
        if isinstance(field, kind):
            return Column(str(field.column), column_type, nullable=field.null)
    known = ", ".join(kind.__name__ for kind, _ in _TYPES)
    raise ConfigurationError(f"{field}: cannot load a {type(field).__name__}; known are {known}")
