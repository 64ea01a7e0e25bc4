"""Rules hold where they say, and are not asked about null."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from async_loader import (
    Column,
    ConfigurationError,
    Reference,
    Rule,
    Table,
    Type,
    at_least,
    at_most,
    contains,
    each_value,
    greater_than,
    less_than,
    matches,
    max_length,
    not_blank,
    not_empty,
    one_of,
)

RULES: list[tuple[Rule, list[object], list[object]]] = [
    (not_empty("x"), ["a", " ", None], [""]),
    (not_blank("x"), ["a", " a\t", "\u200b", None], ["", " ", "\t\r\n", "\u00a0\u2003", "\u3000\u2028\u0085"]),
    (contains("x", "."), ["a.b", None], ["ab", ""]),
    (matches("x", "^a+$"), ["aa"], ["ab", ""]),
    (max_length("x", 2), ["é😀", ""], ["abc"]),
    (one_of("x", ["a", "b"]), ["a", None], ["c"]),
    (greater_than("x", 0), [1, None], [0, -1]),
    (at_least("x", 0), [0], [-1]),
    (less_than("x", 0.5), [0.25], [0.5]),
    (at_most("x", 0.5), [0.5], [0.75]),
    (each_value("x", "even", "x must be even", lambda x: isinstance(x, int) and x % 2 == 0), [2, None, 2], [1, 3]),
]


@pytest.mark.parametrize(("rule", "good", "bad"), RULES, ids=[rule.code for rule, _, _ in RULES])
def test_a_rule_separates_good_from_bad(rule: Rule, good: list[object], bad: list[object]) -> None:
    assert pl.DataFrame({"x": good}).clear().select(rule.holds).height == 0
    held = pl.DataFrame({"x": pl.Series(good + bad)}).select(rule.holds).to_series().fill_null(value=True)
    assert held.to_list() == [True] * len(good) + [False] * len(bad)
    assert rule.message.startswith("x must ")
    assert rule.column == "x"


def test_a_rule_of_two_columns_speaks_of_the_whole_record() -> None:
    assert Rule("order", ("a", "b"), "a must be below b", pl.col("a") < pl.col("b")).column is None


COLUMNS = (Column("id", Type.INTEGER), Column("x", Type.TEXT))
DECLARATIONS: dict[str, dict[str, Any]] = {
    "rule not_empty names the unknown column 'y'": {"rules": (not_empty("y"),)},
    "reference to t names the unknown column 'y'": {"references": (Reference("y", "t"),)},
    "key names the unknown column 'y'": {"key": "y"},
    "key id must not be json, not nullable, and without a default": {"columns": (Column("id", Type.JSON),)},
    "rule greater_than: ": {"rules": (greater_than("x", 5),)},
    "rule matches: .*regex": {"rules": (matches("x", "("),)},
    "rule odd gives String, not a boolean": {"rules": (Rule("odd", ("x",), "x", pl.col("x")),)},
    "rule odd gives one answer for all records": {"rules": (Rule("odd", ("x",), "x", pl.lit(value=True)),)},
    r"column '\^x\$' reads like a pattern": {"columns": (Column("id", Type.INTEGER), Column("^x$", Type.TEXT))},
    "a column is declared twice": {"columns": (*COLUMNS, *COLUMNS)},
}


@pytest.mark.parametrize("problem", DECLARATIONS)
def test_a_table_checks_its_own_parts(problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"table t: {problem}"):
        Table(**({"name": "t", "database": "d", "columns": COLUMNS} | DECLARATIONS[problem]))
