"""SQL that creates tables, as far as it is the same for all stores. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from async_loader.columns import Column, Type
from async_loader.stores.names import quoted, table_sql
from async_loader.tables import Table


def create_sql(table: str, columns: Mapping[str, str], constraints: Iterable[str] = ()) -> str:
    """Return the statement that creates a table of columns, each with its declaration in SQL, and of constraints."""
    lines = [f"    {quoted(name)} {declaration}" for name, declaration in columns.items()]
    lines += [f"    {constraint}" for constraint in constraints]
    body = ",\n".join(lines)
    return f"CREATE TABLE IF NOT EXISTS {table_sql(table)} (\n{body}\n)"


def constraints_of(table: Table) -> list[str]:
    """Return, in SQL, that no two rows have the same values in several columns together."""
    several = [each.columns for each in table.unique_sets if len(each.columns) > 1]
    return [f"UNIQUE ({', '.join(map(quoted, columns))})" for columns in several]


def columns_of(table: Table, sql_type: Callable[[Column], str], counted: str) -> dict[str, str]:
    """Return the table's columns, each with its declaration in SQL; `sql_type` gives the type in a store's SQL."""
    columns = {}
    for column in table.columns:
        null = "" if column.nullable else " NOT NULL"
        key = " PRIMARY KEY" if column.name == table.key else ""
        if column.generated and column.is_required and column.type is Type.INTEGER:
            key += counted
        unique = " UNIQUE" if column in table.unique else ""
        columns[column.name] = f"{sql_type(column)}{null}{key}{unique}"
    return columns
