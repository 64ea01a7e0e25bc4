"""The stores that tests load into. Each gives new databases, and asks them apart from the loader.

Databases of PostgreSQL are schemas of one database: made in a tenth of the time, and their sessions know no others.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg
from hypothesis import settings
from psycopg import sql

from async_loader import Table, init
from async_loader.effects import Change, Effect
from async_loader.modes.sequential import Sequential
from async_loader.run.run import initialise
from async_loader.stores import stores_of
from tests.postgres import Server

# What tests are run over, where they say nothing else.
STORES = ("sqlite", "postgresql")
# And where there is time for it: another version, and databases of both kinds that reference each other.
MIXED = ("users in postgresql", "users in sqlite")
LONG_STORES = ("postgresql 18", *MIXED)


def examples(many: int, store: Databases) -> settings:
    """Return settings with the number of examples of a property: fewer if each takes longer."""
    return settings(max_examples=many if store.name == "sqlite" else max(2, many // 5))


class Databases(Protocol):
    """New databases of one kind, or of several."""

    name: str

    def new(self, directory: Path, name: str) -> Path | str:
        """Make a new database, with a file in this directory or none. Return what the loader takes for a database."""

    def create(self, tables: Sequence[Table], databases: Mapping[str, Any]) -> None:
        """Create tables and the loader's own, all empty, in databases that were made."""

    def query(self, where: Any, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute SQL, in which `?` stands for values, and return its rows."""

    def tidy(self) -> None:
        """Remove all databases that were made: they are used no longer."""


class Files:
    """Files of SQLite, in directories of the tests."""

    name = "sqlite"

    def new(self, directory: Path, name: str) -> Path:
        """Return the path of a file. An existing file is kept: tests that make its tables anew empty them."""
        return directory / f"{name}.db"

    def create(self, tables: Sequence[Table], databases: Mapping[str, Path]) -> None:
        """Create tables and the loader's own, and empty those that are there."""
        init(tables, databases, fresh=True)

    def query(self, where: Path, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute SQL in a file, and return its rows."""
        with closing(sqlite3.connect(where)) as connection:
            rows = connection.execute(statement, tuple(parameters)).fetchall()
            connection.commit()
        return rows

    def tidy(self) -> None:
        """Do nothing: pytest removes the directories of tests."""


class Schemas:
    """PostgreSQL: schemas of a database of that name."""

    name = "postgresql"

    def __init__(self, server: Server, database: str = "tests") -> None:
        self.server = server
        self._url = server.url(database)
        self._numbers = itertools.count()
        self._schemas: dict[str, str] = {}
        self._created: dict[str, Mapping[str, Sequence[str]]] = {}
        server.query("postgres", f"CREATE DATABASE {database}")
        self.open()

    def open(self) -> None:
        """Take note that there is a server."""
        # What a failed test left locked is not waited for without end.
        self._connection = psycopg.connect(self._url, autocommit=True, options="-clock_timeout=20s")

    def new(self, directory: Path, name: str) -> str:  # noqa: ARG002
        """Make a new schema, and return a URL that leads to it."""
        schema = f"{name} {next(self._numbers)}"
        self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        path = sql.Identifier(schema).as_string().replace(" ", "\\ ")
        url = f"{self._url}&options={quote(f'-csearch_path={path}')}"
        self._schemas[url] = schema
        return url

    def create(self, tables: Sequence[Table], databases: Mapping[str, str]) -> None:
        """Create tables and the loader's own as `init` does: of the same tables again by the same statements, without
        the questions before and after them, which take ten times as long.
        """
        declared = [(each.name, each.database, each.columns, each.key, each.unique_together) for each in tables]
        if repr(declared) not in self._created:
            recorder = _Recorder()
            recorder.run(initialise(tables, stores_of(databases), fresh=False))
            self._created[repr(declared)] = recorder.statements
            return
        for name, where in databases.items():
            path = sql.SQL("SET search_path TO {};").format(sql.Identifier(self._schemas[where]))
            self._connection.execute(path.as_string() + ";".join(self._created[repr(declared)][name]))

    def query(self, where: str, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute SQL in a schema, and return its rows."""
        path = sql.Identifier(self._schemas[where])
        self._connection.execute(sql.SQL("SET search_path TO {}").format(path))
        values = tuple(parameters)
        cursor = self._connection.execute(statement.replace("?", "%s") if values else statement, values or None)
        return cursor.fetchall() if cursor.description else []

    def tidy(self) -> None:
        """Drop all schemas that were made."""
        for schema in self._schemas.values():
            self._connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        self._schemas.clear()

    def close(self) -> None:
        """Close the connections: no more databases are needed, or the server stops for a while."""
        self._connection.close()


class _Recorder(Sequential):
    """Performs effects, and keeps by database the statements that create something."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.statements: dict[str, list[str]] = defaultdict(list)

    def perform(self, effect: Effect) -> Any:
        """Perform one effect. Returns its result."""
        if isinstance(effect, Change) and effect.sql not in ("BEGIN", "COMMIT"):
            self.statements[effect.database].append(effect.sql)
        return super().perform(effect)


class Mixed:
    """Some databases in PostgreSQL, by their names, and all others in SQLite."""

    def __init__(self, name: str, schemas: Schemas, in_schemas: Iterable[str]) -> None:
        self.name = name
        self._files, self._schemas, self._in_schemas = Files(), schemas, frozenset(in_schemas)

    def new(self, directory: Path, name: str) -> Path | str:
        """Make a new schema or return the path of a file, by the name."""
        return (self._schemas if name in self._in_schemas else self._files).new(directory, name)

    def create(self, tables: Sequence[Table], databases: Mapping[str, Path | str]) -> None:
        """Create tables and the loader's own, and empty those that are there."""
        init(tables, databases, fresh=True)

    def query(self, where: Path | str, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute SQL in a file or a schema, and return its rows."""
        if isinstance(where, Path):
            return self._files.query(where, statement, parameters)
        return self._schemas.query(where, statement, parameters)

    def tidy(self) -> None:
        """Drop all schemas that were made."""
        self._schemas.tidy()
