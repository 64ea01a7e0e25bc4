"""Conditions of constraints, as far as they can be said in columns: check constraints as rules, and the rows of which
a unique constraint speaks. What cannot be said so, the database asks alone.

As in SQL, a check that comes to null is kept, and a row of which a condition comes to null is not in a partial index.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import polars as pl
from django.db import models

from async_loader import Column, Rule, Type, Where
from async_loader.contrib.django.models.inheritance import constraints_of, key_field

# A condition, and the columns that it is about.
Condition: TypeAlias = tuple[pl.Expr, frozenset[str]]

# The code of a constraint that has none of its own.
CHECK = "check"

_ORDERS: Mapping[str, Callable[[pl.Expr, Any], pl.Expr]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "range": lambda column, bounds: column.is_between(*bounds),
}
_EQUALITIES: Mapping[str, Callable[[pl.Expr, Any], pl.Expr]] = {
    "exact": operator.eq,
    "in": lambda column, values: column.is_in(list(values)),
}
# Values that compare in Python as they do in every database. Of texts only equality does.
_COMPARED: Mapping[Type, tuple[type, ...]] = {
    Type.INTEGER: (int,),
    Type.REAL: (int, float),
    Type.DECIMAL: (int, Decimal),
    Type.DATE: (date,),
    Type.BOOLEAN: (bool,),
    Type.TEXT: (str,),
}
_ORDERED = frozenset([Type.INTEGER, Type.REAL, Type.DECIMAL, Type.DATE])


def check_rules(model: type[models.Model], columns: Collection[Column]) -> Iterator[tuple[str, Rule]]:
    """Yield the names of check constraints, each with the rule that says the same, with the constraint's own code and
    message.
    """
    by_field = _columns_by_field(model, columns)
    for constraint in constraints_of(model):
        if not isinstance(constraint, models.CheckConstraint):
            continue
        condition = _condition(constraint.condition, by_field)
        if condition is not None and condition[1]:
            names = tuple(column.name for column in columns if column.name in condition[1])
            message = str(constraint.get_violation_error_message())
            yield constraint.name, Rule(constraint.violation_error_code or CHECK, names, message, condition[0])


def where_of(
    model: type[models.Model], constraint: models.UniqueConstraint, columns: Collection[Column]
) -> Where | None:
    """Return the rows of which a unique constraint with a condition speaks; None where that cannot be said in columns
    whose values are known when a record is judged.
    """
    key = str(key_field(model).column)
    settled = [column for column in columns if column.name != key and column.stamp is None and not column.is_computed]
    condition = _condition(constraint.condition, _columns_by_field(model, settled))
    if condition is None or not condition[1]:
        return None
    return Where(constraint.name, tuple(column.name for column in settled if column.name in condition[1]), condition[0])


def _columns_by_field(model: type[models.Model], columns: Collection[Column]) -> dict[str, Column]:
    """Return the columns that can be compared, by the names under which a condition has them."""
    known = {column.name: column for column in columns if column.convert is None and column.type in _COMPARED}
    # A collation of its own may hold texts for equal that are not the same.
    fields = [field for field in model._meta.concrete_fields if not getattr(field, "db_collation", None)]
    named = [(field, known[str(field.column)]) for field in fields if field.column in known]
    return {name: column for field, column in named for name in (field.name, field.attname)}


def _condition(stated: Any, columns: Mapping[str, Column], *, is_negated: bool = False) -> Condition | None:
    """Return a condition of a model in columns; None where that cannot be said. is_negated: whether an odd number of
    negations is around it. Django then writes that no value is null, so that the opposite is true of a null.
    """
    if isinstance(stated, tuple):
        lookup, value = stated
        compared = _comparison(lookup, value, columns)
        if compared is None or not is_negated or lookup.endswith("__isnull"):
            return compared
        return pl.all_horizontal(pl.col(sorted(compared[1])).is_not_null()) & compared[0], compared[1]
    if not isinstance(stated, models.Q) or stated.connector not in (models.Q.AND, models.Q.OR) or not stated.children:
        return None
    is_odd = is_negated != stated.negated
    parts = [_condition(child, columns, is_negated=is_odd) for child in stated.children]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    combined = functools.reduce(operator.and_ if stated.connector == models.Q.AND else operator.or_, _exprs(known))
    names = frozenset[str]().union(*(part[1] for part in known))
    return (~combined if stated.negated else combined), names


def _exprs(conditions: Collection[Condition]) -> Iterator[pl.Expr]:
    return (expression for expression, _ in conditions)


def _comparison(lookup: str, value: Any, columns: Mapping[str, Column]) -> Condition | None:
    """Return a comparison of a column with a value or another column; None for one that is not said in columns."""
    name, _, kind = lookup.partition("__")
    column = columns.get(name)
    if column is None:
        return None
    read, kind = pl.col(column.name), kind or "exact"
    if kind == "isnull" and isinstance(value, bool):
        return (read.is_null() if value else read.is_not_null()), frozenset([column.name])
    compare = _EQUALITIES.get(kind) or (_ORDERS.get(kind) if column.type in _ORDERED else None)
    if compare is None:
        return None
    if isinstance(value, models.F):
        other = columns.get(str(vars(value)["name"]))
        if other is None or other.type is not column.type or kind in {"in", "range"}:
            return None
        return compare(read, pl.col(other.name)), frozenset([column.name, other.name])
    values = list(value) if kind in {"in", "range"} and isinstance(value, list | tuple | set) else [value]
    if not all(_is_comparable(each, column.type) for each in values):
        return None
    return compare(read, value), frozenset([column.name])


def _is_comparable(value: Any, kind: Type) -> bool:
    is_of_type = isinstance(value, _COMPARED[kind]) and not isinstance(value, datetime)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return False
    return is_of_type and (kind is Type.BOOLEAN or not isinstance(value, bool))
