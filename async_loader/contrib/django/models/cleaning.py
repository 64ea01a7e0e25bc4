"""`Model.full_clean()` of each record, for tables that are declared with `clean=True`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import polars as pl
from django.apps import apps
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models

from async_loader.contrib.django.models.databases import connection_of, home
from async_loader.contrib.django.models.listening import close_connections
from async_loader.contrib.django.models.loadable import chain_of, stored_fields

Reason: TypeAlias = "tuple[str, str | None, str]"
# The code of a record about which a method raised anything but a ValidationError, and of an error without a code.
_FAILED, _INVALID = "rule_failed", "invalid"


@dataclass(frozen=True, slots=True)
class Cleaning:
    """Asks a model, called by its label, about records: tables are sent to workers.

    Foreign keys and constraints are not asked here, because the loader checks them against what the run stores, and
    Django would ask its database about each record.
    """

    label: str

    def __call__(self, records: pl.DataFrame, held: pl.Series) -> list[list[Reason]]:
        """Return the reasons against each record. held: which records have a row."""
        model = apps.get_model(self.label)
        fields = [field for field in stored_fields(model) if field.column in records.columns]
        readers = {str(field.column): (field.attname, _reader(field)) for field in fields}
        exclude = {field.name for field in fields if isinstance(field, models.ForeignKey) or not _is_djangos(field)}
        columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
        alias = home(model)
        try:
            return [
                list(_reasons(_instance(model, record, readers, alias, is_there=is_there), exclude, columns))
                for record, is_there in zip(records.iter_rows(named=True), held, strict=True)
            ]
        finally:
            close_connections()


def _is_djangos(field: models.Field[Any, Any]) -> bool:
    """Return whether a field's values are made by a class of Django's own, for any database. The methods of others have
    been asked already, when values were read.
    """
    return type(field).__module__.startswith("django.db.models.")


def _reader(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    """Return what makes a value of a field of one in a batch, which is as the database gets it."""
    *_, stored = chain_of(field)
    if not _is_djangos(stored):
        return partial(_own_value, stored)
    if isinstance(stored, models.JSONField):
        return lambda text: json.loads(text, cls=stored.decoder)
    return stored.to_python


def _own_value(field: models.Field[Any, Any], value: Any) -> Any:
    """Return a value as the ORM reads it from the database; as it is where the field does not say how."""
    try:
        if hasattr(field, "from_db_value"):
            return field.from_db_value(value, None, connection_of(home(field.model)))
        return field.to_python(value)
    except (ValidationError, ValueError, TypeError, AttributeError):
        return value


def _instance(
    model: type[models.Model],
    record: Mapping[str, Any],
    readers: Mapping[str, tuple[str, Callable[[Any], Any]]],
    alias: str,
    *,
    is_there: bool,
) -> models.Model:
    values = {
        attribute: None if record[column] is None else read(record[column])
        for column, (attribute, read) in readers.items()
        # A key that is not known yet is made as the model makes it.
        if not (record[column] is None and column == model._meta.pk.column)
    }
    instance = model(**values)
    instance._state.adding, instance._state.db = not is_there, alias
    return instance


def _reasons(instance: models.Model, exclude: set[str], columns: Mapping[str, str]) -> Iterator[Reason]:
    """Yield what is wrong with a record: the code and the messages of each error, and the column of its field."""
    try:
        instance.full_clean(exclude=set(exclude), validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        for name, several in error.error_dict.items():
            column = None if name == NON_FIELD_ERRORS else columns.get(name, name)
            for each in several:
                yield str(each.code or _INVALID), column, " ".join(map(str, each.messages))
    except Exception as error:
        yield _FAILED, None, f"full_clean() failed: {type(error).__name__}: {error}"
