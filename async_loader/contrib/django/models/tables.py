"""Which tables there are to load: those of the project's models, with the rules and references that the project adds.

A model is made into a table when somebody wants it, so that one which cannot be loaded is in nobody's way.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string

from async_loader import ConfigurationError, Reference, Rule, Table
from async_loader.contrib.django.checks import SETTING
from async_loader.contrib.django.models.databases import Location, all_models, home, location, own_models, stored_tables
from async_loader.contrib.django.models.fields import key_column, loaded_fields


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


class ProjectTables:
    """The tables of a project: those that its setting declares, and those of its other models, each made when it is
    first wanted.

    A table is called as it is in its database, or as Django calls its model (`shop.Order`).
    """

    def __init__(self) -> None:
        self._declared = {table.name: table for table in declared()}
        self._models = models_by_table()
        self._derived: dict[str, Table] = {}
        self._labels: dict[str, list[str]] = {}
        self._called = {name: name for name in self._declared}
        for model in all_models():
            name, label = model._meta.db_table, model._meta.label
            self._labels.setdefault(name, []).append(label)
            self._called |= {name: name, label.lower(): name}

    @property
    def declared(self) -> tuple[Table, ...]:
        """Those that the setting gives, in their order."""
        return tuple(self._declared.values())

    def tables(self, names: Iterable[str]) -> tuple[Table, ...]:
        """Those of these names, and all that they reference. Those that are only referenced have a key alone.

        Raises ConfigurationError for a name that nothing has, and for a model that cannot be loaded.
        """
        wanted = {name: self._table(name) for name in map(self.name, names)}
        for reference in [reference for table in wanted.values() for reference in table.references]:
            if reference.table not in wanted and (target := self._target(reference.table)) is not None:
                wanted[reference.table] = target
        return tuple(wanted[name] for name in dict.fromkeys([*self._declared, *self._models]) if name in wanted)

    def all_tables(self) -> tuple[tuple[Table, ...], list[str]]:
        """Those of all models of the project's own, with what they reference; and a line for each that cannot be
        loaded.
        """
        names, problems = self._loadable(_made(model for model in own_models() if not self._declares(model)))
        found = {table.name: table for table in self.tables(names)}
        circles = [name for name in found if _leads_back(name, found)]
        problems += [f"table {name}: its references lead back to it; name it to have it alone" for name in circles]
        return self.tables(name for name in names if name not in circles), problems

    def unmanaged(self) -> tuple[tuple[Table, ...], list[str]]:
        """Those that migrations leave alone, as far as they are to be made, without what they reference elsewhere; and
        a line for each of them that cannot be loaded.
        """
        found = {name: model for name, model in self._models.items() if not model._meta.managed}
        names, problems = self._loadable(found[name] for name in sorted(found))
        wanted = set(found) & set(names)
        whole = [table for table in self.tables(name for name in names if name in wanted) if table.name in wanted]
        return tuple(_among(table, wanted) for table in whole), problems

    def homes(self) -> tuple[dict[str, Location], list[str]]:
        """By alias, where each database is that models of the project live in, the declared ones first; and a line for
        each database that cannot be loaded into.
        """
        aliases = [table.database for table in self.declared] + [home(model) for model in own_models()]
        places, problems = dict[str, Location](), []
        for alias in dict.fromkeys(aliases):
            try:
                places[alias] = location(alias)
            except ConfigurationError as error:
                problems.append(str(error))
        return places, problems

    def name(self, called: str) -> str:
        """What the table that is called so is called in its database. ConfigurationError where there is none, or where
        several models have it.
        """
        name = self._called.get(called) or self._called.get(called.lower())
        if name is None:
            known = ", ".join(sorted(set(self._called.values())))
            raise ConfigurationError(f"no table is called {called!r}; there are {known}")
        self._check_alone(name)
        return name

    def column_name(self, table: str, called: str) -> str:
        """The column of that name, or of the field or attribute that Django calls so."""
        for field in self._fields(table):
            if called in (field.column, field.attname, field.name):
                return str(field.column)
        return called

    def source_names(self, table: str) -> dict[str, str]:
        """By column, what a source calls it unless told otherwise, where that is something else: as Django calls the
        attribute.
        """
        names = {str(field.column): field.attname for field in self._fields(table)}
        return {name: names[name] for name in self._table(table).column_names if names.get(name, name) != name}

    def _table(self, name: str) -> Table:
        if name in self._declared:
            return self._declared[name]
        if name not in self._derived:
            self._derived[name] = table_of(self._models[name])
        return self._derived[name]

    def _target(self, name: str) -> Table | None:
        if name in self._declared:
            return self._declared[name]
        if name not in self._models:
            return None
        key = key_column(self._models[name])
        return Table(name, home(self._models[name]), (key,), key.name)

    def _loadable(self, wanted: Iterable[type[models.Model]]) -> tuple[list[str], list[str]]:
        """The names of the declared tables and of those models that can be loaded; and a line for each other model."""
        names, problems = list(self._declared), []
        for model in wanted:
            name = model._meta.db_table
            if name in names:
                continue
            try:
                self._check_alone(name)
                databases_of([self._table(name)])
            except ConfigurationError as error:
                problems.append(str(error))
            else:
                names.append(name)
        return names, list(dict.fromkeys(problems))

    def _check_alone(self, table: str) -> None:
        """ConfigurationError where nothing tells which model the table is of."""
        labels = self._labels.get(table, [])
        if len(labels) > 1 and table not in self._declared:
            raise ConfigurationError(f"table {table} is of several models, {', '.join(labels)}; only one can be loaded")

    def _declares(self, model: type[models.Model]) -> bool:
        return model._meta.db_table in self._declared

    def _fields(self, table: str) -> list[models.Field[Any, Any]]:
        model = self._models.get(table)
        return [] if model is None else list(model._meta.concrete_fields)


def databases_of(tables: Iterable[Table]) -> dict[str, Location]:
    """By alias, where each database is that the tables live in."""
    return {table.database: location(table.database) for table in tables}


def models_by_table() -> Mapping[str, type[models.Model]]:
    """The model of each table."""
    return {model._meta.db_table: model for model in all_models()}


def _made(wanted: Iterable[type[models.Model]]) -> Iterator[type[models.Model]]:
    """Those whose databases have their tables; where that cannot be told, whoever uses the table will."""
    names_in = functools.cache(stored_tables)
    for model in wanted:
        names = names_in(home(model))
        if names is None or model._meta.db_table in names:
            yield model


def _among(table: Table, names: Container[str]) -> Table:
    """The table with those references only that lead to tables of these names."""
    kept = tuple(reference for reference in table.references if reference.table in names)
    return dataclasses.replace(table, references=kept)


def _leads_back(name: str, found: Mapping[str, Table]) -> bool:
    """Whether a table references itself by way of others."""
    ahead, seen = [name], set[str]()
    while ahead:
        table = found.get(ahead.pop())
        targets = {reference.table for reference in table.references} - seen if table else set()
        seen |= targets
        ahead += targets
    return name in seen
