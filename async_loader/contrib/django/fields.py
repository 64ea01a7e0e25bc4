"""A model's fields as columns, rules and references: what the loader checks is what `Model.full_clean()` checks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.utils import timezone

from async_loader import REQUIRED, Column, ConfigurationError, Reference, Rule, Type
from async_loader.contrib.django.validators import Field, rules_of

# What is derived from these, and keeps their ways to read and store values, is loaded as they are. The first that fits
# counts: Django derives DateTimeField from DateField.
_TYPES: tuple[tuple[type[Field], Type], ...] = (
    (models.BooleanField, Type.BOOLEAN),
    (models.IntegerField, Type.INTEGER),
    (models.FloatField, Type.REAL),
    (models.DecimalField, Type.DECIMAL),
    (models.DateTimeField, Type.DATETIME),
    (models.DateField, Type.DATE),
    (models.UUIDField, Type.UUID),
    (models.JSONField, Type.JSON),
    (models.CharField, Type.TEXT),
    (models.TextField, Type.TEXT),
)
# How a field reads and stores values; a field that does one of these in its own way is not understood.
_WAYS = ("to_python", "get_prep_value", "get_db_prep_value", "get_db_prep_save", "pre_save", "clean", "validate")
# Significant digits that SQLite, which keeps decimals as reals, gives back as they were.
_SQLITE_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is made of one field."""

    field: Field
    column: Column
    rules: tuple[Rule, ...]
    reference: Reference | None


def loaded_fields(model: type[models.Model], database: str) -> tuple[Loaded, ...]:
    """All fields of a model that lives in a database. ConfigurationError for what cannot be loaded."""
    label = model._meta.label
    if model._meta.parents:
        parents = ", ".join(parent._meta.label for parent in model._meta.parents)
        raise ConfigurationError(f"{label}: its fields lie in several tables, those of {parents} too; load each apart")
    if not isinstance(model._meta.pk, models.Field) or getattr(model._meta.pk, "columns", None):
        raise ConfigurationError(f"{label}: a key of several columns cannot be loaded")
    fields = [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
    return tuple(_loaded(field, database) for field in fields)


def key_column(model: type[models.Model], database: str) -> Column:
    """The key alone, for a model that is only referenced."""
    return _column(model._meta.pk, database)


def _loaded(field: Field, database: str) -> Loaded:
    column = _column(field, database)
    return Loaded(field, column, tuple(rules_of(field, column)), _reference(field))


def _reference(field: Field) -> Reference | None:
    if not isinstance(field, models.ForeignKey):
        return None
    target = field.remote_field.model
    if not field.target_field.primary_key:
        raise ConfigurationError(
            f"{field}: references {field.target_field}, which is no primary key; that is not loaded"
        )
    return Reference(str(field.column), target._meta.db_table)


def _column(field: Field, database: str) -> Column:
    stored = _stored(field)
    kind = _type(field, stored)
    digits, places = getattr(stored, "max_digits", None), getattr(stored, "decimal_places", None)
    extra: dict[str, Any] = {}
    if kind is Type.DECIMAL:
        most = _SQLITE_DIGITS if connections[database].vendor == "sqlite" else 1000
        extra = {"digits": min(digits or most, most), "places": places or 0}
    if kind is Type.DATETIME and settings.USE_TZ:
        extra = {"zone": settings.TIME_ZONE}
    return Column(
        name=str(field.column),
        type=kind,
        # Django takes no null for a field that must not be blank.
        nullable=field.null and field.blank,
        default=REQUIRED if field.primary_key else _default(field, kind),
        unique=field.unique and not field.primary_key,
        **extra,
    )


def _stored(field: Field) -> Field:
    """The field whose values are stored: for a foreign key the key that it holds."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return field


def _type(field: Field, stored: Field) -> Type:
    for known, kind in _TYPES:
        if isinstance(stored, known) and all(_is_djangos(stored, way) for way in _WAYS):
            return kind
    known_types = ", ".join(known.__name__ for known, _ in _TYPES)
    own = "" if type(stored).__module__.startswith("django.") else " of its own ways"
    raise ConfigurationError(f"{field}: cannot load a {type(stored).__name__}{own}; known are {known_types}")


def _is_djangos(field: Field, way: str) -> bool:
    owner = next(each for each in type(field).__mro__ if way in vars(each))
    return owner.__module__.startswith("django.db.models.")


def _default(field: Field, kind: Type) -> object:
    """What a new row gets where the source does not have the column."""
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return lambda: _plain(timezone.now() if kind is Type.DATETIME else timezone.localdate(), kind, field)
    if field.has_default():
        given: Callable[[], Any] = field.get_default
        return (lambda: _plain(given(), kind, field)) if callable(field.default) else _plain(given(), kind, field)
    stated = getattr(field, "db_default", None)
    if isinstance(stated, models.Value):
        return _plain(stated.value, kind, field)
    if field.null:
        return None
    return "" if kind is Type.TEXT and field.blank else REQUIRED


def _plain(value: Any, kind: Type, field: Field) -> Any:
    """A value as it stands in a batch."""
    value = _stored(field).to_python(value)
    if value is None:
        return None
    match kind:
        case Type.JSON:
            return json.dumps(value, cls=getattr(field, "encoder", None))
        case Type.UUID:
            return uuid.UUID(str(value)).hex
        case Type.TEXT:
            return str(value)
        case Type.DATETIME:
            return _in_zone(value)
    return value


def _in_zone(value: datetime) -> datetime:
    if not settings.USE_TZ:
        return value
    return (timezone.make_aware(value) if timezone.is_naive(value) else value).astimezone(UTC)
