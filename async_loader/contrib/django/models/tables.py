"""The tables of a project: those that it declares, and those of its other models.

A model is made into a table when the table is needed, so that a model which cannot be loaded stops no other.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from django.apps import apps
from django.db import models

from async_loader import ConfigurationError, Reference, Rule, Table
from async_loader.contrib.django.models.cleaning import Cleaning
from async_loader.contrib.django.models.conditions import check_rules
from async_loader.contrib.django.models.databases import (
    Location,
    all_models,
    home,
    is_among,
    location,
    own_models,
    stored_tables,
    stored_views,
)
from async_loader.contrib.django.models.fields import (
    computed_columns,
    constraints,
    loaded_fields,
    looked_up_columns,
    parents_of,
    refused_columns,
    unique_together,
)
from async_loader.contrib.django.models.inheritance import key_field, links_to_parents
from async_loader.contrib.django.models.links import links_of
from async_loader.contrib.django.models.listening import Signalled
from async_loader.contrib.django.models.loadable import check_owners, leads_back
from async_loader.contrib.django.settings import TABLES, function_of

# Tables that a line lists.
_LISTED = 20
# How alike names are that may be meant for each other, as `difflib` measures it; those of models with their apps more.
_ALIKE, _VERY_ALIKE = 0.7, 0.85
# By the code of a rule, that of the rule which it includes.
_INCLUDED = {"not_blank": "not_empty"}


def table_of(
    model: type[models.Model],
    *,
    rules: Iterable[Rule] = (),
    references: Iterable[Reference] = (),
    match: Iterable[str] = (),
    clean: bool = False,
) -> Table:
    """Return the table for a model: the columns, rules and references of its fields, and those given here.

    match: the fields by which records find their rows, where that is not the primary key. Those of a table that Django
        makes of a many-to-many field find them by the pair that they link.
    clean: whether `full_clean()`, and so `Model.clean()`, is asked about each record that has passed all other checks.
        That takes some ten thousand records a second or fewer.

    A rule given here takes the place of a field's rule with the same code and columns; `not_blank` also that of
    `not_empty`, which it includes. Raises ConfigurationError for a model that cannot be loaded.
    """
    fields = loaded_fields(model)
    stated = [field.reference for field in fields if field.reference is not None]
    added = tuple(rules)
    replaced = {(code, rule.columns) for rule in added for code in (rule.code, _INCLUDED.get(rule.code))}
    columns = tuple(field.column for field in fields)
    checks = dict(check_rules(model, columns))
    stated_rules = [*(rule for field in fields for rule in field.rules), *checks.values()]
    derived = [rule for rule in stated_rules if (rule.code, rule.columns) not in replaced]
    return Table(
        name=model._meta.db_table,
        database=home(model),
        columns=columns,
        key=str(key_field(model).column),
        rules=(*derived, *added),
        references=(*stated, *references),
        match=_match(model, match) or _pair(model),
        unique_together=unique_together(model, columns),
        constraints=tuple(constraints(model, checks)),
        links=tuple(links_of(model, table_of)),
        refused=refused_columns(model),
        computed=computed_columns(model),
        examine=Cleaning(model._meta.label) if clean else None,
        on_loaded=Signalled(model._meta.label),
        parents=parents_of(model, columns),
        own_key=str(model._meta.pk.column),
    )


def _pair(model: type[models.Model]) -> tuple[str, ...]:
    """Return the columns that identify a row of a table which Django makes of a many-to-many field; else none."""
    fields = model._meta.concrete_fields if model._meta.auto_created else ()
    return tuple(str(field.column) for field in fields if isinstance(field, models.ForeignKey))


def _match(model: type[models.Model], names: Iterable[str]) -> tuple[str, ...]:
    """Return the match columns that these names mean, each once."""
    fields = model._meta.concrete_fields
    columns = {str(field.column) for field in fields}
    keys = {str(field.column) for field in fields if isinstance(field, models.ForeignKey)}
    return tuple(dict.fromkeys(match_column(model, name, columns, keys) for name in names))


def column_called(model: type[models.Model] | None, name: str) -> str:
    """Return the column of the field, attribute or column of this name; the name itself where there is none."""
    if model is None:
        return name
    for field in model._meta.concrete_fields:
        if name in (field.column, field.attname, field.name):
            return str((key_field(model) if field in links_to_parents(model) else field).column)
    return name


def match_column(model: type[models.Model] | None, name: str, known: Container[str], keys: Container[str]) -> str:
    """Return the column that a match column means: `customer__email` means the foreign key `customer`.

    known, keys: the columns of the table, and those of them that reference others.
    """
    column, first = (column_called(model, each) for each in (name, name.partition("__")[0]))
    return first if "__" in name and column not in known and first in keys else column


def declared() -> tuple[Table, ...]:
    """Return the tables that the project's setting ASYNC_LOADER_TABLES declares, in their order; none without it.

    The setting names a function without parameters. It declares the tables that need more than their models state.
    """
    tables: Callable[[], Iterable[Table]] | None = function_of(TABLES)
    return () if tables is None else tuple(tables())


class ProjectTables:
    """The tables of a project: those that it declares, and those of its other models, each made when first needed.

    A table goes by its name in the database, or by Django's name of its model (`shop.Order`). One that Django makes of
    a many-to-many field also goes by the field (`shop.Order.tags`), and each also by its proxy models.
    """

    def __init__(self) -> None:
        self._declared = {table.name: table for table in declared()}
        self._models = models_by_table()
        self._derived: dict[str, Table] = {}
        self._labels: dict[str, list[str]] = {}
        # By every name that a table goes by, its name in the database.
        self._aliases = {name: name for name in self._declared}
        for model in all_models():
            name, label = model._meta.db_table, model._meta.label
            self._labels.setdefault(name, []).append(label)
            self._aliases |= {name: name, label.lower(): name}
            for field in model._meta.local_many_to_many:
                through: Any = field.remote_field.through
                if not isinstance(through, str) and through._meta.auto_created:
                    self._aliases[f"{label}.{field.name}".lower()] = through._meta.db_table
        for model in apps.get_models():
            if model._meta.proxy:
                self._aliases.setdefault(model._meta.label_lower, model._meta.db_table)

    @property
    def declared(self) -> tuple[Table, ...]:
        """The declared tables, in their order."""
        return tuple(self._declared.values())

    def tables(self, names: Iterable[str], *, with_links: bool = False) -> tuple[Table, ...]:
        """Return the tables of these names, and the tables that they reference, which have only their key.

        with_links: also the tables to whose rows many-to-many fields link theirs.
        Raises ConfigurationError for an unknown name, and for a model that cannot be loaded.
        """
        wanted = {name: self._table(name) for name in map(self.name, names)}
        targets = [reference.table for table in wanted.values() for reference in table.references]
        if with_links:
            links = [links for table in wanted.values() for links in table.links]
            targets += [each.reference.table for each in links if not each.problem]
        for name in targets:
            if name not in wanted and (target := self._target(name)) is not None:
                wanted[name] = target
        return tuple(wanted[name] for name in dict.fromkeys([*self._declared, *self._models]) if name in wanted)

    def all_tables(self, *, with_links: bool = False) -> tuple[Table, ...]:
        """Return the declared tables and those of the project's own models, with the tables that they reference.

        Models that cannot be loaded are left out; `manage.py check` reports them.
        """
        names = self._loadable(_with_tables(model for model in own_models() if not self._declares(model)))
        tables = self.tables(names, with_links=with_links)
        targets = {table.name: [reference.table for reference in table.references] for table in tables}
        return self.tables((name for name in names if not leads_back(name, targets)), with_links=with_links)

    def created_by_init(self, names: Iterable[str]) -> tuple[Table, ...]:
        """Return the tables that no migration creates: those of the declared unmanaged models, and those named here.

        A view is none of them. References to other tables are left out. Raises ConfigurationError for the name of a
        table that cannot be loaded, and of one that migrations create.
        """
        named = list(map(self.name, names))
        for name in named:
            if self._is_migrated(name):
                raise ConfigurationError(f"table {name}: migrations create it; run manage.py migrate")
        declared_models = [name for name in self._declared if name in self._models and not self._is_migrated(name)]
        wanted = {*named, *declared_models}
        tables = [table for table in self.tables(wanted) if table.name in wanted]
        views = {alias: stored_views(alias) for alias in {table.database for table in tables}}
        return tuple(_among(table, wanted) for table in tables if not is_among(table.name, views[table.database]))

    def _is_migrated(self, table: str) -> bool:
        return table in self._models and self._models[table]._meta.managed

    def homes(self) -> tuple[dict[str, Location], list[str]]:
        """Return by alias where each database of the project's models is, those of declared tables first; and a line
        for each database that cannot be loaded into.
        """
        aliases = [table.database for table in self.declared] + [home(model) for model in own_models()]
        locations, problems = dict[str, Location](), []
        for alias in dict.fromkeys(aliases):
            try:
                locations[alias] = location(alias)
            except ConfigurationError as error:
                problems.append(str(error))
        return locations, problems

    def name(self, given: str) -> str:
        """Return the name in the database of the table that goes by the given name.

        Raises ConfigurationError where there is none, and where several models have that table.
        """
        name = self._aliases.get(given) or self._aliases.get(given.lower())
        if name is None:
            raise ConfigurationError(f"no table is called {given!r}; {self._hint(given)}")
        self._refuse_several_models(name)
        return name

    def _hint(self, given: str) -> str:
        """Return the name of a table that is likely meant, or what tables there are."""
        labels = {label.lower(): label for several in self._labels.values() for label in several}
        without_app = {label.partition(".")[2]: full for label, full in labels.items()}
        names = without_app | {name.lower(): name for name in self._aliases.values()} | labels
        if likely := _likeliest(given.lower(), names):
            return f"did you mean {names[likely]}?"
        tables = sorted(set(self._aliases.values()))
        more = f" and {len(tables) - _LISTED} more" if len(tables) > _LISTED else ""
        return f"there are {', '.join(tables[:_LISTED])}{more}"

    def check(self, table: str) -> None:
        """Raise ConfigurationError for a table that cannot be loaded."""
        databases_of([self._table(table)])

    def column_name(self, table: str, given: str) -> str:
        """Return the column of the field with that column, attribute or name; the given name where there is none."""
        return column_called(self._models.get(table), given)

    def match_column(self, table: str, given: str) -> str:
        """Return the column that a match column of this name means; the given name where there is none."""
        stated = self._table(table)
        keys = {reference.column for reference in stated.references}
        return match_column(self._models.get(table), given, stated.column_names, keys)

    def column_names(self, table: str) -> tuple[str, ...]:
        """Return the names of a table's columns."""
        return self._table(table).column_names

    def column_hint(self, table: str, name: str) -> str:
        """Return the column of a table that is likely meant by a name of none, or what columns there are."""
        known = self.column_names(table)
        near = difflib.get_close_matches(name, known, 1)
        return f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"

    def source_names(self, table: str) -> dict[str, tuple[str, ...]]:
        """Return by column the other names of its field, attribute and field name: a source may use them as headers."""
        names = {
            str(field.column): tuple(dict.fromkeys({field.attname: 0, field.name: 0})) for field in self._fields(table)
        }
        aliases = {name: names.get(name, ()) for name in self._table(table).column_names}
        return {name: others for name, several in aliases.items() if (others := _others(several, name))}

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
        model = self._models[name]
        columns = looked_up_columns(model)
        parents, own_key = parents_of(model, columns), str(model._meta.pk.column)
        return Table(name, home(model), columns, columns[0].name, parents=parents, own_key=own_key)

    def _loadable(self, wanted: Iterable[type[models.Model]]) -> list[str]:
        """Return the names of the declared tables and of those of these models that can be loaded."""
        names = list(self._declared)
        for model in wanted:
            name = model._meta.db_table
            if name in names:
                continue
            with suppress(ConfigurationError):
                self._refuse_several_models(name)
                databases_of([self._table(name)])
                names.append(name)
        return names

    def _refuse_several_models(self, table: str) -> None:
        """Raise ConfigurationError where several models have the table and no declaration decides between them."""
        if table not in self._declared:
            check_owners(table, self._labels.get(table, ()))

    def _declares(self, model: type[models.Model]) -> bool:
        return model._meta.db_table in self._declared

    def _fields(self, table: str) -> list[models.Field[Any, Any]]:
        model = self._models.get(table)
        return [] if model is None else list(model._meta.concrete_fields)


def databases_of(tables: Iterable[Table]) -> dict[str, Location]:
    """Return by alias where each database of the tables is, as `async_loader.load` takes them; Django connects to it
    from the calling thread. Raises ConfigurationError for one that cannot be loaded into.
    """
    return {table.database: location(table.database) for table in tables}


def models_by_table() -> Mapping[str, type[models.Model]]:
    """Return the model of each table."""
    return {model._meta.db_table: model for model in all_models()}


def _likeliest(given: str, names: Iterable[str]) -> str | None:
    """Return the name that is likely meant by another one. What stands before the point does not make names alike."""
    several = list(names)
    app, point, model = given.partition(".")
    same_app = [name.partition(".")[2] for name in several if point and name.startswith(f"{app}.")]
    if near := difflib.get_close_matches(model, same_app, 1, _ALIKE):
        return f"{app}.{near[0]}"
    return next(iter(difflib.get_close_matches(given, several, 1, _ALIKE if not point else _VERY_ALIKE)), None)


def _with_tables(wanted: Iterable[type[models.Model]]) -> Iterator[type[models.Model]]:
    """Return the models whose tables exist, or may exist in a database that cannot be asked."""
    names_in = functools.cache(stored_tables)
    for model in wanted:
        names = names_in(home(model))
        if names is None or is_among(model._meta.db_table, names):
            yield model


def _others(names: Iterable[str], name: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)


def _among(table: Table, names: Container[str]) -> Table:
    """Return the table with only the references that lead to tables of these names."""
    kept = tuple(reference for reference in table.references if reference.table in names)
    return dataclasses.replace(table, references=kept)
