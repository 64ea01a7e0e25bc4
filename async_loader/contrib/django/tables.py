"""Which tables there are to load: those of the project's models, with the rules and references that the project adds.

A model is made into a table when somebody wants it, so that one which cannot be loaded is in nobody's way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections, models
from django.utils.module_loading import import_string

from async_loader import ConfigurationError, Reference, Rule, Table
from async_loader.contrib.django.checks import SETTING
from async_loader.contrib.django.databases import all_models, database_file, home, own_models
from async_loader.contrib.django.fields import key_column, loaded_fields


def table_of(model: type[models.Model], *, rules: Iterable[Rule] = (), references: Iterable[Reference] = ()) -> Table:
    """The table for a model: columns, checks and references of its fields, and those given here besides. A rule given
    here takes the place of one of the same code and columns.

    Raises ConfigurationError for what cannot be loaded.
    """
    fields = loaded_fields(model)
    stated = [field.reference for field in fields if field.reference is not None]
    added = tuple(rules)
    replaced = {(rule.code, rule.columns) for rule in added}
    derived = [rule for field in fields for rule in field.rules if (rule.code, rule.columns) not in replaced]
    return Table(
        name=model._meta.db_table,
        database=home(model),
        columns=tuple(field.column for field in fields),
        key=str(model._meta.pk.column),
        rules=(*derived, *added),
        references=(*stated, *references),
    )


def declared() -> tuple[Table, ...]:
    """The tables that the project's setting gives, in their order; none where it is not set.

    The setting names a function without parameters, for tables that are not to be loaded just as they are derived.
    """
    path = getattr(settings, SETTING, None)
    if path is None:
        return ()
    try:
        tables: Callable[[], Iterable[Table]] = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"setting {SETTING}: {error}") from error
    if not callable(tables):
        raise ConfigurationError(f"setting {SETTING}: {path} is no function")
    return tuple(tables())


def tables(names: Iterable[str]) -> tuple[Table, ...]:
    """The tables of these names, and all that they reference. Those that are only referenced have a key alone.

    A table is called as it is in its database, or as Django calls its model (`shop.Order`). Raises ConfigurationError
    for a name that nothing has, and for a model that cannot be loaded.
    """
    given = {table.name: table for table in declared()}
    found = models_by_table()
    wanted = {name: given[name] if name in given else table_of(found[name]) for name in map(table_name, names)}
    for reference in [reference for table in wanted.values() for reference in table.references]:
        if reference.table not in wanted and (target := _target(reference.table, given, found)) is not None:
            wanted[reference.table] = target
    return tuple(wanted[name] for name in dict.fromkeys([*given, *found]) if name in wanted)


def all_tables() -> tuple[tuple[Table, ...], list[str]]:
    """All tables of the project's own models, with what they reference; and a line for each that cannot be loaded."""
    names, problems = _loadable(model for model in own_models() if _is_made(model))
    found = {table.name: table for table in tables(names)}
    circles = [name for name in found if _leads_back(name, found)]
    problems += [f"table {name}: its references lead back to it; name it to have it alone" for name in circles]
    return tables(name for name in names if name not in circles), problems


def table_name(name: str) -> str:
    """What the table of that name, or of the model that Django calls so, is called in its database."""
    names = {table.name: table.name for table in declared()}
    for model in all_models():
        table = model._meta.db_table
        names |= {table: table, model._meta.label_lower: table}
    known = names.get(name) or names.get(name.lower())
    if known is None:
        raise ConfigurationError(f"no table is called {name!r}; there are {', '.join(sorted(set(names.values())))}")
    _check_alone(known)
    return known


def source_names(table: str) -> dict[str, str]:
    """By column, what a source calls it unless told otherwise, where that is something else: as Django calls the
    attribute.
    """
    [whole] = [each for each in tables([table]) if each.name == table]
    names = {str(field.column): field.attname for field in _fields(table)}
    return {name: names[name] for name in whole.column_names if names.get(name, name) != name}


def column_name(table: str, name: str) -> str:
    """The column of that name, or of the field or attribute that Django calls so."""
    for field in _fields(table):
        if name in (field.column, field.attname, field.name):
            return str(field.column)
    return name


def databases(tables: Iterable[Table]) -> dict[str, Path]:
    """By alias, the file of each database that the tables live in."""
    return {table.database: database_file(table.database) for table in tables}


def unmanaged() -> tuple[tuple[Table, ...], list[str]]:
    """The tables that migrations leave alone, as far as they are to be made, without what they reference elsewhere; and
    a line for each of them that cannot be loaded.
    """
    found = {name: model for name, model in models_by_table().items() if not model._meta.managed}
    names, problems = _loadable(found[name] for name in sorted(found))
    wanted = set(found) & set(names)
    whole = [table for table in tables(name for name in names if name in wanted) if table.name in wanted]
    return tuple(_among(table, wanted) for table in whole), problems


def homes() -> tuple[dict[str, Path], list[str]]:
    """By alias, the file of each database that models of the project live in, the declared ones first; and a line for
    each database that cannot be loaded into.
    """
    aliases = [table.database for table in declared()] + [home(model) for model in own_models()]
    files, problems = dict[str, Path](), []
    for alias in dict.fromkeys(aliases):
        try:
            files[alias] = database_file(alias)
        except ConfigurationError as error:
            problems.append(str(error))
    return files, problems


def models_by_table() -> Mapping[str, type[models.Model]]:
    """The model of each table."""
    return {model._meta.db_table: model for model in all_models()}


def _loadable(wanted: Iterable[type[models.Model]]) -> tuple[list[str], list[str]]:
    """The names of the declared tables, and of those of the models that can be loaded; and a line for each other."""
    names, problems = [table.name for table in declared()], []
    for model in wanted:
        if model._meta.db_table in names:
            continue
        try:
            _check_alone(model._meta.db_table)
            databases([table_of(model)])
        except ConfigurationError as error:
            problems.append(str(error))
        else:
            names.append(model._meta.db_table)
    return names, list(dict.fromkeys(problems))


def _is_made(model: type[models.Model]) -> bool:
    """Whether its database has its table; where that cannot be told, whoever uses the table will."""
    try:
        if not database_file(home(model)).exists():
            return True
        return model._meta.db_table in connections[home(model)].introspection.table_names()
    except (ConfigurationError, DatabaseError, OSError):
        return True


def _among(table: Table, names: Container[str]) -> Table:
    """The table with those references only that lead to tables of these names."""
    kept = tuple(reference for reference in table.references if reference.table in names)
    return dataclasses.replace(table, references=kept)


def _check_alone(table: str) -> None:
    """ConfigurationError where nothing tells which model the table is of."""
    labels = [model._meta.label for model in all_models() if model._meta.db_table == table]
    if len(labels) > 1 and table not in {each.name for each in declared()}:
        raise ConfigurationError(f"table {table} is of several models, {', '.join(labels)}; only one can be loaded")


def _leads_back(name: str, found: Mapping[str, Table]) -> bool:
    """Whether a table references itself by way of others."""
    ahead, seen = [name], set[str]()
    while ahead:
        table = found.get(ahead.pop())
        targets = {reference.table for reference in table.references} - seen if table else set()
        seen |= targets
        ahead += targets
    return name in seen


def _fields(table: str) -> list[models.Field[Any, Any]]:
    model = models_by_table().get(table)
    return [] if model is None else list(model._meta.concrete_fields)


def _target(name: str, given: Mapping[str, Table], found: Mapping[str, type[models.Model]]) -> Table | None:
    if name in given:
        return given[name]
    if name not in found:
        return None
    key = key_column(found[name])
    return Table(name, home(found[name]), (key,), key.name)
