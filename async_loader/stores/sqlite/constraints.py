"""The constraints and triggers of a table of SQLite that only the database asks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from async_loader.effects import Query, Refusal, Steps
from async_loader.stores.conditions import after_where, in_parentheses, is_asked_by_loader, tokens, unquoted
from async_loader.stores.names import bare_name
from async_loader.tables import Table

_SQL = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND type IN ('table', 'trigger')"
_UNIQUE = """\
SELECT indexes.name, indexes.partial OR max(columns.name IS NULL OR columns.coll <> 'BINARY'),
json_group_array(columns.name)
FROM pragma_index_list(?) AS indexes, pragma_index_xinfo(indexes.name) AS columns
WHERE indexes."unique" AND columns.key GROUP BY indexes.name ORDER BY indexes.name"""
_PARTIAL = """\
SELECT indexes.name, sql FROM pragma_index_list(?) AS indexes
JOIN sqlite_master ON sqlite_master.type = 'index' AND sqlite_master.name = indexes.name
WHERE indexes."unique" AND indexes.partial"""

# SQLite names a constraint in no other way than in its message: by name, or a unique index of columns by these.
_NAMED = re.compile(r"(?:UNIQUE constraint failed: index '(.*)'|CHECK constraint failed: (.*))")
_COLUMNS = re.compile("UNIQUE constraint failed: (.*)")


def refusal(said: str) -> Refusal:
    """Return why a row was refused, from what SQLite said of it."""
    if named := _NAMED.fullmatch(said):
        return Refusal(said, named[1] or named[2])
    if columns := _COLUMNS.fullmatch(said):
        return Refusal(said, columns=frozenset(each.rpartition(".")[2] for each in columns[1].split(", ")))
    return Refusal(said)


def conditions(database: str, table: Table) -> Steps[dict[str, str]]:
    """Do what `Store.conditions` says."""
    rows: list[tuple[str, str]] = yield Query(database, _PARTIAL, (bare_name(table.name),))
    return {name: after_where(sql) for name, sql in rows}


def unasked(database: str, table: Table) -> Steps[list[str]]:
    """Return in words the constraints and triggers that a dry run cannot ask."""
    unique: list[tuple[str, int, str]] = yield Query(database, _UNIQUE, (bare_name(table.name),))
    found = []
    for name, is_special, columns in unique:
        names = tuple(json.loads(columns))
        if name in table.partial_indexes:
            continue
        if is_special or frozenset(names) not in table.unique_columns:
            shown = f"({', '.join(names)})" if name.startswith("sqlite_autoindex_") else name
            found.append(f"unique constraint {shown}")
    statements: list[tuple[str, str, str]] = yield Query(database, _SQL, (bare_name(table.name),))
    for kind, name, sql in statements:
        if kind == "table":
            found += [f"check constraint {check}" for check in sorted(_checks(sql, table))]
        elif _fires(sql):
            found.append(f"trigger {name}")
    return found


def _checks(sql: str, table: Table) -> Iterator[str]:
    """Yield the name, or else the condition, of each CHECK of a table that no rule of the loader asks as well."""
    words = tokens(sql)
    for place, word in enumerate(words):
        if word.upper() == "CHECK" and words[place + 1 : place + 2] == ["("]:
            condition = in_parentheses(words[place + 1 :])
            before, name = words[:place][-2:] or ("", "")
            shown = unquoted(name) if before.upper() == "CONSTRAINT" else " ".join(condition)
            if shown not in table.constraints_in_rules and not is_asked_by_loader(condition, table):
                yield shown


def _fires(sql: str) -> bool:
    """Return whether a trigger fires when a row is inserted or updated."""
    words = [token.upper() for token in tokens(sql)]
    return not {"INSERT", "UPDATE"}.isdisjoint(words[: words.index("ON")])
