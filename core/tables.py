"""What `insert_data` loads: the models' columns, with the rules and references that a model does not state.

This is the file to edit for tables of your own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.db import connections, models, router

from async_loader import (
    Column,
    ConfigurationError,
    Reference,
    Rule,
    Table,
    Type,
    contains,
    greater_than,
    not_empty,
)
from core.models import Order, Product, User

_TYPES: tuple[tuple[type[models.Field[Any, Any]], Type], ...] = (
    (models.BigIntegerField, Type.INTEGER),
    (models.FloatField, Type.REAL),
    (models.TextField, Type.TEXT),
)


def table_of(model: type[models.Model], rules: tuple[Rule, ...] = (), references: tuple[Reference, ...] = ()) -> Table:
    """The engine's table for a model. ConfigurationError for a field of a type that the loader does not know."""
    return Table(
        name=model._meta.db_table,
        database=router.db_for_write(model),
        columns=tuple(_column(field) for field in model._meta.concrete_fields),
        key=str(model._meta.pk.column),
        rules=rules,
        references=references,
    )


def _column(field: models.Field[Any, Any]) -> Column:
    for kind, column_type in _TYPES:
        if isinstance(field, kind):
            return Column(str(field.column), column_type, nullable=field.null)
    known = ", ".join(kind.__name__ for kind, _ in _TYPES)
    raise ConfigurationError(f"{field}: cannot load a {type(field).__name__}; known are {known}")


def tables() -> tuple[Table, ...]:
    """All of them, in the order in which they are listed."""
    return (
        table_of(User, rules=(not_empty("name"), contains("email", "@"))),
        table_of(Product, rules=(greater_than("price", 0),)),
        table_of(
            Order,
            rules=(greater_than("quantity", 0),),
            references=(Reference("user_id", "users"), Reference("product_id", "products")),
        ),
    )


def databases(declared: Iterable[Table]) -> dict[str, Path]:
    """By alias, the file of each database that the tables live in."""
    return {table.database: Path(connections[table.database].settings_dict["NAME"]) for table in declared}
