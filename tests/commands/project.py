"""A user's project (`tests/project`) with the package installed: its processes, and what Django says there."""

from __future__ import annotations

import json
import os
import select
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests import processes
from tests.postgres import Server

PROJECT = Path(__file__).resolve().parents[1] / "project"
ALIASES = ("default", "archive")


class Shop:
    """The project with databases of its own in a directory."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(PROJECT),
            "PYTHONWARNINGS": "error",
            "PROJECT_DATA": str(directory),
            **environment,
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command with its output to be read."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        given: dict[str, Any] = {"cwd": self.directory, "env": self.environment} | pipes | options
        return processes.start(arguments, **given)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the project to its end."""
        return processes.run(["-m", "django", *arguments], cwd=self.directory, env=self.environment)

    def load(self, *arguments: str) -> dict[str, Any]:
        """Return the report of a load that must succeed."""
        done = self.manage("insert_data", *arguments, "--format=json")
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def create(self) -> None:
        """Make the databases, as a project does."""
        migrations = [["migrate", "--run-syncdb", f"--database={alias}", "-v0"] for alias in ALIASES]
        for command in [*migrations, ["init_db", "legacy"]]:
            done = self.manage(*command)
            assert done.returncode == 0, done.stderr

    def copy_to(self, directory: Path) -> Shop:
        """Copy the databases to another directory."""
        for alias in ALIASES:
            shutil.copy(self.directory / f"{alias}.db", directory)
        return Shop(directory)

    def file(self, name: str, content: str | bytes) -> str:
        """Write a source; its path."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def query(self, sql: str, database: str = "default") -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader and from Django."""
        with closing(sqlite3.connect(self.directory / f"{database}.db")) as connection:
            rows = connection.execute(sql).fetchall()
            connection.commit()
        return rows


class ServedShop(Shop):
    """The project with databases of its own on a server, whose names begin alike."""

    def __init__(self, directory: Path, server: Server, **environment: str) -> None:
        self.server = server
        self.name = f"shop_{uuid.uuid4().hex[:8]}"
        urls = {f"PROJECT_{alias.upper()}_URL": server.url(f"{self.name}_{alias}") for alias in ALIASES}
        super().__init__(directory, **urls, **environment)

    def create(self) -> None:
        """Make the databases on the server, then as any project does."""
        for alias in ALIASES:
            self.server.query("postgres", f"CREATE DATABASE {self.name}_{alias}")
        super().create()

    def copy_to(self, directory: Path) -> ServedShop:
        """Copy the databases under other names."""
        copied = ServedShop(directory, self.server)
        for alias in ALIASES:
            self.server.query("postgres", f"CREATE DATABASE {copied.name}_{alias} TEMPLATE {self.name}_{alias}")
        return copied

    def query(self, sql: str, database: str = "default") -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader and from Django."""
        return self.server.query(f"{self.name}_{database}", sql)


class Oracle:
    """Django in a process of the project's own, which answers questions (`tests/project/oracle.py`)."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._process = shop.start(str(PROJECT / "oracle.py"), stdin=subprocess.PIPE, stderr=None)

    def ask(self, question: str, *arguments: Any) -> Any:
        """Return the answer to a question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([question, *arguments]) + "\n")
        self._process.stdin.flush()
        # One line at a time is asked for, so none is held back in the stream's buffer.
        assert select.select([self._process.stdout], [], [], processes.PATIENCE)[0], f"no answer to {question}"
        answer = self._process.stdout.readline()
        assert answer, f"the oracle died of {question}"
        return json.loads(answer)

    def manage(self, *arguments: str) -> dict[str, Any]:
        """Run a command, and return its report."""
        report: dict[str, Any] = self.ask("manage", arguments)
        return report

    def add(self, label: str, records: Sequence[dict[str, Any]]) -> None:
        """Save records as rows by the ORM."""
        self.ask("add", label, records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
