"""A model's fields as columns, rules and references: what the loader checks is what `Model.full_clean()` checks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import DecimalValidator
from django.db import models
from django.utils import timezone

from async_loader import MOST_DIGITS, REQUIRED, SQLITE_DIGITS, Column, ConfigurationError, Reference, Rule, Type
from async_loader.contrib.django.models.databases import home, is_postgresql
from async_loader.contrib.django.models.validators import Field, may_be_blank, outside_dst_gaps, rules_of

# Fields derived from one of these, with its methods for values, are loaded as that one. The first that fits counts:
# Django derives DateTimeField from DateField.
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
# The methods by which a field reads and stores values. A field that overrides one of them cannot be loaded.
_VALUE_METHODS = (
    "to_python",
    "get_prep_value",
    "get_db_prep_value",
    "get_db_prep_save",
    "pre_save",
    "from_db_value",
    "clean",
    "validate",
    "run_validators",
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One field of a model as the loader has it."""

    field: Field
    column: Column
    rules: tuple[Rule, ...]
    reference: Reference | None


def loaded_fields(model: type[models.Model]) -> tuple[Loaded, ...]:
    """Return all fields of a model. Raises ConfigurationError for a model that cannot be loaded."""
    label = model._meta.label
    if model._meta.parents:
        parents = ", ".join(parent._meta.label for parent in model._meta.parents)
        raise ConfigurationError(
            f"{label}: its fields lie in several tables, those of {parents} too; that is not loaded"
        )
    if not isinstance(model._meta.pk, models.Field) or getattr(model._meta.pk, "columns", None):
        raise ConfigurationError(f"{label}: a key of several columns cannot be loaded")
    fields = [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
    return tuple(map(_loaded, fields))


def looked_up_columns(model: type[models.Model]) -> tuple[Column, ...]:
    """Return the columns by which rows of a model that is only referenced can be looked up, the key first."""
    columns = [_column(model._meta.pk)]
    for field in model._meta.concrete_fields:
        if not (field.primary_key or getattr(field, "generated", False)):
            with suppress(ConfigurationError):
                columns.append(_column(field))
    return tuple(columns)


def unique_together(model: type[models.Model]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of columns of which no two rows may have the same values."""
    fields = [tuple(names) for names in model._meta.unique_together]
    fields += [
        tuple(constraint.fields)
        for constraint in model._meta.constraints
        if isinstance(constraint, models.UniqueConstraint) and constraint.fields and constraint.condition is None
    ]
    columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
    return tuple(tuple(columns[name] for name in names) for names in fields)


def _loaded(field: Field) -> Loaded:
    column = _column(field)
    rules = list(rules_of(field, column))
    if column.type is Type.DATETIME and column.zone is None and is_postgresql(home(field.model)):
        rules.append(outside_dst_gaps(column, settings.TIME_ZONE))
    return Loaded(field, column, tuple(rules), _reference(field))


def _reference(field: Field) -> Reference | None:
    if not isinstance(field, models.ForeignKey):
        return None
    target = field.remote_field.model
    if target._meta.concrete_model is field.model._meta.concrete_model:
        raise ConfigurationError(f"{field}: references its own table; that is not loaded")
    to = "" if field.target_field.primary_key else str(field.target_field.column)
    return Reference(str(field.column), target._meta.db_table, name=field.name, to=to)


def _column(field: Field) -> Column:
    *_, stored = _chain(field)
    kind = _type(field, stored)
    extra: dict[str, Any] = {}
    if isinstance(stored, models.DecimalField):
        extra = {"digits": stored.max_digits, "places": stored.decimal_places, "significant": _significant(field)}
    if kind is Type.DATETIME and settings.USE_TZ:
        extra = {"zone": settings.TIME_ZONE}
    return Column(
        name=str(field.column),
        type=kind,
        # Django accepts no null for a field that must not be blank.
        nullable=field.null and may_be_blank(field),
        default=_key_default(field, kind) if field.primary_key else _default(field, kind),
        unique=field.unique and not field.primary_key,
        generated=field.primary_key and _is_generated(field),
        aliases=tuple({field.name, field.attname} - {str(field.column)}),
        **extra,
    )


def _significant(field: Field) -> int:
    """Return how many digits of a decimal the field's database keeps exactly."""
    return MOST_DIGITS if is_postgresql(home(field.model)) else SQLITE_DIGITS


def _chain(field: Field) -> Iterator[Field]:
    """Return the field, then the fields that its foreign keys lead to. The last one says how values are stored."""
    yield field
    while isinstance(field, models.ForeignKey):
        field = field.target_field
        yield field


def _type(field: Field, stored: Field) -> Type:
    for known, kind in _TYPES:
        if isinstance(stored, known) and all(
            _is_djangos(each, method) for each in _chain(field) for method in _VALUE_METHODS
        ):
            return kind
    known_types = ", ".join(known.__name__ for known, _ in _TYPES)
    own = next((each for each in _chain(field) if not type(each).__module__.startswith("django.")), None)
    ways = " of its own ways" if own else ""
    raise ConfigurationError(f"{field}: cannot load a {type(own or stored).__name__}{ways}; known are {known_types}")


def _is_djangos(field: Field, method: str) -> bool:
    """Return whether the field has the method from a class of Django's own."""
    owner = next((each for each in type(field).__mro__ if method in vars(each)), models.Field)
    return owner.__module__.startswith("django.db.models.")


def _is_generated(field: Field) -> bool:
    """Return whether a new row gets a primary key without being given one."""
    return isinstance(field, models.AutoField) or field.has_db_default() or _makes_defaults(field)


def _makes_defaults(field: Field) -> bool:
    """Return whether the field's default is a function. Without a default it is a class of Django's."""
    return field.has_default() and callable(field.default)


def _key_default(field: Field, kind: Type) -> object:
    """Return the function that makes primary keys; REQUIRED where the database does, or nothing."""
    return _default(field, kind) if _makes_defaults(field) else REQUIRED


def _default(field: Field, kind: Type) -> object:
    """Return what a new row gets where the source does not have the column: a value, or a function that gives one."""
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        # As Django does: the date in the time zone of the process, which Django sets to TIME_ZONE.
        return lambda: _plain(timezone.now() if kind is Type.DATETIME else date.today(), kind, field)  # noqa: DTZ011
    if _makes_defaults(field):
        given: Callable[[], Any] = field.get_default
        return lambda: _plain(given(), kind, field)
    value = _stated_default(field, kind)
    if value is REQUIRED or (value is None and not (field.null and may_be_blank(field))):
        return REQUIRED
    try:
        return _plain(value, kind, field)
    except (ValidationError, ValueError) as error:
        raise ConfigurationError(f"{field}: its default {value!r} is no value of it") from error


def _stated_default(field: Field, kind: Type) -> Any:
    """Return the field's own default. REQUIRED where it has none, or where only the database can compute it."""
    if field.has_default():
        return field.get_default()
    if field.has_db_default():
        stated = field.db_default
        value = stated.value if isinstance(stated, models.Value) else stated
        return REQUIRED if hasattr(value, "resolve_expression") else value
    if field.null:
        return None
    return "" if kind is Type.TEXT and field.empty_strings_allowed and field.blank else REQUIRED


def _plain(value: Any, kind: Type, field: Field) -> Any:
    """Return a value as a batch holds it."""
    *_, stored = _chain(field)
    value = stored.to_python(value)
    if value is None:
        return None
    match kind:
        case Type.DECIMAL:
            assert isinstance(stored, models.DecimalField)
            DecimalValidator(stored.max_digits, stored.decimal_places)(value)
        case Type.JSON:
            return json.dumps(value, cls=getattr(stored, "encoder", None))
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
