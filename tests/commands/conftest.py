"""The commands as a user runs them: real processes in a directory of their own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.commands.project import Oracle, Shop

ROOT = Path(__file__).resolve().parents[2]


class Project:
    """This project with its databases in a directory of the test's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = os.environ | {"DATABASE_DIR": str(directory), "PYTHONWARNINGS": "error"}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `manage.py` with its output to be read."""
        command = [sys.executable, "manage.py", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(command, cwd=ROOT, text=True, **{"env": self.environment} | pipes | options)

    def manage(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` to its end, with `given` as stdin."""
        with self.start(*arguments, stdin=subprocess.PIPE) as process:
            out, error = process.communicate(given or "", timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)

    def file(self, name: str, content: str) -> str:
        """Write a source; its path."""
        path = self.directory / name
        path.write_text(content)
        return str(path)

    def query(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader."""
        with closing(sqlite3.connect(self.directory / f"{database}.db")) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The project with fresh databases."""
    project = Project(tmp_path)
    assert project.manage("init_db").returncode == 0
    return project


@pytest.fixture(scope="session")
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Somebody's project with its databases just made, which stay empty."""
    shop = Shop(tmp_path_factory.mktemp("new"))
    shop.create()
    return shop


@pytest.fixture
def shop(new_shop: Shop, tmp_path: Path) -> Shop:
    """That project with databases of the test's own."""
    return new_shop.copy_to(tmp_path)


@pytest.fixture(scope="module")
def oracle(new_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """A process of that project, with databases of the module's own."""
    with Oracle(new_shop.copy_to(tmp_path_factory.mktemp("shop"))) as oracle:
        yield oracle
