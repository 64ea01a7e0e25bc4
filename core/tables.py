"""What `insert_data` loads: the models' tables, with the rules and references that a model does not state.

This is the file to edit for tables of your own.
"""

from __future__ import annotations

from async_loader import Reference, Table, contains, greater_than
from async_loader.contrib.django.tables import table_of
from core.models import Order, Product, User


def tables() -> tuple[Table, ...]:
    """All of them, in the order in which they are listed."""
    return (
        table_of(User, rules=[contains("email", "@")]),
        table_of(Product, rules=[greater_than("price", 0)]),
        table_of(
            Order,
            rules=[greater_than("quantity", 0)],
            references=[Reference("user_id", "users"), Reference("product_id", "products")],
        ),
    )
