"""The commands where databases are those of a PostgreSQL server, as a user runs them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from async_loader.contrib.django.management.base import INTERRUPTED
from tests.commands.conftest import ROOT, Project
from tests.commands.harm import wait_while, write_sources
from tests.postgres import Server
from tests.processes import PATIENCE, until
from tests.sample import MODES
from tests.transcripts import File, steps

ALIASES = ("users", "products", "orders")
EMPTY = dict.fromkeys(ALIASES, "template0")
REFERENCE_RUN = (ROOT / "tests" / "data" / "insert_data.txt").read_text()
SECRET = "hunter two/3"


class ServedProject(Project):
    """This project with databases of the test's own on a server, in the place of those files."""

    def __init__(self, directory: Path, server: Server, templates: Mapping[str, str] = EMPTY) -> None:
        super().__init__(directory)
        self.server = server
        self.names = {alias: f"{alias}_{uuid.uuid4().hex[:8]}" for alias in templates}
        for alias, template in templates.items():
            server.query("postgres", f"CREATE DATABASE {self.names[alias]} TEMPLATE {template}")
            self.locate(alias, server.url(self.names[alias]))

    def locate(self, alias: str, url: str) -> None:
        """Say in the environment where the database is."""
        self.environment[f"{alias.upper()}_DATABASE_URL"] = url

    def query(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader."""
        if database in self.names:
            return self.server.query(self.names[database], sql)
        return super().query(database, sql)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that is loaded, by table and key."""
        return {alias: self.query(alias, f"SELECT * FROM {alias} ORDER BY id") for alias in ALIASES}


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory, server: Server) -> ServedProject:
    """Give the project with all its databases on a server, as `init_db` makes them: to be copied, never written to."""
    project = ServedProject(tmp_path_factory.mktemp("initialised"), server)
    assert succeed(project, "init_db") == (ROOT / "tests" / "data" / "init_db.txt").read_text()
    return project


@pytest.fixture
def served(tmp_path: Path, initialised: ServedProject) -> ServedProject:
    """Give that project with databases of the test's own."""
    return ServedProject(tmp_path, initialised.server, templates=initialised.names)


def succeed(project: Project, *arguments: str) -> str:
    """Run a command without errors or warnings, and return what it prints."""
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
    project = ServedProject(tmp_path, server, {"users": "template0", "orders": "template0"})
    assert succeed(project, "init_db") == (ROOT / "tests" / "data" / "init_db.txt").read_text()
    assert (tmp_path / "products.db").exists()
    assert without_reasons(succeed(project, "insert_data")) == REFERENCE_RUN
    assert [len(rows) for rows in project.rows().values()] == [9, 9, 7]
    project.query("users", "DELETE FROM users WHERE id = 1")
    found = project.manage("check_references", "--format=json")
    assert found.returncode == 3
    assert json.loads(found.stdout)["tables"]["orders"]["reasons"] == {"user_id.exists_in": 1}


def keyed(served: ServedProject) -> str:
    """Return the URL of the users for a role that the server lets in by its password alone."""
    server = served.server
    if not server.query("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'keyed'"):
        rules = server.data / "pg_hba.conf"
        rules.write_text(f"local all keyed scram-sha-256\n{rules.read_text()}")
        server.query("postgres", f"CREATE ROLE keyed LOGIN PASSWORD '{SECRET}'")
        server.query("postgres", "SELECT pg_reload_conf()")
    return f"postgresql://keyed:{quote(SECRET, safe='')}@/{served.names['users']}?host={server.directory}"


PROBLEMS = {
    "a wrong password": ("password authentication failed for user", "its host, database, user and password are right"),
    "no rights": ("permission denied for table", "grant the role what docs/postgresql.md lists"),
    "no database": ("does not exist", "its host, database, user and password are right"),
    "no tables": ("has no table users", "run init_db or migrate first"),
    "another table": ("column id is text, not bigint", "alter the table"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_keeps_a_load_from_a_server_is_one_line_without_the_password(served: ServedProject, problem: str) -> None:
    url = keyed(served)
    match problem:
        case "a wrong password":
            served.locate("users", url.replace("hunter", "hunted"))
        case "no database":
            served.locate("users", served.server.url("nowhere"))
        case "no tables":
            served.query("users", "DROP TABLE users")
        case "another table":
            served.query("users", "ALTER TABLE users ALTER id TYPE text")
        case "no rights":
            served.locate("users", url)
    page = served.directory / "report.html"
    done = served.manage("insert_data", "--format=json", f"--report={page}")
    told, advice = PROBLEMS[problem]
    assert done.returncode == 1
    assert done.stderr.startswith("error: database users: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert advice in done.stderr
    assert not [text for text in ("hunte", SECRET) if text in done.stderr + done.stdout + page.read_text()]
    assert served.query("products", "SELECT * FROM products") == []


def test_a_password_that_lets_a_load_in_stands_nowhere(served: ServedProject) -> None:
    served.locate("users", keyed(served))
    served.query("users", "GRANT ALL ON ALL TABLES IN SCHEMA public TO keyed")
    page = served.directory / "report.html"
    done = served.manage("insert_data", "--format=json", f"--report={page}")
    assert done.returncode == 0, done.stderr
    ledgers = [served.query(alias, "SELECT * FROM loader_runs") for alias in ALIASES]
    told = "".join(map(str, [done.stdout, done.stderr, page.read_text(), *ledgers]))
    assert '"status": "complete"' in told
    assert not [text for text in (SECRET, quote(SECRET, safe="")) if text in told]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://keyed:{SECRET}@host:{SECRET}/users",
        f"postgresql:/keyed:{SECRET}@host/users",
        f"postgresql:///keyed:{SECRET}@host/users",
        f"postgresql://keyed:1/{SECRET}@host/users",
        f"postgresql://keyed:{SECRET}@[::1/users",
        f"mysql://keyed:{SECRET}@host/users",
        f"keyed:{SECRET}@host/users",
        f"host=host password={SECRET} dbname=users",
    ],
)
def test_a_url_that_cannot_be_read_is_a_usage_error_that_does_not_repeat_it(tmp_path: Path, url: str) -> None:
    project = Project(tmp_path)
    project.environment["USERS_DATABASE_URL"] = url
    done = project.manage("insert_data")
    assert (done.returncode, done.stdout) == (2, "")
    form = "postgresql://USER:PASSWORD@HOST:PORT/NAME"
    assert done.stderr == f"error: USERS_DATABASE_URL cannot be read; it is {form}\n"


def test_commands_that_look_at_all_tables_say_in_one_line_that_a_server_is_down(served: ServedProject) -> None:
    served.locate("products", "postgresql://keyed:hunted@/products?host=/nowhere")
    for command in ("verify", "init_db"):
        done = served.manage(command)
        assert done.returncode == 1
        assert done.stderr.startswith("error: database products: ")
        assert "see that the server runs, and that its host" in done.stderr
        assert done.stderr.count("\n") == 1
        assert "hunted" not in done.stderr


@pytest.mark.long
def test_rejects_are_listed_exported_mended_and_tried_again(served: ServedProject) -> None:
    succeed(served, "insert_data")
    assert "1 of 1 rejects stored; from data/users.csv" in succeed(served, "rejects")
    bad = served.directory / "bad.csv"
    succeed(served, "rejects", "export", str(bad), "--table=users")
    bad.write_text(bad.read_text().replace("10,,", "10,Jane,"))
    mended = served.manage("insert_data", f"users={bad}")
    assert (mended.returncode, mended.stderr) == (0, "users: 1 earlier reject is superseded\n")
    again = served.manage("rejects", "retry", "--table=orders", "--format=json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["tables"]["orders"]["reasons"] == {
        "product_id.exists_in": 1,
        "quantity.greater_than": 2,
    }
    succeed(served, "rejects", "discard", "--all", "--yes")
    assert served.query("orders", "SELECT count(*) FROM loader_rejects") == [(0,)]
    assert succeed(served, "verify").endswith("every count agrees\n")


def test_rows_that_are_there_are_kept_or_replaced(served: ServedProject) -> None:
    succeed(served, "insert_data")
    changed = served.file("users.csv", "id,name,email\n1,Another,a@b\n2,Jane Smith,jane@example.com\n")
    for option, name in (("reject", "Alice"), ("update", "Another")):
        done = served.manage("insert_data", f"users={changed}", f"--on-conflict={option}", "--format=json")
        assert done.returncode == 0, done.stderr
        assert served.query("users", "SELECT name FROM users WHERE id = 1") == [(name,)]
    stopped = served.manage("insert_data", "--on-conflict=stop")
    assert stopped.returncode == 1
    assert stopped.stderr.count("\n") == 1


def stopped_after_a_commit(served: ServedProject, number: signal.Signals, *command: str) -> int:
    """Start a load, and stop it when it has committed something; its exit code."""
    before = served.query("users", "SELECT checkpoint FROM loader_runs")
    with served.start(*command) as process:
        wait_while(
            lambda: process.poll() is None and served.query("users", "SELECT checkpoint FROM loader_runs") == before,
            step=0.001,
        )
        process.send_signal(number)
        process.communicate()
    return process.returncode


@pytest.mark.wide
def test_a_load_that_is_interrupted_and_then_killed_is_gone_on_with(served: ServedProject) -> None:
    command = ("insert_data", *write_sources(served, 6_000), "--commit-every=300", "--format=json")
    assert stopped_after_a_commit(served, signal.SIGINT, *command) == INTERRUPTED
    assert stopped_after_a_commit(served, signal.SIGKILL, *command, "--mode=threads") == -signal.SIGKILL
    resumed = served.manage(*command)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming run" in resumed.stderr
    rows = served.rows()
    assert succeed(served, "verify").endswith("every count agrees\n")
    succeed(served, "init_db", "--fresh")
    assert counts(served.manage(*command).stdout) == counts(resumed.stdout)
    assert served.rows() == rows


def counts(report: str) -> dict[str, Any]:
    """Return what a load counted, by table."""
    tables = json.loads(report)["tables"]
    return {name: [table[each] for each in ("given", "rejected", "reasons")] for name, table in tables.items()}


WITHOUT_PSYCOPG = """
import sys
sys.modules |= dict.fromkeys(["psycopg", "psycopg2"])
sys.argv[0] = "manage.py"
import manage
manage.main()
"""


OTHER_MODES = [each for each in MODES if each != "threads"]
SLEEPS = """CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$;
    CREATE TRIGGER sleeps BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION sleep()"""
AT_REST = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


@pytest.mark.parametrize("mode", ["threads", *(pytest.param(each, marks=pytest.mark.wide) for each in OTHER_MODES)])
def test_ctrl_c_does_not_wait_for_the_statement_that_the_server_is_at(served: ServedProject, mode: str) -> None:
    served.query("users", SLEEPS)
    with served.start("insert_data", f"--mode={mode}", "--no-progress") as process:
        until(lambda: served.query("users", AT_REST), "the first row")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == 130
    assert error == "error: interrupted: nothing was kept; run the same command again\n"


@pytest.mark.parametrize("command", ["insert_data", "check"])
def test_where_psycopg_is_missing_a_line_says_what_to_install(tmp_path: Path, command: str) -> None:
    project = Project(tmp_path)
    project.environment |= {f"{alias.upper()}_DATABASE_URL": "postgresql:///x" for alias in ALIASES}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PSYCOPG, command],
        cwd=ROOT,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "pip install 'django-async-loader[postgresql]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if command == "check" else 2)


def test_the_least_role_of_the_docs_loads_tries_again_and_verifies(served: ServedProject) -> None:
    """With exactly the rights that the page grants, where PUBLIC has none; and what is only referenced needs less."""
    page = (ROOT / "docs" / "postgresql.md").read_text()
    [granted] = [step.text for step in steps(page) if isinstance(step, File)]
    role = f"least_{uuid.uuid4().hex[:8]}"
    served.server.query("postgres", f"CREATE ROLE {role} LOGIN")
    for alias, name in served.names.items():
        for sql in (
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {name} TO {role}; GRANT USAGE ON SCHEMA public TO {role}",
            granted.replace(':"table"', alias).replace("TO loader;", f"TO {role};"),
        ):
            served.query(alias, sql)
        served.locate(alias, served.server.url(name).replace("tester@", f"{role}@"))
    assert without_reasons(succeed(served, "insert_data")) == REFERENCE_RUN
    retried = served.manage("rejects", "retry", "--on-conflict=update", "--format=json")
    assert (retried.returncode, retried.stderr.count("superseded")) == (0, 3)
    for alias in ("users", "products"):
        served.query(alias, f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
        served.query(alias, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    path = served.file("orders.csv", "id,user_id,product_id,quantity\n20,1,1,1\n21,99,1,1\n")
    orders = json.loads(succeed(served, "insert_data", f"orders={path}", "--format=json", "--commit-every=1"))
    assert orders["tables"]["orders"]["reasons"] == {"user_id.exists_in": 1}
    assert succeed(served, "check_references") == "orders: 8 rows, every reference exists\n"
