"""Functions that ASYNC_LOADER_TABLES may name, whose tables do not fit. Imported by name, once Django is set up."""

from __future__ import annotations

from async_loader import Reference, Table, greater_than
from async_loader.contrib.django.tables import table_of
from core.models import Order, User


def twice() -> tuple[Table, ...]:
    return table_of(User), table_of(User)


def undeclared() -> tuple[Table, ...]:
    return (table_of(Order, references=[Reference("user_id", "people")]),)


def unknown_column() -> tuple[Table, ...]:
    return (table_of(User, rules=[greater_than("age", 0)]),)


def elsewhere() -> tuple[Table, ...]:
    user = table_of(User)
    return (Table(user.name, "archive", user.columns),)
