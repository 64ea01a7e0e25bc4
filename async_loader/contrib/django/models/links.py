"""A model's many-to-many fields as links: a source may give, with each record, the rows that its row is linked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from django.db import models

from async_loader import ConfigurationError, Links, Table
from async_loader.contrib.django.models.databases import home, location

ManyToMany: TypeAlias = "models.ManyToManyField[Any, Any]"


def links_of(model: type[models.Model], table_of: Callable[[type[models.Model]], Table]) -> Iterator[Links]:
    """Yield the many-to-many fields of a model, with why a source cannot have one where that is so."""
    for field in model._meta.many_to_many:
        through: Any = field.remote_field.through
        # What is no model yet is reported by Django's own checks.
        if not (isinstance(through, str) or isinstance(field.remote_field.model, str)):
            yield _links(model, field, through, table_of)


def _links(
    model: type[models.Model],
    field: ManyToMany,
    through: type[models.Model],
    table_of: Callable[[type[models.Model]], Table],
) -> Links:
    try:
        table = table_of(through)
        location(home(field.remote_field.model))
    except ConfigurationError as error:
        return Links(field.name, problem=str(error))
    column, target = str(field.m2m_column_name()), str(field.m2m_reverse_name())
    if (problem := _problem(model, field, through, table, {table.key, column, target})) is not None:
        # The rows of a table that Django makes are links and nothing else, which go with the row that has them.
        is_link = bool(through._meta.auto_created) and home(through) == home(field.model)
        return Links(field.name, table if is_link else None, column, target, problem)
    return Links(field.name, table, column, target)


def _problem(
    model: type[models.Model], field: ManyToMany, through: type[models.Model], table: Table, filled: set[str]
) -> str | None:
    """Return why rows cannot be linked with each record; None where they can."""
    label = f"{field.model._meta.label}.{field.name}"
    if field.model._meta.db_table != model._meta.db_table:
        return f"it is a field of {field.model._meta.label}; load {field.model._meta.label}.{field.name} by itself"
    alone = f"load {label if through._meta.auto_created else through._meta.label} by itself"
    if home(through) != home(field.model):
        return (
            f"{table.name}, the table of its links, is in database {home(through)}, not in {home(field.model)}; {alone}"
        )
    if field.remote_field.model._meta.db_table == field.model._meta.db_table:
        both = ", with both rows of each pair" if field.remote_field.symmetrical else ""
        return f"it links rows of one table, which may come later; {alone}{both}"
    if not table.column(table.key).generated:
        return f"no key is generated for a row of {table.name}; {alone}"
    if needed := [column.name for column in table.columns if column.is_required and column.name not in filled]:
        return f"a row of {table.name} needs {needed[0]}, too; {alone}"
    return None
