"""The sample's three tables, declared without Django, and small ways to load them and look at what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import async_loader
from async_loader import (
    Column,
    Options,
    Reference,
    Report,
    Run,
    Table,
    Type,
    contains,
    greater_than,
    not_empty,
)
from tests.stores import Databases, Files

USERS = Table(
    "users",
    "users",
    (Column("id", Type.INTEGER), Column("name", Type.TEXT), Column("email", Type.TEXT)),
    rules=(not_empty("name"), contains("email", "@")),
)
PRODUCTS = Table(
    "products",
    "products",
    (Column("id", Type.INTEGER), Column("name", Type.TEXT), Column("price", Type.REAL)),
    rules=(greater_than("price", 0),),
)
ORDERS = Table(
    "orders",
    "orders",
    tuple(Column(name, Type.INTEGER) for name in ("id", "user_id", "product_id", "quantity")),
    rules=(greater_than("quantity", 0),),
    references=(Reference("user_id", "users"), Reference("product_id", "products")),
)
TABLES = (USERS, PRODUCTS, ORDERS)
MODES = tuple(name for name in async_loader.MODES if name != async_loader.DASK)
FILES = Files()


class Place:
    """A directory with fresh databases and whatever sources a test writes there."""

    def __init__(self, directory: Path, tables: Sequence[Table] = TABLES, store: Databases = FILES) -> None:
        self.directory = directory
        self.tables = tables
        self.store = store
        self.databases = {name: store.new(directory, name) for name in {table.database: None for table in tables}}
        store.create(tables, self.databases)

    def kind(self, database: str) -> str:
        """Return which store one of its databases is in."""
        return "sqlite" if isinstance(self.databases[database], Path) else "postgresql"

    @property
    def files(self) -> Mapping[str, Path]:
        """Where its databases are, if they are files."""
        return {name: Path(where) for name, where in self.databases.items()}

    def file(self, name: str, content: bytes | str) -> str:
        """Write a source; its path."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def load(self, mode: str, sources: Mapping[str, Any], **options: Any) -> Report:
        """Load sources by table name, one or several each."""
        return Run(self.tables, sources, self.databases, Options(**options), mode=mode).perform()

    def query(self, database: str, sql: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader."""
        return self.store.query(self.databases[database], sql, parameters)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return all rows of a table, by key."""
        return self.query(self._home(table).database, f'SELECT * FROM "{table}" ORDER BY 1')

    def stored_rejects(self, table: str) -> list[tuple[int, int, Any, list[str]]]:
        """Return line, line_end, record and `column.code` names of every reject that the table's database holds."""
        rows = self.query(
            self._home(table).database, "SELECT line, line_end, record, reasons FROM loader_rejects ORDER BY id"
        )
        # JSON from outside may hold numbers of more digits than Python reads.
        return [
            (line, end, json.loads(record, parse_int=str), names(json.loads(reasons)))
            for line, end, record, reasons in rows
        ]

    def _home(self, table: str) -> Table:
        return next(each for each in self.tables if each.name == table)


def names(reasons: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return reasons as counts name them: `column.code`, or `code` if the whole record is at fault."""
    return [f"{reason['column']}.{reason['code']}" if reason["column"] else reason["code"] for reason in reasons]


def reject_names(report: Report, table: str) -> list[tuple[int, int, list[str]]]:
    """Return line, line_end and reasons of each reject that a report names."""
    return [
        (reject.line, reject.line_end, [f"{r.column}.{r.code}" if r.column else r.code for r in reject.reasons])
        for reject in report.tables[table].rejects
    ]


def comparable(report: Report) -> dict[str, Any]:
    """Return a report without what differs from run to run."""
    facts = report.as_dict()
    del facts["run"], facts["mode"], facts["seconds"]
    for table in facts["tables"].values():
        del table["seconds"]
    return facts
