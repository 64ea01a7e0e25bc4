"""Which models can be loaded, and why others cannot. Light: checks of every project import it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import models

from async_loader import ConfigurationError
from async_loader.contrib.django.models.databases import connection_of, home
from async_loader.contrib.django.models.inheritance import key_field, links_to_parents, problem_of_parents

Field: TypeAlias = "models.Field[Any, Any]"

# Fields derived from one of these, with its methods for values, are read by whole columns: by class, the type's name.
# The first that fits counts: Django derives DateTimeField from DateField.
_KINDS: tuple[tuple[type[Field], str], ...] = (
    (models.BooleanField, "BOOLEAN"),
    (models.IntegerField, "INTEGER"),
    (models.FloatField, "REAL"),
    (models.DecimalField, "DECIMAL"),
    (models.DateTimeField, "DATETIME"),
    (models.DateField, "DATE"),
    (models.TimeField, "TIME"),
    (models.DurationField, "DURATION"),
    (models.BinaryField, "BINARY"),
    (models.UUIDField, "UUID"),
    (models.JSONField, "JSON"),
    (models.CharField, "TEXT"),
    (models.TextField, "TEXT"),
    (models.FileField, "TEXT"),
    (models.FilePathField, "TEXT"),
)
# By what databases call the type of a column, without a length, the name of the type as which the loader has it. In
# PostgreSQL columns of other types take their values as text.
_COLUMNS = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "INTEGER"),
    **dict.fromkeys(("smallint unsigned", "integer unsigned", "bigint unsigned"), "INTEGER"),
    **dict.fromkeys(("real", "double precision"), "REAL"),
    **dict.fromkeys(("decimal", "numeric"), "DECIMAL"),
    **dict.fromkeys(("bool", "boolean"), "BOOLEAN"),
    **dict.fromkeys(("char", "varchar", "text"), "TEXT"),
    **dict.fromkeys(("datetime", "timestamp with time zone"), "DATETIME"),
    **dict.fromkeys(("blob", "bytea"), "BINARY"),
    "date": "DATE",
    "time": "TIME",
    "interval": "DURATION",
    "uuid": "UUID",
    "jsonb": "JSON",
}
_OTHER = "OTHER"
# The length of a type, or its digits.
_LENGTH = re.compile(r"\([0-9, ]*\)")
# The methods by which a field reads and stores values. One that has its own is asked about each value.
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
    label = model._meta.label
    for field in model._meta.concrete_fields:
        if not is_whole(field):
            raise ConfigurationError(f"{field}: its foreign key leads to no field; manage.py check says why")
    if (problem := problem_of_parents(model)) is not None:
        raise ConfigurationError(f"{label}: {problem}")
    key = key_field(model)
    if not isinstance(key, models.Field) or getattr(key, "columns", None):
        raise ConfigurationError(f"{label}: a key of several columns cannot be loaded")
    for field in stored_fields(model):
        _check_field(field)
    if (problem := column_problem(key)) is not None:
        raise ConfigurationError(f"{problem}; such a key cannot be loaded")
    if kind_of(key) == "JSON":
        raise ConfigurationError(f"{label}: key {key.column} is JSON, which no key can be")


def stored_fields(model: type[models.Model]) -> list[Field]:
    """Return the fields of a model that are columns, but for those that the database computes, and those that lead to
    tables of its parents.
    """
    links = links_to_parents(model)
    fields = (field for field in model._meta.concrete_fields if field not in links)
    return [field for field in fields if not getattr(field, "generated", False)]


def _check_field(field: Field) -> None:
    for validator in field.validators:
        if not callable(validator):
            raise ConfigurationError(f"{field}: validator {validator!r} cannot be called")
    *_, stored = chain_of(field)
    if is_known(field) and field.has_default() and field.default is not None and not callable(field.default):
        try:
            stored.to_python(field.default)
        except NO_VALUE as error:
            raise bad_default(field, field.default) from error


def bad_default(field: Field, value: object) -> ConfigurationError:
    """Return the error of a default that is no value of its field."""
    return ConfigurationError(f"{field}: its default {value!r} is no value of it")


def column_problem(field: Field) -> str | None:
    """Return why no source can have a field's column; None where one can."""
    *_, stored = chain_of(field)
    if isinstance(stored, models.DecimalField) and None in (stored.max_digits, stored.decimal_places):
        return f"{field} declares no max_digits and decimal_places"
    if kind_of(field) is None:
        return f"{field} is a {type(stored).__name__}, which is stored as {column_type(field)}"
    return None


def is_known(field: Field) -> bool:
    """Return whether a field reads and stores values as one of Django's does that the loader reads by whole columns."""
    *_, stored = chain = list(chain_of(field))
    is_of_kind = any(isinstance(stored, known) for known, _ in _KINDS)
    return is_of_kind and all(_is_djangos(each, method) for each in chain for method in _VALUE_METHODS)


def kind_of(field: Field) -> str | None:
    """Return the name of the type as which a field is loaded, and which its column has; None where there is none."""
    *_, stored = chain_of(field)
    derived = next((kind for known, kind in _KINDS if isinstance(stored, known)), None)
    if is_known(field):
        return derived
    declared = column_type(field)
    kind = _COLUMNS.get(declared)
    # SQLite has few types.
    if derived in {"UUID", "JSON", "DURATION"} and kind in {"TEXT", "INTEGER"}:
        return derived
    return kind or (_OTHER if declared and _connection(field).vendor == "postgresql" else None)


def column_type(field: Field) -> str:
    """Return what SQL calls the type of a field's column, without a length; nothing where its database has no name."""
    *_, stored = chain_of(field)
    return _LENGTH.sub("", stored.db_type(_connection(field)) or "").lower()


def _connection(field: Field) -> Any:
    return connection_of(home(field.model))


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
    """Yield a line for each table of these models that cannot be loaded, or whose references lead back by others."""
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
        one = ahead.pop()
        more = set(targets.get(one, ())) - seen - {one}
        seen |= more
        ahead += more
    return name in seen
