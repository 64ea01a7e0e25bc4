"""Bytes from the system that are not UTF-8: names of files may hold them, everything else is text."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from async_loader import ConfigurationError, Source
from tests.commands.conftest import Project
from tests.processes import PATIENCE
from tests.sample import MODES

CSV = b"id,name,email\n1,Ada,ada@example.com\n2,Bert,none\n"
JSON_LINES = b'{"id": 1, "name": "Ada", "email": "a@b"}\n{"id": 2, "name": "Bert", "email": "none"}\n'
# Names of files as the system has them, and as reports do.
NAMES = {
    b"caf\xe9.csv": r"caf\xe9.csv",
    b"\xff\xfe \xc3\xa9\n.jsonl": "\\xff\\xfe \xe9\n.jsonl",
    b"\xed\xa0\x80.csv": r"\xed\xa0\x80.csv",
}


def path_in(project: Project, name: bytes, content: bytes | None = None) -> str:
    """Return the path of a file as Python has it, and write the file if there is content."""
    path = os.path.join(os.fsencode(project.directory), name)
    if content is not None:
        with open(path, "wb") as file:
            file.write(content)
    return os.fsdecode(path)


def change(project: Project, sql: str) -> None:
    """Change the users apart from the loader."""
    with closing(sqlite3.connect(project.directory / "users.db")) as connection, connection:
        connection.execute(sql)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_opened_exactly_and_shown_with_escapes(project: Project, name: bytes, mode: str) -> None:
    source = path_in(project, name, JSON_LINES if name.endswith(b".jsonl") else CSV)
    page, rejects = path_in(project, b"page\xfe.html"), path_in(project, b"rejects\xfe")
    shown = f"{project.directory}/{NAMES[name]}"
    done = project.call(
        "insert_data", f"users={source}", f"--mode={mode}", f"--report={page}", f"--rejects-dir={rejects}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert project.query("users", "SELECT id FROM users") == [(1,)]
    assert project.query("users", "SELECT DISTINCT source FROM loader_rejects") == [(shown,)]
    [(facts,)] = project.query("users", "SELECT sources FROM loader_runs")
    assert [each["path"] for each in json.loads(facts)["tables"]["users"]] == [shown]
    assert "none" in Path(page).read_text(encoding="utf-8")
    assert [path.suffix for path in Path(rejects).glob("*/*")] == [Path(source).suffix]


def test_reports_hold_no_surrogates(project: Project) -> None:
    source = path_in(project, b"caf\xe9.csv", CSV)
    done = project.manage("insert_data", f"users={source}", "--format=json")
    assert r"\ud" not in done.stdout
    [table] = json.loads(done.stdout)["tables"].values()
    assert table["sources"] == [table["rejects"][0]["source"]] == [rf"{project.directory}/caf\xe9.csv"]
    missing = project.manage("insert_data", f"users:csv={source}x", "--format=json")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert r"caf\xe9.csvx: " in missing.stderr
    assert r"\ud" not in missing.stdout


def test_the_command_line_after_an_export_can_be_pasted(project: Project) -> None:
    project.call("insert_data", "users=" + path_in(project, b"caf\xe9.csv", CSV))
    exported = path_in(project, b"b'\\\xe9\n.csv")
    done = project.call("rejects", "export", exported, "--table=users")
    assert (done.returncode, Path(exported).read_bytes().count(b"\n")) == (0, 2)
    command = done.stdout.splitlines()[-1].partition("python manage.py insert_data ")[2]
    word = subprocess.check_output(["bash", "-c", f"printf %s {command}"], timeout=PATIENCE)
    assert word == os.fsencode(f"users={exported}")
    assert r"\xe9" in project.call("rejects", "show").stdout


def test_a_resumed_load_opens_the_same_file(project: Project) -> None:
    rows = "".join(f"{number},n,a@b\n" for number in range(1, 302))
    source = path_in(project, b"caf\xe9.csv", f"id,name,email\n{rows}".encode())
    command = ("insert_data", f"users={source}", "--commit-every=100", "--batch-size=100", "--on-conflict=stop")
    change(project, "INSERT INTO users VALUES (301, 'other', 'a@b')")
    assert project.call(*command).returncode == 1
    assert project.query("users", "SELECT count(*) FROM users") == [(301,)]
    change(project, "DELETE FROM users WHERE id = 301")
    assert project.call(*command).returncode == 0
    assert project.query("users", "SELECT count(*) FROM users") == [(301,)]
    assert project.query("users", "SELECT count(*) FROM loader_runs") == [(1,)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("insert_data", "users=u.csv", "--set=users.name=\udcff"),
        ("insert_data", "users=u.csv", "--null=\udcff"),
        ("insert_data", "users=u.csv", "--map=users.name=\udcff"),
        ("insert_data", "users=u.csv", "--delimiter=\udcff"),
        ("insert_data", "\udcff=u.csv"),
        ("insert_data", "users:\udcff=u.csv"),
        ("insert_data", "users=s3://bucket/\udcff.csv"),
        ("rejects", "show", "--reason=\udcff"),
        ("rejects", "discard", "--run=\udcff", "--yes"),
        ("check_references", "\udcff"),
        ("verify", "\udcff"),
    ],
)
def test_bytes_that_are_no_text_are_refused_in_one_line(project: Project, arguments: tuple[str, ...]) -> None:
    done = project.call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert r"\xff" in done.stderr or r"\udcff" in done.stderr


def test_a_real_command_line_takes_bytes(project: Project) -> None:
    source = path_in(project, b"caf\xe9.csv", CSV)
    done = project.manage("insert_data", f"users={source}")
    assert (done.returncode, done.stderr) == (0, "")
    done = project.manage("insert_data", f"users={source}", "--null=\udcff")
    assert (done.returncode, done.stderr) == (2, "error: argument --null: '\\xff' holds bytes that are not UTF-8\n")


@pytest.mark.parametrize(
    "options", [{"names": {"id": "\udcff"}}, {"constants": {"id": "\udcff"}}, {"means_null": ("\ud800",)}]
)
def test_the_engine_refuses_them_too(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"holds bytes that are not UTF-8"):
        Source("u.csv", **options)


def test_databases_may_lie_in_a_directory_of_any_name(project: Project) -> None:
    """All commands, in a process of their own: the settings have the path."""
    source = path_in(project, b"u.csv", CSV)
    directory = Path(path_in(project, b"caf\xe9"))
    directory.mkdir()
    project.environment |= {"DATABASE_DIR": str(directory)}
    for command in (["init_db"], ["insert_data", f"users={source}"], ["rejects"], ["verify"], ["check_references"]):
        done = project.manage(*command)
        assert (done.returncode, done.stderr) == (0, "")
    assert (directory / "users.db").exists()


def test_an_address_of_a_server_that_is_no_text_is_one_line(project: Project) -> None:
    project.environment |= {"USERS_DATABASE_URL": "postgresql://\udcff@127.0.0.1:1/users"}
    done = project.manage("init_db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: database users: its settings hold bytes that are not UTF-8\n"
