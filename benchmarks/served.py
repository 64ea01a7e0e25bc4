"""Databases on a PostgreSQL server. Other databases on it are not touched: those that the benchmark makes have names of
their own, and are dropped in the end. This module is imported only if there is a server, because it needs psycopg.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.data import TABLES
from benchmarks.databases import VARIABLES, Databases
from benchmarks.errors import BenchmarkError
from benchmarks.server import Server


class Served:
    """PostgreSQL. `urls`: by table, a database over which others can be made. `own`: the server, if it is our own."""

    def __init__(self, place: Path, urls: Mapping[str, str], own: Server | None) -> None:
        self._place = place
        self._urls = urls
        self._own = own
        # Table and name of each database that exists.
        self._made: set[tuple[str, str]] = set()

    def start(self, name: str) -> tuple[Mapping[str, Path | str], bool]:
        """Return the URLs of a start's databases, and whether they have just been made."""
        names = {table: self._name("start " + name, table) for table in TABLES}
        is_new = not names.items() <= self._made
        for table, database in names.items() if is_new else ():
            self._make(table, database, "template0")
        return {table: self._url(table, database) for table, database in names.items()}, is_new

    def settle(self, name: str) -> None:
        """Clean up a start's databases by VACUUM, because the server might otherwise do so during a run."""
        for table in TABLES:
            self._execute(self._url(table, self._name("start " + name, table)), sql.SQL("VACUUM (ANALYZE)"))

    def fresh(self, contender: str, start: str) -> Databases:
        """Copy the databases of a start, and have the server and the system write all that earlier runs have left."""
        self.remove(contender)
        directory = self._place / "runs" / contender
        directory.mkdir(parents=True)
        names = {table: self._name(contender, table) for table in TABLES}
        for table, database in names.items():
            self._make(table, database, self._name("start " + start, table))
        urls = {table: self._url(table, database) for table, database in names.items()}
        if self._own:
            self._execute(self._urls[TABLES[0]], sql.SQL("CHECKPOINT"))
        os.sync()
        environment = os.environ | {VARIABLES[table]: url for table, url in urls.items()}
        # Temporary files that a run leaves are removed with its directory.
        return Databases(directory, {**urls}, environment | {"TMPDIR": str(directory)})

    def remove(self, contender: str) -> None:
        """Drop the databases of a contender's run, and remove its files."""
        for table in TABLES:
            self._drop(table, self._name(contender, table))
        shutil.rmtree(self._place / "runs" / contender, ignore_errors=True)

    def remove_all(self) -> None:
        """Drop all databases that the benchmark has made."""
        for table, database in list(self._made):
            with suppress(BenchmarkError):
                self._drop(table, database)

    def cpu_seconds(self) -> float | None:
        """Return the CPU seconds of the benchmark's own server so far; None for another server."""
        return self._own.cpu_seconds() if self._own else None

    def version(self) -> Mapping[str, str]:
        """Return the versions of the server and of psycopg. Raises BenchmarkError if the server does not answer."""
        try:
            with psycopg.connect(self._urls[TABLES[0]]) as connection:
                number = connection.info.server_version
        except psycopg.Error as error:
            raise BenchmarkError(_line(error)) from error
        return {"postgresql": f"{number // 10000}.{number % 10000}", "psycopg": psycopg.__version__}

    def _name(self, owner: str, table: str) -> str:
        return f"loader_benchmark_{os.getpid()}_{owner}_{table}".replace(" ", "_").replace("-", "_")

    def _url(self, table: str, database: str) -> str:
        return urlsplit(self._urls[table])._replace(path=f"/{database}").geturl()

    def _make(self, table: str, database: str, template: str) -> None:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
        self._execute(self._urls[table], create.format(sql.Identifier(database), sql.Identifier(template)))
        self._made.add((table, database))

    def _drop(self, table: str, database: str) -> None:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
        self._execute(self._urls[table], drop)
        self._made.discard((table, database))

    def _execute(self, url: str, statement: sql.SQL | sql.Composed) -> None:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise BenchmarkError(_line(error)) from error


def _line(error: psycopg.Error) -> str:
    """Return what the server said, as one line."""
    return "PostgreSQL: " + " ".join(str(error).split())
