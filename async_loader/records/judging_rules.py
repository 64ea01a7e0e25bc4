"""Which records of a batch break which rules. Pure.

A rule that raises is at fault for the records on which it does, and for no other: each of them is rejected with a
reason that names the rule, the value and the error. They are found by halving, unless the rule looks at single values.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import polars as pl

from async_loader.errors import ConfigurationError, one_line
from async_loader.records.arrays import flags_at
from async_loader.records.batches import Batch
from async_loader.records.parsing import shown_values
from async_loader.records.reasons import RULE_FAILED, SHOWN, Check
from async_loader.rules import Rule
from async_loader.tables import Table

# Characters of what an error says that a message shows.
_ERROR_SHOWN = 200
# What Polars adds to an error, from here on, is about its query.
_QUERY_FOLLOWS = "\n\nResolved plan until failure"

# By place, what a rule said when it raised.
Errors = Mapping[int, str]


def broken_rules(table: Table, batch: Batch) -> Iterator[Check]:
    """Yield a check for each rule of the table, and one more for a rule that raised on some records.

    Raises ConfigurationError where a rule does not give an answer for each record.
    """
    together = _answers(batch.values, table.rules)
    for number, rule in enumerate(table.rules):
        errors: Errors = {}
        if together is None:
            failed, errors = _asked_apart(rule, batch.values)
        else:
            failed = together.to_series(number)
        if len(failed) != len(batch.values):
            problem = f"rule {rule.code} gives {len(failed)} answers for {len(batch.values)} records"
            raise ConfigurationError(f"table {table.name}: {problem}")
        yield _broken(rule, batch.values, failed)
        if errors:
            yield _raised(rule, batch.values, errors)


def _broken(rule: Rule, values: pl.DataFrame, failed: pl.Series) -> Check:
    if rule.explain is None:
        return Check(rule.code, rule.column, rule.message, failed, None, rule.columns)
    explained = partial(_explanations, rule, rule.explain, values[rule.columns[0]])
    return Check(rule.code, rule.column, SHOWN, failed, explained, rule.columns)


def _explanations(rule: Rule, explain: Callable[[Any], str], values: pl.Series, places: pl.Series) -> pl.Series:
    """Return what a rule says of the values at these places; its message where it cannot say."""

    def explanation(value: Any) -> str:
        try:
            return explain(value)
        except Exception:
            return rule.message

    return pl.Series(map(explanation, values.gather(places)), dtype=pl.String)


def _raised(rule: Rule, values: pl.DataFrame, errors: Errors) -> Check:
    places = pl.Series(list(errors), dtype=pl.Int64)
    failed = flags_at(len(values), places)

    def messages(chosen: pl.Series) -> pl.Series:
        said = [errors[place] for place in chosen]
        if rule.column is None:
            return pl.Series([f"rule {rule.code} failed: {error}" for error in said], dtype=pl.String)
        shown = shown_values(values[rule.column].gather(chosen))
        return pl.Series(
            [f"rule {rule.code} failed for {value}: {error}" for value, error in zip(shown, said, strict=True)],
            dtype=pl.String,
        )

    return Check(RULE_FAILED, rule.column, SHOWN, failed, messages, rule.columns)


def _answers(values: pl.DataFrame, rules: tuple[Rule, ...]) -> pl.DataFrame | None:
    """Return whether each record breaks each rule; None where one of them raised."""
    try:
        return values.select(_is_broken(rule).alias(str(number)) for number, rule in enumerate(rules))
    except (Exception, pl.exceptions.PanicException):
        return None


def _is_broken(rule: Rule) -> pl.Expr:
    return (~rule.holds).fill_null(value=False)


def _asked_apart(rule: Rule, values: pl.DataFrame) -> tuple[pl.Series, Errors]:
    """Return whether each record breaks one rule, false where it raised, and what it said there."""
    return _halved(rule, values) if rule.each is None else _one_by_one(rule.each, values[rule.columns[0]])


def _one_by_one(each: Callable[[Any], bool], values: pl.Series) -> tuple[pl.Series, Errors]:
    """Ask about each distinct value once."""
    broken: dict[Any, bool] = {None: False}
    problems: dict[Any, str] = {}
    for value in values.drop_nulls().unique():
        try:
            broken[value] = not each(value)
        except Exception as error:
            broken[value] = False
            problems[value] = f"{type(error).__name__}: {_shortened(error)}"
    failed = pl.Series([broken[value] for value in values], dtype=pl.Boolean)
    return failed, {place: problems[value] for place, value in enumerate(values) if value in problems}


def _halved(rule: Rule, values: pl.DataFrame) -> tuple[pl.Series, Errors]:
    """Ask about all records, and about each half of those about which asking raised, down to single ones."""
    answers, errors = [], {}
    waiting = [(0, len(values))]
    while waiting:
        start, size = waiting.pop()
        try:
            answers.append(values.slice(start, size).select(_is_broken(rule).alias("broken")).to_series())
        except (Exception, pl.exceptions.PanicException) as error:
            if size > 1:
                waiting += [(start + size // 2, size - size // 2), (start, size // 2)]
                continue
            answers.append(pl.Series([False]))
            errors[start] = _shortened(error)
    return pl.concat(answers), errors


def _shortened(error: BaseException) -> str:
    said, _, _ = str(error).partition(_QUERY_FOLLOWS)
    return textwrap.shorten(said, _ERROR_SHOWN, placeholder=" ...") or one_line(error)
