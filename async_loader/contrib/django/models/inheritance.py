"""Multi-table inheritance: a model's fields lie in its own table and in those of its parents. Light, as that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from django.db import models

from async_loader.contrib.django.models.databases import home

Model: TypeAlias = type[models.Model]


def line_of(model: Model) -> tuple[Model, ...]:
    """Return the models in whose tables the fields of a model lie, from its first parent to itself."""
    line = [model]
    while (parent := _parent(line[0])) is not None:
        line.insert(0, parent)
    return tuple(line)


def _parent(model: Model) -> Model | None:
    """Return the model whose key is that of this one too."""
    key: Any = model._meta.pk
    is_link = isinstance(key, models.OneToOneField) and key.remote_field.parent_link
    return key.remote_field.model._meta.concrete_model if is_link else None


def key_field(model: Model) -> models.Field[Any, Any]:
    """Return the field that holds the primary key of a model, and makes it: that of its first parent."""
    key: models.Field[Any, Any] = line_of(model)[0]._meta.pk
    return key


def links_to_parents(model: Model) -> list[models.Field[Any, Any]]:
    """Return the fields that lead from table to table, all of which hold the primary key."""
    return [each._meta.pk for each in line_of(model)[1:]]


def constraints_of(model: Model) -> Iterator[models.BaseConstraint]:
    """Yield the constraints of all tables of a model."""
    for each in line_of(model):
        yield from each._meta.constraints


def problem_of_parents(model: Model) -> str | None:
    """Return why a model with parents cannot be loaded; None where it can."""
    line = line_of(model)
    others = {str(parent._meta.label) for parent in model._meta.parents if parent._meta.concrete_model not in line}
    if others:
        named = ", ".join(sorted(others))
        return f"its fields lie in several tables, and its key is not that of {named}; that is not loaded"
    for parent in line[:-1]:
        if home(parent) != home(model):
            return f"its parent {parent._meta.label} is in database {home(parent)}, not in {home(model)}; load each"
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and field not in links_to_parents(model):
            target = field.remote_field.model
            if not isinstance(target, str) and target._meta.concrete_model in line[:-1]:
                return f"{field.name} references {target._meta.label}, which is its own parent; that is not loaded"
    return None
