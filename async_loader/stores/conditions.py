"""Conditions of constraints as a database writes them: taken apart, and which of them the loader asks as well. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from async_loader.columns import Column, Type
from async_loader.tables import Table

# A string, a quoted name, a comment, a word, or any other character that is not blank.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\w+|\S""", re.DOTALL)
_QUOTED = re.compile(r"""["`](.*)["`]|\[(.*)\]""", re.DOTALL)


def tokens(sql: str) -> list[str]:
    """Return the tokens of a statement, without its comments."""
    return [each for each in _TOKEN.findall(sql) if not each.startswith(("--", "/*"))]


def in_parentheses(several: Sequence[str]) -> list[str]:
    """Return the tokens between the first one, a parenthesis, and the one that closes it."""
    depth = 0
    for place, each in enumerate(several):
        depth += (each == "(") - (each == ")")
        if not depth:
            return list(several[1:place])
    return list(several[1:])


def after_where(sql: str) -> str:
    """Return the condition of a statement that makes an index: what stands after WHERE, outside of parentheses."""
    depth = 0
    for token in _TOKEN.finditer(sql):
        depth += (token[0] == "(") - (token[0] == ")")
        if not depth and token[0].upper() == "WHERE":
            return sql[token.end() :]
    return ""


def unquoted(name: str) -> str:
    """Return a name without its quotes."""
    quoted = _QUOTED.fullmatch(name)
    return name if quoted is None else quoted[1] or quoted[2] or ""


def _is_positive(column: Column, table: Table) -> bool:
    """Return whether a rule keeps a column of integers from being negative: -1 breaks it."""
    minus_one = pl.DataFrame({column.name: [-1]}, schema={column.name: pl.Int64})
    bounds = (rule.holds for rule in table.rules if rule.code == "at_least" and rule.columns == (column.name,))
    return any(not minus_one.select(holds).item() for holds in bounds)


def is_asked_by_loader(condition: Sequence[str], table: Table) -> bool:
    """Return whether every record that the loader accepts keeps a condition: those that Django adds to a column."""
    bare = list(condition)
    while bare[:1] == ["("] and len(in_parentheses(bare)) == len(bare) - 2:
        bare = bare[1:-1]
    text = "".join(map(unquoted, bare)).casefold()
    kept = {
        f"{column.name}>=0" for column in table.columns if column.type is Type.INTEGER and _is_positive(column, table)
    }
    kept |= {
        f"{prefix}json_valid({column.name}){suffix}"
        for column in table.columns
        if column.type is Type.JSON
        for prefix, suffix in (("", ""), ("(", f"or{column.name}isnull)"), ("", f"or{column.name}isnull"))
    }
    return text in {each.casefold() for each in kept}
