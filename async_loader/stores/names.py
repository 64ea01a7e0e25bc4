"""Names in SQL: every identifier is quoted here, and the name of a table is read as Django reads it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from async_loader.inheritance import parts_of

if TYPE_CHECKING:
    from async_loader.tables import Table

# Stands between the schema and the table in a name such as `"app"."thing"` or `app"."thing`.
_DIVIDER = '"."'


def quoted(name: str) -> str:
    """Return an identifier, safe in SQL."""
    return '"' + name.replace('"', '""') + '"'


def schema_and_table(name: str) -> tuple[str, str]:
    """Return the schema that the name of a table has, empty where it has none, and the table's name without it. A
    project may quote a name itself, as it may in Django's `db_table`.
    """
    parts = name.split(_DIVIDER)
    if len(parts) == 2:  # noqa: PLR2004 - a schema and a table
        return parts[0].removeprefix('"'), parts[1].removesuffix('"')
    return "", name[1:-1] if _is_quoted(name) else name


def bare_name(name: str) -> str:
    """Return the name of a table without its schema and quotes."""
    return schema_and_table(name)[1]


def table_sql(name: str) -> str:
    """Return the name of a table, safe in SQL, in the schema that it names."""
    schema, table = schema_and_table(name)
    return f"{quoted(schema)}.{quoted(table)}" if schema else quoted(table)


def joined_parts(table: Table, named: Callable[[str], str]) -> str:
    """Return, in SQL, the rows of a table with parents, under the names of its columns. named: makes a name safe."""
    parts = parts_of(table)
    places = [(quoted(column), number) for number, part in enumerate(parts) for column in part.column_names]
    keys = {(quoted(part.key), number) for number, part in enumerate(parts)}
    own = len(parts) - 1
    columns = [f"part{own}.{quoted(parts[own].key)} AS {quoted(table.key)}"]
    columns += [f"part{number}.{name} AS {name}" for name, number in places if (name, number) not in keys]
    joined = f"{named(parts[own].name)} AS part{own}"
    for number, part in enumerate(parts[:own]):
        same = f"part{number}.{quoted(part.key)} = part{own}.{quoted(parts[own].key)}"
        joined += f" JOIN {named(part.name)} AS part{number} ON {same}"
    return f"(SELECT {', '.join(columns)} FROM {joined})"


def _is_quoted(name: str) -> bool:
    return len(name) > 2 and name[0] == name[-1] == '"' and '"' not in name[1:-1]  # noqa: PLR2004 - the quotes
