"""Rules: pure checks of one record, stated over columns.

A rule is a Polars expression that is true where the record holds. It is never asked about a value that is null or could
not be read (that has a reason of its own), and it knows nothing of other records, databases or time. Where it raises on
a record, that record is rejected with code `rule_failed`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """`holds` is an expression over `columns`, one boolean a record; null counts as held.

    `code` and `message` make the reason of a record that breaks it; `explain`, where there is one, makes the message
    from the value of the rule's first column. A rule of one column is about that column; a rule of several is about
    the whole record. `each` is the function of one value that `holds` calls, where it does nothing else.
    """

    code: str
    columns: tuple[str, ...]
    message: str
    holds: pl.Expr
    explain: Callable[[Any], str] | None = None
    each: Callable[[Any], bool] | None = None

    @property
    def column(self) -> str | None:
        """The column that its reason names; None for a rule of several."""
        return self.columns[0] if len(self.columns) == 1 else None


def not_empty(column: str) -> Rule:
    """Require text of at least one character."""
    return Rule("not_empty", (column,), f"{column} must not be empty", pl.col(column) != "")


def not_blank(column: str) -> Rule:
    """Require text with a character that is no white space, of which Unicode has more than blanks and tabs.

    The separators U+001C to U+001F count as white space, as they do for Python.
    """
    return Rule(
        "not_blank",
        (column,),
        f"{column} must not be blank",
        pl.col(column).str.contains(r"[^\s\x1c-\x1f]"),
        explain=lambda text: f"{column} must not be {'blank' if text else 'empty'}",
    )


def contains(column: str, text: str) -> Rule:
    """Require text with `text` somewhere in it."""
    holds = pl.col(column).str.contains(text, literal=True)
    return Rule("contains", (column,), f"{column} must contain {text!r}", holds)


def matches(column: str, pattern: str) -> Rule:
    """Require text in which the regular expression `pattern` (Rust's regex syntax) is found."""
    return Rule("matches", (column,), f"{column} must match {pattern}", pl.col(column).str.contains(pattern))


def max_length(column: str, characters: int) -> Rule:
    """Require text of at most that many characters."""
    message = f"{column} must have at most {characters} characters"
    return Rule("max_length", (column,), message, pl.col(column).str.len_chars() <= characters)


def min_length(column: str, characters: int) -> Rule:
    """Require text of at least that many characters."""
    message = f"{column} must have at least {characters} characters"
    return Rule("min_length", (column,), message, pl.col(column).str.len_chars() >= characters)


def one_of(column: str, choices: Collection[Any]) -> Rule:
    """Require one of the values given."""
    allowed = list(choices)
    message = f"{column} must be one of {', '.join(map(repr, allowed))}"
    return Rule("one_of", (column,), message, pl.col(column).is_in(allowed))


def greater_than(column: str, bound: Any) -> Rule:
    """Require a number, date or time above `bound`."""
    return Rule("greater_than", (column,), f"{column} must be greater than {bound}", pl.col(column) > bound)


def at_least(column: str, bound: Any) -> Rule:
    """Require a number, date or time not below `bound`."""
    return Rule("at_least", (column,), f"{column} must be at least {bound}", pl.col(column) >= bound)


def less_than(column: str, bound: Any) -> Rule:
    """Require a number, date or time below `bound`."""
    return Rule("less_than", (column,), f"{column} must be less than {bound}", pl.col(column) < bound)


def at_most(column: str, bound: Any) -> Rule:
    """Require a number, date or time not above `bound`."""
    return Rule("at_most", (column,), f"{column} must be at most {bound}", pl.col(column) <= bound)


def each_value(
    column: str, code: str, message: str, holds: Callable[[Any], bool], explain: Callable[[Any], str] | None = None
) -> Rule:
    """Require values for which a plain Python function gives true.

    It is called once per distinct value of a batch, and never for null; slower than the rules above, for what they
    cannot say. `explain` makes the message from a value that is not good.
    """

    def over_column(values: pl.Series) -> pl.Series:
        if values.is_empty():
            return pl.Series([], dtype=pl.Boolean)
        distinct = values.unique()
        verdicts = [None if value is None else bool(holds(value)) for value in distinct]
        return values.replace_strict(distinct, pl.Series(verdicts, dtype=pl.Boolean), return_dtype=pl.Boolean)

    return Rule(
        code, (column,), message, pl.col(column).map_batches(over_column, return_dtype=pl.Boolean), explain, holds
    )
