"""The commands where databases are those of a PostgreSQL server, as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import ROOT, Project
from tests.postgres import Server

ALIASES = ("users", "products", "orders")
REFERENCE_RUN = (ROOT / "tests" / "data" / "insert_data.txt").read_text()
SECRET = "hunter two/3"


class ServedProject(Project):
    """This project with databases of the test's own on a server, in the place of those files."""

    def __init__(self, directory: Path, server: Server, served: tuple[str, ...] = ALIASES) -> None:
        super().__init__(directory)
        self.server = server
        self.names = {alias: f"{alias}_{abs(hash(directory)):x}" for alias in served}
        for alias, name in self.names.items():
            server.query("postgres", f"CREATE DATABASE {name}")
            self.locate(alias, server.url(name))

    def locate(self, alias: str, url: str) -> None:
        """Say in the environment where the database is."""
        self.environment[f"{alias.upper()}_DATABASE_URL"] = url

    def query(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader."""
        if database in self.names:
            return self.server.query(self.names[database], sql)
        return super().query(database, sql)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that is loaded, by table and key."""
        return {alias: self.query(alias, f"SELECT * FROM {alias} ORDER BY id") for alias in ALIASES}

    def ledger(self) -> list[tuple[Any, ...]]:
        """How many rejects each run has, by table, and what it says of itself."""
        lines = "SELECT table_name, state, given, inserted, updated, unchanged, rejected FROM loader_runs"
        return sorted(line for alias in ALIASES for line in self.query(alias, lines))


@pytest.fixture
def served(tmp_path: Path, server: Server) -> ServedProject:
    """The project with all its databases on a server."""
    project = ServedProject(tmp_path, server)
    done = project.manage("init_db")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "tests" / "data" / "init_db.txt").read_text()
    return project


def succeed(project: Project, *arguments: str) -> str:
    """What a command prints that has nothing to complain of."""
    done = project.manage(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def without_reasons(printed: str) -> str:
    return re.sub(r"(?<=--> Failed validation): .*", "", printed)


def test_the_reference_run_is_reproduced_and_again_on_a_second_run(served: ServedProject) -> None:
    assert without_reasons(succeed(served, "insert_data")) == REFERENCE_RUN
    rows = served.rows()
    assert [len(rows[alias]) for alias in ALIASES] == [9, 9, 7]
    assert rows["products"][0] == (1, "Laptop", 1000.0)
    assert without_reasons(succeed(served, "insert_data", "--mode=threads")) == REFERENCE_RUN
    assert served.rows() == rows
    assert succeed(served, "verify") == "2 runs, 6 tables: every count agrees\n"
    assert succeed(served, "check_references") == "orders: 7 rows, every reference exists\n"
    assert succeed(served, "init_db", "--fresh") == (ROOT / "tests" / "data" / "init_db.txt").read_text()
    assert all(rows == [] for rows in served.rows().values())


def test_files_and_servers_may_be_mixed(tmp_path: Path, server: Server) -> None:
    project = ServedProject(tmp_path, server, ("users", "orders"))
    assert succeed(project, "init_db") == (ROOT / "tests" / "data" / "init_db.txt").read_text()
    assert (tmp_path / "products.db").exists()
    assert without_reasons(succeed(project, "insert_data")) == REFERENCE_RUN
    assert [len(rows) for rows in project.rows().values()] == [9, 9, 7]
    project.query("users", "DELETE FROM users WHERE id = 1")
    found = project.manage("check_references", "--format=json")
    assert found.returncode == 3
    assert json.loads(found.stdout)["tables"]["orders"]["reasons"] == {"user_id.exists_in": 1}
