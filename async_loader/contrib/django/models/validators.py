"""Django's validators as rules: the checks of `Model.full_clean()` for one field, over whole columns where possible.

As in Django, validators are not asked about an empty value; the field's `blank` says whether a value may be empty.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import polars as pl
from django.core import validators
from django.core.exceptions import ValidationError
from django.db import models

from async_loader import (
    Column,
    Rule,
    Type,
    at_least,
    at_most,
    each_value,
    max_length,
    min_length,
    not_empty,
    one_of,
)

Field: TypeAlias = "models.Field[Any, Any]"

# Addresses that Django's EmailValidator accepts for certain. The validator is asked about all others.
_CERTAIN_EMAIL = r"^[A-Za-z0-9_+-]{1,30}(\.[A-Za-z0-9_+-]{1,30}){0,3}@([A-Za-z0-9]{1,30}\.){1,4}[A-Za-z]{2,30}$"
# JSON that counts as empty in Django.
_EMPTY_JSON = ("null", '""', "[]", "{}")
# The range of a 64-bit integer. A number outside of it is rejected when it is read.
_LEAST, _GREATEST = -(2**63), 2**63 - 1


def rules_of(field: Field, column: Column) -> Iterator[Rule]:
    """Return all rules of the field for one value, but for its type."""
    if not may_be_blank(field) and column.type is Type.TEXT:
        yield not_empty(column.name)
    if not may_be_blank(field) and column.type is Type.BINARY:
        holds = pl.col(column.name).bin.size() > 0
        yield Rule("not_empty", (column.name,), f"{column.name} must not be empty", holds)
    if not may_be_blank(field) and column.type is Type.JSON:
        holds = ~pl.col(column.name).is_in(_EMPTY_JSON)
        yield Rule("not_empty", (column.name,), f"{column.name} must not be empty", holds)
    if field.choices is not None and field.editable:
        yield _or_empty(_one_of(field, column), column)
    for validator in field.validators:
        rule = _rule(validator, field, column)
        if rule is not None:
            yield _or_empty(rule, column)


def outside_dst_gaps(column: Column, zone: str) -> Rule:
    """Return a rule against times in a DST gap, for a database that stores times without a zone as times of `zone`.

    PostgreSQL would move a time in the gap to the next hour.
    """
    time, zone_info = pl.col(column.name), ZoneInfo(zone)
    rule = each_value(
        column.name,
        "not_datetime",
        f"{column.name} must not lie in a DST gap of {zone}",
        lambda value: _there_and_back(value, zone_info) == value,
    )
    # Polars has the daylight saving time of these years only.
    common = time.dt.year().is_between(1900, 2099)
    shown = time.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_not_null()
    return _asked_about(~(common & shown), rule, column)


def _there_and_back(time: datetime, zone: ZoneInfo) -> datetime:
    """Return a time of that zone converted to UTC and back; unchanged where UTC has no such year."""
    try:
        return time.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return time


def may_be_blank(field: Field) -> bool:
    """Return whether Django accepts an empty value. In a field that is not editable it checks the validators only."""
    return field.blank or not field.editable


def _one_of(field: Field, column: Column) -> Rule:
    """Return the rule of the choices: over whole columns for text and integers, in Python for other types."""
    choices = [value for value, _ in field.flatchoices if value is not None]
    wanted = {Type.TEXT: str, Type.INTEGER: int}.get(column.type)
    if wanted is not None:
        return one_of(column.name, [wanted(value) for value in choices if isinstance(value, wanted)])
    as_python = _as_python(column)
    message = f"{column.name} must be one of {', '.join(map(str, choices))}"
    return each_value(column.name, "one_of", message, lambda value: as_python(value) in choices)


def _or_empty(rule: Rule, column: Column) -> Rule:
    """Return the rule, held also by an empty value."""
    if column.type is Type.TEXT:
        return dataclasses.replace(rule, holds=rule.holds | (pl.col(column.name) == ""))
    if column.type is Type.BINARY:
        return dataclasses.replace(rule, holds=rule.holds | (pl.col(column.name).bin.size() == 0))
    if column.type is Type.JSON:
        return dataclasses.replace(rule, holds=rule.holds | pl.col(column.name).is_in(_EMPTY_JSON))
    return rule


def _rule(validator: Any, field: Field, column: Column) -> Rule | None:
    """Return a validator as a rule, or None where reading the value has checked it already."""
    kind = type(validator)
    limit: Any = getattr(validator, "limit_value", None)
    limit = _comparable(limit() if callable(limit) else limit)
    if kind in (validators.MaxLengthValidator, validators.MinLengthValidator) and column.type is Type.TEXT:
        return (max_length if kind is validators.MaxLengthValidator else min_length)(column.name, int(limit))
    if kind is validators.MaxValueValidator and column.type not in (Type.JSON, Type.UUID):
        return None if limit == _GREATEST else at_most(column.name, limit)
    if kind is validators.MinValueValidator and column.type not in (Type.JSON, Type.UUID):
        return None if limit == _LEAST else at_least(column.name, limit)
    if kind is validators.DecimalValidator and (validator.max_digits, validator.decimal_places) == (
        getattr(field, "max_digits", None),
        getattr(field, "decimal_places", None),
    ):
        return None
    if kind is validators.ProhibitNullCharactersValidator:
        return None
    rule = _each(validator, column)
    if kind is validators.EmailValidator and validator.user_regex is validators.EmailValidator.user_regex:
        return _but_for(rule, _CERTAIN_EMAIL, column)
    return rule


def _comparable(limit: Any) -> Any:
    """Return a limit as columns hold values: a time with a zone is in UTC."""
    return limit.astimezone(UTC) if isinstance(limit, datetime) and limit.tzinfo is not None else limit


def _but_for(rule: Rule, certain: str, column: Column) -> Rule:
    """Return the rule, asked only about text in which the pattern is not found."""
    return _asked_about(~pl.col(column.name).str.contains(certain), rule, column)


def _asked_about(doubtful: pl.Expr, rule: Rule, column: Column) -> Rule:
    """Return the rule, asked only about values that are doubtful."""
    values = pl.when(doubtful).then(pl.col(column.name))
    holds = values.map_batches(lambda asked: _answers(rule, asked.alias(column.name)), return_dtype=pl.Boolean)
    return dataclasses.replace(rule, holds=holds)


def _answers(rule: Rule, values: pl.Series) -> pl.Series:
    return values.to_frame().select(rule.holds).to_series()


def _each(validator: Any, column: Column) -> Rule:
    """Return a rule that calls the validator with each distinct value of a batch."""
    as_python = _as_python(column)

    def message(value: Any) -> str | None:
        try:
            validator(as_python(value))
        except ValidationError as error:
            return f"{column.name}: {' '.join(error.messages)}"
        return None

    name = getattr(validator, "__name__", None) or _snake(type(validator).__name__)
    return each_value(
        column.name,
        name,
        f"{column.name} must satisfy {name}",
        lambda value: message(value) is None,
        lambda value: message(value) or "",
    )


def _as_python(column: Column) -> Callable[[Any], Any]:
    """Return the function from a value of a batch to the value that Django gives to validators."""
    if column.type is Type.UUID:
        return uuid.UUID
    return json.loads if column.type is Type.JSON else lambda value: value


def _snake(name: str) -> str:
    """Return a class's name as the code of its rule: `email` for EmailValidator."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
    return words.removesuffix("_validator") or words
