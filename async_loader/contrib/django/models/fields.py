"""A model's fields as columns, rules and references: what the loader checks is what `Model.full_clean()` checks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.validators import DecimalValidator
from django.db import models
from django.utils import timezone

from async_loader import (
    BY_DATABASE,
    MOST_DIGITS,
    REQUIRED,
    SQLITE_DIGITS,
    Column,
    ConfigurationError,
    Constraint,
    Parent,
    Reference,
    Rule,
    Type,
    Unique,
)
from async_loader.contrib.django.models.conditions import where_of
from async_loader.contrib.django.models.conversion import Conversion, prepared
from async_loader.contrib.django.models.databases import home, is_postgresql
from async_loader.contrib.django.models.inheritance import constraints_of, key_field, line_of, links_to_parents
from async_loader.contrib.django.models.loadable import (
    NO_VALUE,
    bad_default,
    chain_of,
    check_model,
    column_problem,
    column_type,
    is_known,
    kind_of,
    stored_fields,
)
from async_loader.contrib.django.models.validators import Field, may_be_blank, outside_dst_gaps, rules_of


@dataclass(frozen=True, slots=True)
class Loaded:
    """One field of a model as the loader has it."""

    field: Field
    column: Column
    rules: tuple[Rule, ...]
    reference: Reference | None


def loaded_fields(model: type[models.Model]) -> tuple[Loaded, ...]:
    """Return the fields of a model that a source may have. Raises ConfigurationError for a model that cannot be
    loaded.
    """
    check_model(model)
    loaded = tuple(_loaded(field) for field in stored_fields(model) if column_problem(field) is None)
    return tuple(replace(each, column=_with_links(model, each.column)) for each in loaded)


def _with_links(model: type[models.Model], column: Column) -> Column:
    """Return the column of the key with the names of the fields that lead to tables of parents; others as they are."""
    if column.name != key_field(model).column:
        return column
    names = [name for link in links_to_parents(model) for name in (link.name, link.attname)]
    return replace(column, aliases=tuple(dict.fromkeys([*column.aliases, *names])))


def parents_of(model: type[models.Model], columns: Collection[Column]) -> tuple[Parent, ...]:
    """Return the tables of a model's parents, with those of the columns that lie there."""
    names, key = {column.name for column in columns}, key_field(model).column
    return tuple(
        Parent(
            parent._meta.db_table,
            str(parent._meta.pk.column),
            tuple(
                str(field.column)
                for field in parent._meta.local_concrete_fields
                if field.column in names and field.column != key
            ),
        )
        for parent in line_of(model)[:-1]
    )


def refused_columns(model: type[models.Model]) -> dict[str, str]:
    """Return, by each of their names, why no source may have some columns of a model."""
    problems = {field: column_problem(field) for field in stored_fields(model)}
    return {name: problem for field, problem in problems.items() if problem is not None for name in _names(field)}


def computed_columns(model: type[models.Model]) -> frozenset[str]:
    """Return the names of columns that the database computes."""
    computed = (field for field in model._meta.concrete_fields if getattr(field, "generated", False))
    return frozenset(name for field in computed for name in _names(field))


def _names(field: Field) -> set[str]:
    return {str(field.column), field.name, field.attname}


def looked_up_columns(model: type[models.Model]) -> tuple[Column, ...]:
    """Return the columns by which rows of a model that is only referenced can be looked up, the key first."""
    others = [field for field in stored_fields(model) if not field.primary_key and column_problem(field) is None]
    columns = [_column(key_field(model))]
    for field in others:
        with suppress(ConfigurationError):
            columns.append(_column(field))
    return tuple(columns)


def unique_together(model: type[models.Model], loaded: Collection[Column]) -> tuple[Unique, ...]:
    """Return the sets of columns of which no two rows may have the same values. The database alone asks those with a
    column that is not loaded, or with a condition that cannot be said in columns.
    """
    columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
    together = [names for each in line_of(model) for names in each._meta.unique_together]
    stated = [Unique(tuple(columns[name] for name in names)) for names in together]
    for constraint in constraints_of(model):
        if not isinstance(constraint, models.UniqueConstraint) or not constraint.fields:
            continue
        where = None if constraint.condition is None else where_of(model, constraint, loaded)
        if constraint.condition is None or where is not None:
            names = tuple(columns[name] for name in constraint.fields)
            nulls_equal, code = constraint.nulls_distinct is False, constraint.violation_error_code or "unique"
            stated.append(Unique(names, _message(constraint), nulls_equal=nulls_equal, code=code, where=where))
    known = {column.name for column in loaded}
    return tuple(each for each in stated if known.issuperset(each.columns))


def _message(constraint: models.UniqueConstraint) -> str:
    """Return the message of a constraint that has one of its own, or a condition; nothing of others."""
    own = constraint.violation_error_message != models.UniqueConstraint.default_violation_error_message
    own |= constraint.condition is not None
    return str(constraint.get_violation_error_message()) if own else ""


def constraints(model: type[models.Model], in_rules: Collection[str] = ()) -> Iterator[Constraint]:
    """Yield the constraints of a model that the database may refuse a row for, with codes and messages as Django's.
    in_rules: the names of those that rules say as well.
    """
    columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
    for each in constraints_of(model):
        fields = each.fields if isinstance(each, models.UniqueConstraint) else None
        own_message = each.violation_error_message != each.default_violation_error_message
        yield Constraint(
            name=each.name,
            code=each.violation_error_code or ("refused" if fields is None else "unique"),
            message=str(each.get_violation_error_message()) if own_message else "",
            columns=frozenset(columns[name] for name in fields or ()),
            is_rule=each.name in in_rules,
        )


def _loaded(field: Field) -> Loaded:
    column = _column(field)
    # What converts a value also checks it.
    rules = [] if column.convert is not None else list(rules_of(field, column))
    if column.type is Type.DATETIME and column.zone is None and is_postgresql(home(field.model)):
        rules.append(outside_dst_gaps(column, settings.TIME_ZONE))
    return Loaded(field, column, tuple(rules), _reference(field))


def _reference(field: Field) -> Reference | None:
    if not isinstance(field, models.ForeignKey):
        return None
    target = field.remote_field.model
    to = "" if field.target_field.primary_key else str(field.target_field.column)
    return Reference(str(field.column), target._meta.db_table, name=field.name, to=to)


def _column(field: Field) -> Column:
    *_, stored = chain_of(field)
    kind = Type[kind_of(field) or Type.OTHER.name]
    extra: dict[str, Any] = {}
    if isinstance(stored, models.DecimalField):
        extra = {"digits": stored.max_digits, "places": stored.decimal_places, "significant": _significant(field)}
    if kind is Type.DATETIME and settings.USE_TZ:
        extra = {"zone": settings.TIME_ZONE}
    if kind is Type.OTHER:
        extra = {"declared": column_type(field)}
    return Column(
        name=str(field.column),
        type=kind,
        convert=None if is_known(field) else Conversion(field, kind, home(field.model)),
        # Django accepts no null for a field that must not be blank.
        nullable=field.null and may_be_blank(field),
        default=_key_default(field, kind) if field.primary_key else _default(field, kind),
        unique=field.unique and not field.primary_key,
        generated=field.primary_key and _is_generated(field),
        aliases=tuple(name for name in dict.fromkeys((field.name, field.attname)) if name != field.column),
        stamp=_stamp(field, kind),
        restamped=getattr(field, "auto_now", False),
        **extra,
    )


def _significant(field: Field) -> int:
    """Return how many digits of a decimal the field's database keeps exactly."""
    return MOST_DIGITS if is_postgresql(home(field.model)) else SQLITE_DIGITS


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
    if _stamp(field, kind) is not None:
        return None
    if _makes_defaults(field):
        given: Callable[[], Any] = field.get_default
        return lambda: _plain(given(), kind, field)
    value = _stated_default(field, kind)
    if value is REQUIRED or (value is None and not (field.null and may_be_blank(field))):
        return REQUIRED
    if value is BY_DATABASE:
        return value
    try:
        return _plain(value, kind, field)
    except NO_VALUE as error:
        raise bad_default(field, value) from error


def _stamp(field: Field, kind: Type) -> Callable[[datetime], object] | None:
    """Return the function that gives the time of a field which Django fills itself, made of the moment of a run."""
    if not (getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)):
        return None
    is_instant = kind is Type.DATETIME and settings.USE_TZ
    return partial(_in_local_time, kind, None if is_instant else settings.TIME_ZONE)


def _in_local_time(kind: Type, zone: str | None, moment: datetime) -> object:
    """Return a moment as a column holds it: in UTC, or in local time without a zone."""
    if zone is None:
        return moment
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return {Type.DATE: local.date, Type.TIME: local.time}.get(kind, lambda: local)()


def _stated_default(field: Field, kind: Type) -> Any:
    """Return the field's own default: REQUIRED where it has none, BY_DATABASE where only the database computes it."""
    if field.has_default():
        return field.get_default()
    if field.has_db_default():
        stated = field.db_default
        value = stated.value if isinstance(stated, models.Value) else stated
        return BY_DATABASE if hasattr(value, "resolve_expression") else value
    if field.null:
        return None
    if kind is Type.BINARY and field.blank:
        return b""
    return "" if kind is Type.TEXT and field.empty_strings_allowed and field.blank else REQUIRED


def _plain(value: Any, kind: Type, field: Field) -> Any:
    """Return a value as a batch holds it."""
    *_, stored = chain_of(field)
    if not is_known(field):
        return prepared(field, kind, value, home(field.model))
    if value is None or (value := stored.to_python(value)) is None:
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
        case Type.BINARY:
            return bytes(value)
        case Type.DATETIME:
            return _in_zone(value)
    return value


def _in_zone(value: datetime) -> datetime:
    if not settings.USE_TZ:
        return value
    return (timezone.make_aware(value) if timezone.is_naive(value) else value).astimezone(UTC)
