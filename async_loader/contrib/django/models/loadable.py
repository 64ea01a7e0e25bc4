"""Which models can be loaded, and why others cannot. Light: checks of every project import it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import models

from async_loader import ConfigurationError

Field: TypeAlias = "models.Field[Any, Any]"

# Fields derived from one of these, with its methods for values, are loaded as that one: by class, the name of the type.
# The first that fits counts: Django derives DateTimeField from DateField.
_KINDS: tuple[tuple[type[Field], str], ...] = (
    (models.BooleanField, "BOOLEAN"),
    (models.IntegerField, "INTEGER"),
    (models.FloatField, "REAL"),
    (models.DecimalField, "DECIMAL"),
    (models.DateTimeField, "DATETIME"),
    (models.DateField, "DATE"),
    (models.UUIDField, "UUID"),
    (models.JSONField, "JSON"),
    (models.CharField, "TEXT"),
    (models.TextField, "TEXT"),
)
_OF_KEYS = ("INTEGER", "TEXT", "UUID")
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


# What a field raises for a default that is no value of it.
NO_VALUE = (ValidationError, ValueError, TypeError, ArithmeticError, AttributeError)


def check_model(model: type[models.Model]) -> None:
    """Raise ConfigurationError for a model that cannot be loaded."""
    label, key = model._meta.label, model._meta.pk
    for field in model._meta.concrete_fields:
        if not is_whole(field):
            raise ConfigurationError(f"{field}: its foreign key leads to no field; manage.py check says why")
    if model._meta.parents:
        parents = ", ".join(parent._meta.label for parent in model._meta.parents)
        raise ConfigurationError(
            f"{label}: its fields lie in several tables, those of {parents} too; that is not loaded"
        )
    if not isinstance(key, models.Field) or getattr(key, "columns", None):
        raise ConfigurationError(f"{label}: a key of several columns cannot be loaded")
    for field in stored_fields(model):
        _check_field(field)
    if kind_of(key) not in _OF_KEYS:
        raise ConfigurationError(f"{label}: key {key.column} must be integer, text or uuid")


def stored_fields(model: type[models.Model]) -> list[Field]:
    """Return the fields of a model that are columns, but for those that the database computes."""
    return [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]


def _check_field(field: Field) -> None:
    kind_of(field)
    if isinstance(field, models.ForeignKey) and _table(field.remote_field.model) == _table(field.model):
        raise ConfigurationError(f"{field}: references its own table; that is not loaded")
    for validator in field.validators:
        if not callable(validator):
            raise ConfigurationError(f"{field}: validator {validator!r} cannot be called")
    *_, stored = chain_of(field)
    if isinstance(stored, models.DecimalField) and None in (stored.max_digits, stored.decimal_places):
        raise ConfigurationError(f"{field}: declares no max_digits and decimal_places; that is not loaded")
    if field.has_default() and not callable(field.default):
        try:
            stored.to_python(field.default)
        except NO_VALUE as error:
            raise bad_default(field, field.default) from error


def bad_default(field: Field, value: object) -> ConfigurationError:
    """Return the error of a default that is no value of its field."""
    return ConfigurationError(f"{field}: its default {value!r} is no value of it")


def kind_of(field: Field) -> str:
    """Return the name of the type as which a field is loaded. Raises ConfigurationError where there is none."""
    *_, stored = chain = list(chain_of(field))
    for known, kind in _KINDS:
        if isinstance(stored, known) and all(_is_djangos(each, method) for each in chain for method in _VALUE_METHODS):
            return kind
    known_types = ", ".join(known.__name__ for known, _ in _KINDS)
    own = next((each for each in chain if not type(each).__module__.startswith("django.")), None)
    methods = ", which has its own methods for values" if own else ""
    raise ConfigurationError(f"{field}: cannot load a {type(own or stored).__name__}{methods}; known are {known_types}")


def chain_of(field: Field) -> Iterator[Field]:
    """Yield the field, then the fields that its foreign keys lead to. The last one says how values are stored."""
    yield field
    while isinstance(field, models.ForeignKey):
        field = field.target_field
        yield field


def is_whole(field: Field) -> bool:
    """Return whether a field's foreign keys lead to a field that stores values. Django's own checks report others."""
    seen = set()
    while isinstance(field, models.ForeignKey):
        if field in seen or isinstance(field.remote_field.model, str):
            return False
        seen.add(field)
        try:
            field = field.target_field
        except (FieldDoesNotExist, FieldError, AttributeError):
            return False
    return isinstance(field, models.Field) and not getattr(field, "columns", None)


def _is_djangos(field: Field, method: str) -> bool:
    """Return whether the field has the method from a class of Django's own."""
    owner = next((each for each in type(field).__mro__ if method in vars(each)), models.Field)
    return owner.__module__.startswith("django.db.models.")


def _table(model: type[models.Model]) -> str:
    return model._meta.db_table


def check_owners(table: str, labels: Iterable[str]) -> None:
    """Raise ConfigurationError where several models have a table."""
    several = list(labels)
    if len(several) > 1:
        raise ConfigurationError(f"table {table} is of several models, {', '.join(several)}; only one can be loaded")


def problems_of(some: Iterable[type[models.Model]]) -> Iterator[str]:
    """Yield a line for each table of these models that cannot be loaded, or whose references lead back to it."""
    owners: dict[str, list[type[models.Model]]] = {}
    for model in some:
        if all(map(is_whole, model._meta.concrete_fields)):
            owners.setdefault(_table(model), []).append(model)
    targets = {table: _targets(several[0]) for table, several in owners.items()}
    for table, several in owners.items():
        try:
            check_owners(table, (model._meta.label for model in several))
            check_model(several[0])
        except ConfigurationError as error:
            yield str(error)
        else:
            if leads_back(table, targets):
                yield f"{several[0]._meta.label}: its references lead back to it; check_references needs its name"


def _targets(model: type[models.Model]) -> set[str]:
    fields = model._meta.concrete_fields
    return {_table(field.remote_field.model) for field in fields if isinstance(field, models.ForeignKey)}


def leads_back(name: str, targets: Mapping[str, Iterable[str]]) -> bool:
    """Return whether a table references itself through others; `targets` are the tables that each references."""
    ahead, seen = [name], set[str]()
    while ahead:
        more = set(targets.get(ahead.pop(), ())) - seen
        seen |= more
        ahead += more
    return name in seen
