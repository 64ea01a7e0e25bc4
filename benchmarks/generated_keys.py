"""Tables as the cases `match` and `lookup` load them: the sample's, with keys that the database generates, and with a
column in each whose values are unique, by which records find their rows.
"""

from __future__ import annotations

from async_loader import Column, Reference, Rule, Table, Type, contains, greater_than, not_blank

# The module of settings of a project that has these tables.
SETTINGS = "benchmarks.generated_keys_settings"
# By table, the column whose values are unique.
NAMES = {"users": "email", "products": "name", "orders": "number"}


def tables() -> tuple[Table, ...]:
    """Return the tables, in the order in which reports list them."""
    return (
        _table(
            *("users", Column("name", Type.TEXT), Column("email", Type.TEXT, unique=True)),
            rules=(not_blank("name"), contains("email", "@")),
        ),
        _table(
            *("products", Column("name", Type.TEXT, unique=True), Column("price", Type.REAL)),
            rules=(greater_than("price", 0),),
        ),
        _table(
            *("orders", Column("number", Type.TEXT, unique=True)),
            *(Column(name, Type.INTEGER) for name in ("user_id", "product_id", "quantity")),
            rules=(greater_than("quantity", 0),),
            references=(
                Reference("user_id", "users", name="user"),
                Reference("product_id", "products", name="product"),
            ),
        ),
    )


def _table(name: str, *columns: Column, rules: tuple[Rule, ...], references: tuple[Reference, ...] = ()) -> Table:
    key = Column("id", Type.INTEGER, generated=True)
    return Table(name, name, (key, *columns), rules=rules, references=references)
