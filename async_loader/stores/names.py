"""Names in SQL: every identifier is quoted here, and the name of a table is read as Django reads it. Pure."""

from __future__ import annotations

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


def _is_quoted(name: str) -> bool:
    return len(name) > 2 and name[0] == name[-1] == '"' and '"' not in name[1:-1]  # noqa: PLR2004 - the quotes
