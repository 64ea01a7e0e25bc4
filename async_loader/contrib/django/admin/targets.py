"""The columns and lookups of a table to which a person may lead the columns of a file, under the loader's own names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.text import capfirst

from async_loader.contrib.django.admin.people import Person


@dataclass(frozen=True, slots=True)
class Target:
    """A column or lookup: the name that the loader has for it, its name in words, and other names of it in a file."""

    name: str
    label: str
    aliases: tuple[str, ...] = ()


def targets_of(person: Person, model: type[models.Model]) -> list[Target]:
    """Return the targets in the table of a model. Tables that the person may not see are not looked up in."""
    return [*_columns(model), *_lookups(person, model)]


def columns_of(model: type[models.Model]) -> list[tuple[str, str]]:
    """Return the columns of a model's table with their labels: those by which records may find their rows."""
    return [(target.name, target.label) for target in _columns(model)]


def proposed(name: str, targets: Iterable[Target]) -> str:
    """Return the name of the target that a column of a file likely is; empty for none."""
    wanted = _plain(name)
    return next((each.name for each in targets if wanted in map(_plain, (each.name, *each.aliases))), "")


def _columns(model: type[models.Model]) -> Iterator[Target]:
    for field in model._meta.concrete_fields:
        words = str(capfirst(field.verbose_name))
        yield Target(str(field.column), f"{words} ({field.column})", (field.name, field.attname, words))


def _lookups(person: Person, model: type[models.Model]) -> Iterator[Target]:
    fields: list[Any] = [field for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey)]
    for field in (*fields, *model._meta.local_many_to_many):
        other = field.remote_field.model
        words = str(capfirst(field.verbose_name))
        if isinstance(field, models.ManyToManyField):
            yield Target(field.name, f"{words} ({field.name})", (words,))
        if not person.may_see_table(other):
            continue
        for column in other._meta.concrete_fields:
            if not column.is_relation and not column.primary_key:
                name = f"{field.name}__{column.name}"
                yield Target(name, f"{words}: {column.verbose_name} ({name})")


def _plain(name: str) -> str:
    """Return a name without blanks, marks and capitals, as people write names of columns in many ways."""
    return re.sub(r"[\s_\-.]+", "", name.casefold().replace("__", "//"))
