"""The tables that `insert_data` loads: those of the models, with rules and references that a model does not state.

To load tables of your own, edit this file.
"""

from __future__ import annotations

from async_loader import Reference, Table, contains, greater_than, not_blank
from async_loader.contrib.django.tables import table_of
from core.models import Order, Product, User


def tables() -> tuple[Table, ...]:
    """Return all tables, in the order in which reports list them."""
    return (
        table_of(User, rules=[not_blank("name"), contains("email", "@")]),
        table_of(Product, rules=[greater_than("price", 0)]),
        table_of(
            Order,
            rules=[greater_than("quantity", 0)],
            references=[Reference("user_id", "users"), Reference("product_id", "products")],
        ),
    )
