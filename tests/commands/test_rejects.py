"""`rejects` as a user runs it: what it prints, what it asks, and the codes it leaves with."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from async_loader import Column, Options, Run, Table, Type, init
from async_loader.contrib.django.management.commands.rejects import Command
from async_loader.contrib.django.management.rejects.retry import RetryRejects
from tests.commands.conftest import ROOT, Project
from tests.sample import TABLES

RUN = r"[0-9a-f]{32}"
WHEN = r"20[0-9T:.+-]+"


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with the databases of the sample, loaded once."""
    directory = tmp_path_factory.mktemp("sample")
    paths = {table.database: directory / f"{table.database}.db" for table in TABLES}
    init(TABLES, paths)
    sources = {table.name: f"data/{table.name}.csv" for table in TABLES}
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        Run(TABLES, sources, paths, Options(), mode="sequential").perform()
    finally:
        os.chdir(before)
    return directory


@pytest.fixture
def loaded(databases: Path, tmp_path: Path) -> Project:
    """Give the project with copies of these databases."""
    shutil.copytree(databases, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def plain(text: str) -> str:
    """Return the text without what differs each time."""
    return re.sub(WHEN, "WHEN", re.sub(RUN, "RUN", text))


LIST = """\
run RUN, WHEN
  users: 1 of 1 rejects stored; from data/users.csv
             1  name.not_empty
  products: 1 of 1 rejects stored; from data/products.csv
             1  price.greater_than
  orders: 3 of 3 rejects stored; from data/orders.csv
             2  quantity.greater_than
             1  product_id.exists_in
             1  user_id.exists_in
"""


@pytest.mark.parametrize("option", [("-v", "0"), ("--settings", "core.settings"), ("--no-color",)])
def test_djangos_options_may_stand_on_either_side_of_the_subcommand(loaded: Project, option: tuple[str, ...]) -> None:
    for command in (("rejects", *option, "show"), ("rejects", "show", *option)):
        done = loaded.call(*command)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [("rejects", "-v", "0", "retry"), ("rejects", "retry", "-v", "0")])
def test_verbosity_reaches_the_subcommand_from_either_side(
    loaded: Project, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(RetryRejects, "run", lambda *_, verbosity, **__: asked.append(verbosity))
    assert loaded.call(*command).returncode == 0
    assert asked == [0]


def test_the_rejects_of_a_table_that_no_file_can_be_called_by_have_a_file(tmp_path: Path) -> None:
    table = Table("a/b", "main", (Column("id", Type.INTEGER),))
    (tmp_path / "a.csv").write_text("id\nx\n")
    init([table], {"main": tmp_path / "main.db"})
    options = Options(rejects_dir=tmp_path / "rejects")
    report = Run([table], {"a/b": tmp_path / "a.csv"}, {"main": tmp_path / "main.db"}, options).perform()
    file = tmp_path / "rejects" / report.run / "a%2Fb.csv"
    assert file.read_text().splitlines() == ["id,_line,_reasons", "x,2,\"id must be an integer, not 'x'\""]


def test_runs_are_listed_with_what_is_stored_of_them(loaded: Project) -> None:
    done = loaded.manage("rejects")
    assert (done.returncode, plain(done.stdout), done.stderr) == (0, LIST, "")
    listed = json.loads(loaded.manage("rejects", "--format=json").stdout)
    assert listed["version"] == 1
    [run] = listed["runs"]
    assert run["kind"] == "load"
    assert [table["stored"] for table in run["tables"]] == [1, 1, 3]
    assert next(iter(run["tables"][2]["reasons"].items())) == ("quantity.greater_than", 2)


def test_nothing_is_a_line(project: Project) -> None:
    assert project.manage("rejects").stdout == "No run is in any ledger, and no reject is stored.\n"
    file = str(project.directory / "f.csv")
    for arguments in (("show",), ("export", file), ("retry",), ("discard", "--all", "--yes")):
        done = project.manage("rejects", *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "No stored reject fits.\n", ""), arguments
    assert json.loads(project.manage("rejects", "show", "--format=json").stdout)["rejects"] == []


def test_a_reason_that_no_reject_has_is_answered_with_those_that_there_are(loaded: Project) -> None:
    file = str(loaded.directory / "f.csv")
    for arguments in (("show",), ("export", file), ("retry",), ("discard", "--yes")):
        done = loaded.call("rejects", *arguments, "--table=orders", "--reason=greater")
        there_are = "quantity.greater_than, product_id.exists_in, user_id.exists_in"
        warning = f"warning: no stored reject has the reason 'greater'; there are {there_are}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, "No stored reject fits.\n", warning), arguments
    of_others = loaded.call("rejects", "show", "--table=orders", "--reason=not_empty", "--format=json")
    assert of_others.stderr.startswith("warning: no stored reject has the reason 'not_empty'; there are quantity.")
    assert json.loads(of_others.stdout)["rejects"] == []


def test_rejects_are_shown_with_records_and_reasons(loaded: Project) -> None:
    done = loaded.manage("rejects", "show", "--table=orders", "--limit=1")
    assert plain(done.stdout) == (
        "orders: data/orders.csv, line 9 (RUN:1)\n"
        "  id='8', user_id='8', product_id='8', quantity='0'\n"
        "  quantity.greater_than: quantity must be greater than 0\n"
        "... and 2 more; --limit 0 shows all\n"
    )
    shown = json.loads(loaded.manage("rejects", "show", "--limit=0", "--format=json").stdout)
    assert (len(shown["rejects"]), shown["more"]) == (5, 0)
    by_reason = json.loads(
        loaded.manage("rejects", "--format=json", "show", "--limit=1", "--reason=quantity.greater_than").stdout
    )
    assert ([each["record"]["id"] for each in by_reason["rejects"]], by_reason["more"]) == (["8"], 1)


def test_nothing_that_was_read_steers_a_terminal(project: Project) -> None:
    name = "\x1b]0;x\x07\u202e"
    source = project.file(f"a{name}.csv", f'id,{name},name,email\n1,\x1b[2J,"a\nb\x9b",\x07\n')
    project.manage("insert_data", f"users={source}")
    for arguments in ((), ("show",), ("export", str(project.directory / f"b{name}.csv"))):
        done = project.manage("rejects", *arguments)
        assert done.returncode == 0
        assert not set(done.stdout.replace("\n", "")) & set("\x1b\x07\u202e\x9b"), arguments
        assert "\\x1b" in done.stdout


def test_the_command_after_an_export_finds_rows_as_the_run_did(project: Project) -> None:
    source = project.file("people.csv", "name,email,id\n ,a@example.com,71\nAnn,ann@example.com,72\n")
    finding = ("--match", "users=email", "--on-missing", "reject")
    project.manage("insert_data", f"users={source}", *finding)
    bad = project.directory / "bad.csv"
    line = project.manage("rejects", "export", str(bad), "--table=users").stdout.splitlines()[-1]
    assert line == f"Mend it, then: python manage.py insert_data users={bad}"
    again = project.manage("insert_data", f"users={bad}")
    read, superseded = again.stderr.splitlines()[:2]
    assert plain(read) == f"{bad}: read as in run RUN, with {finding[0]} {finding[1]} {finding[2]} {finding[3]}"
    assert superseded == "users: 2 earlier rejects are superseded"


def test_what_is_exported_mended_and_loaded_is_gone(loaded: Project) -> None:
    file = loaded.directory / "it's bad.csv"
    done = loaded.manage("rejects", "export", str(file), "--table=users")
    message = (
        f"1 reject of users in {file}\nMend it, then: python manage.py insert_data {shlex.quote(f'users={file}')}\n"
    )
    assert done.stdout == message
    file.write_text(file.read_text().replace("10,,jane", "10,Jane,jane"))
    done = loaded.manage("insert_data", f"users={file}")
    assert (done.returncode, done.stderr) == (0, "users: 1 earlier reject is superseded\n")
    again = loaded.manage("rejects", "retry", "--reason", "exists_in", "--strict", "--mode", "threads")
    assert "product_id 11 does not exist in products" in again.stdout
    assert "user_id" not in again.stdout.split("-->")[1]
    assert again.returncode == 3
    assert plain(loaded.manage("rejects").stdout).splitlines()[-4:] == [
        "retry RUN, WHEN",
        "  orders: 1 of 1 rejects stored; from data/orders.csv",
        "             1  product_id.exists_in",
        "  orders: superseded 1 of run RUN",
    ]
    assert loaded.manage("verify").stdout == "3 runs, 5 tables: every count agrees\n"
    with closing(sqlite3.connect(loaded.directory / "orders.db")) as connection:
        connection.execute("DELETE FROM loader_rejects")
        connection.commit()
    assert loaded.manage("verify").returncode == 3


def test_a_retry_reports_as_a_load_does(loaded: Project) -> None:
    report = loaded.directory / "report.json"
    arguments = ("--format=json", "--report", str(report), "--report-rejects=1", "--rejects-dir", str(loaded.directory))
    done = loaded.manage("rejects", "retry", "--table=orders", *arguments)
    said = json.loads(done.stdout)
    assert said == json.loads(report.read_text())
    counts = said["tables"]["orders"]
    assert (said["status"], counts["given"], counts["rejected"], len(counts["rejects"])) == ("complete", 3, 3, 1)
    assert counts["rejects"][0]["source"] == "data/orders.csv"
    assert (loaded.directory / said["run"] / "orders.csv").read_text().count("\n") == 4
    done = loaded.manage("rejects", "retry", "--max-rejects=0")
    assert done.returncode == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("discard",), "say what to discard: by --table, --reason and --run, or --all"),
        (("discard", "--all", "--table=users"), "say what to discard: by --table, --reason and --run, or --all"),
        (("discard", "--all"), "discarding asks first, and stdin is no terminal: add --yes"),
        (("show", "--limit=-1"), "--limit is at least 0, not -1"),
        (("show", "--table=nobody"), "no table is called 'nobody'; there are orders, products, users"),
        (("show", "--run=none"), "no run is called 'none'; `rejects` lists them"),
        (("retry", "--run=none"), "no run is called 'none'; `rejects` lists them"),
        (("retry", "--batch-size=0"), "batch_size is at least 1, not 0"),
        (
            ("export", "bad.txt"),
            "bad.txt: the file's name must end in one of .csv, .jsonl, .json, .parquet, .xlsx, .ndjson",
        ),
        (("export", "new.csv"), "these are rejects of orders, products, users: choose one with --table"),
        (("export", "pyproject.csv"), None),
        (("export",), "the following arguments are required: FILE; see --help"),
        (("mend",), None),
    ],
)
def test_a_wrong_command_line_is_one_line(loaded: Project, arguments: tuple[str, ...], message: str | None) -> None:
    done = loaded.manage("rejects", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message is None or done.stderr == f"error: {message}\n"
    assert not (ROOT / "new.csv").exists()


def test_a_file_is_never_overwritten(loaded: Project) -> None:
    file = loaded.file("mine.csv", "mine")
    done = loaded.manage("rejects", "export", file, "--table=users")
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {file}: exists already; name another file, or move it away\n",
    )
    assert Path(file).read_text() == "mine"
    done = loaded.manage("rejects", "export", str(loaded.directory / "users.db" / "x.csv"), "--table=users")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("no\n", 1), ("\n", 1), ("\x04", 1)])
def test_a_discard_asks_on_a_terminal(loaded: Project, answer: str, left: int) -> None:
    ours, theirs = pty.openpty()
    with loaded.start("rejects", "discard", "--table=users", stdin=theirs, stderr=subprocess.STDOUT) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        out, _ = process.communicate()
    os.close(ours)
    asked = "Discard 1 reject of users? They cannot be brought back. [y/N] "
    assert out == asked + ("Nothing was discarded.\n" if left else "1 reject discarded.\n")
    assert process.returncode == 0
    assert loaded.query("users", "SELECT count(*) FROM loader_rejects") == [(left,)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_asks_is_one_line(loaded: Project, number: int, code: int) -> None:
    ours, theirs = pty.openpty()
    with loaded.start("rejects", "discard", "--all", stdin=theirs) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.read(7) == "Discard"
        process.send_signal(number)
        _, error = process.communicate()
    os.close(ours)
    assert (process.returncode, error) == (code, "error: interrupted: `rejects` lists what is stored now\n")
    assert loaded.query("users", "SELECT count(*) FROM loader_rejects") == [(1,)]


def test_a_database_that_another_program_holds_is_named(loaded: Project) -> None:
    with closing(sqlite3.connect(loaded.directory / "users.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for arguments in (("discard", "--table=users", "--yes"), ("retry", "--table=users")):
            done = loaded.manage("rejects", *arguments, "--lock-timeout=0.2")
            assert done.returncode == 1
            assert done.stderr.startswith("error: database users: database is locked")
            assert done.stderr.count("\n") == 1
        assert loaded.manage("rejects", "--lock-timeout=0.2").returncode == 0
        connection.execute("ROLLBACK")


def test_output_to_a_closed_pipe_is_no_traceback(project: Project) -> None:
    lines = "".join(f"{number},,x\n" for number in range(30_000))
    project.manage("insert_data", "users=" + project.file("u.csv", f"id,name,email\n{lines}"))
    with project.start("rejects", "show", "--limit=0") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_help_reads_well_on_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    command = Command()
    parser = command.create_parser("manage.py", "rejects")
    for each in (parser, *command.subparsers):
        assert max(map(len, each.format_help().splitlines())) <= 80
