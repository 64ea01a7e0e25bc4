"""The commands as a user runs them: real processes in a directory of their own."""

from __future__ import annotations

import gc
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.management import execute_from_command_line
from django.db import connections

from tests import processes
from tests.commands.databases import ALIASES, Databases, in_file, on_server
from tests.commands.project import Oracle, ServedShop, Shop
from tests.postgres import Server, binaries
from tests.postgres import server as postgres_server

ROOT = Path(__file__).resolve().parents[2]

# What is to hold whether the databases are files or those of a server.
EVERY_STORE = pytest.mark.parametrize("oracle", ["new_shop", "new_served_shop"], indirect=True, scope="module")

# Becomes `manage.py` with the same arguments.
RUN = "import runpy; runpy.run_path('manage.py', run_name='__main__')"


class Project:
    """This project with its databases in a directory of the test's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = os.environ | {"DATABASE_DIR": str(directory), "PYTHONWARNINGS": "error"}

    def start(self, *arguments: str, after: str = "", **options: Any) -> subprocess.Popen[str]:
        """Start `manage.py` with its output to be read, after some code in the same process if there is any."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        given: dict[str, Any] = {"cwd": ROOT, "env": self.environment} | pipes | options
        program = ["-c", f"{after}\n{RUN}"] if after else ["manage.py"]
        return processes.start([*program, *arguments], **given)

    def manage(self, *arguments: str, given: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
        """Run `manage.py` to its end, with `given` as stdin."""
        with self.start(*arguments, after=after, stdin=subprocess.PIPE) as process:
            out, error = process.communicate(given)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, ten times as fast, if nothing depends on its having one of its own."""
        django.setup()
        out, error = io.BytesIO(), io.BytesIO()
        with (
            io.TextIOWrapper(out, write_through=True) as stdout,
            io.TextIOWrapper(error, write_through=True) as stderr,
            redirect_stdout(stdout),
            redirect_stderr(stderr),
            pytest.MonkeyPatch.context() as patch,
        ):
            for alias, settings in connections.settings.items():
                patch.setitem(settings, "NAME", self.directory / f"{alias}.db")
            # So a command leaves where other threads are at work, which are not its own here.
            patch.setattr(os, "_exit", sys.exit)
            patch.chdir(ROOT)
            code = _left_with(["manage.py", *arguments])
            printed = out.getvalue().decode(), error.getvalue().decode()
        return subprocess.CompletedProcess(arguments, code, *printed)

    def file(self, name: str, content: str) -> str:
        """Write a source, and return its path."""
        path = self.directory / name
        path.write_text(content)
        return str(path)

    def query(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        """Query a database, apart from the loader."""
        with closing(sqlite3.connect(self.directory / f"{database}.db")) as connection:
            return connection.execute(sql).fetchall()

    def change(self, database: str, *statements: str) -> None:
        """Execute statements in a database, apart from the loader, and commit them."""
        with closing(sqlite3.connect(self.directory / f"{database}.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()


def _left_with(arguments: list[str]) -> Any:
    """Return the exit code of a command."""
    try:
        execute_from_command_line(arguments)
    except SystemExit as left:
        return left.code
    finally:
        # A command takes all that is there by then for what stays.
        gc.unfreeze()
    return 0


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with databases as `init_db` makes them: to be copied, never written to."""
    project = Project(tmp_path_factory.mktemp("empty"))
    assert project.manage("init_db").returncode == 0
    return project.directory


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Project:
    """Give the project with fresh databases."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


@pytest.fixture(scope="session")
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Give a user's project with its databases just made, which stay empty."""
    shop = Shop(tmp_path_factory.mktemp("new"))
    shop.create()
    return shop


@pytest.fixture
def shop(new_shop: Shop, tmp_path: Path) -> Shop:
    """Give that project with databases of the test's own."""
    return new_shop.copy_to(tmp_path)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Run a PostgreSQL server."""
    if binaries() is None:
        pytest.skip("no wheel of this platform brings a PostgreSQL server")
    with postgres_server() as started:
        yield started


@pytest.fixture(scope="session")
def new_served_shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> ServedShop:
    """Give a user's project with its databases just made on a server, which stay empty."""
    shop = ServedShop(tmp_path_factory.mktemp("new"), server)
    shop.create()
    return shop


@pytest.fixture(scope="module")
def oracle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Give a process of that project, with the module's own databases: files, unless a test is of EVERY_STORE."""
    made: Shop = request.getfixturevalue(getattr(request, "param", "new_shop"))
    with Oracle(made.copy_to(tmp_path_factory.mktemp("shop"))) as oracle:
        yield oracle


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Databases]:
    """Give databases in files, which `init_db` has yet to make."""
    django.setup()
    monkeypatch.chdir(ROOT)
    made = Databases(monkeypatch, tmp_path)
    made.configure(**{alias: in_file(tmp_path / f"{alias}.db") for alias in ALIASES})
    yield made
    made.forget()


@pytest.fixture
def users_database(databases: Databases, server: Server) -> str:
    """Lead the users to a new database of a server. Returns its name."""
    name = f"connections_{uuid.uuid4().hex[:8]}"
    server.query("postgres", f"CREATE DATABASE {name}")
    databases.configure(users=on_server(server, name))
    return name
