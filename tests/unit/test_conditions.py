"""Constraints of a database that the loader asks itself, so that a dry run need not name them."""

from __future__ import annotations

import pytest

from async_loader import Column, Rule, Table, Type, at_least
from async_loader.stores.conditions import is_asked_by_loader, tokens


@pytest.mark.parametrize(
    ("rules", "is_asked"),
    [
        ((), False),
        ((at_least("points", 0),), True),
        ((at_least("points", 5),), True),
        # The bound of the type, which Django gives to every integer in PostgreSQL.
        ((at_least("points", -2_147_483_648),), False),
        ((at_least("id", 0),), False),
    ],
)
def test_a_check_against_negative_numbers_is_asked_where_a_rule_refuses_them(
    rules: tuple[Rule, ...], *, is_asked: bool
) -> None:
    table = Table("members", "here", (Column("id", Type.INTEGER), Column("points", Type.INTEGER)), rules=rules)
    assert is_asked_by_loader(tokens('(("points" >= 0))'), table) is is_asked
