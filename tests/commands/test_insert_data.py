"""`init_db` and `insert_data`: what they print, the codes they leave with, and what is in the databases then."""

from __future__ import annotations

import importlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import django
import pytest

from tests.commands.conftest import ROOT, Project
from tests.sample import MODES

EXPECTED = ROOT / "tests" / "data"
BAD_USERS = "id,name,email\n1,a,@\n2,,x\n"


def test_init_db_says_which_databases_are_ready(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for run, arguments in ((project.manage, ()), (project.call, ()), (project.call, ("--fresh",))):
        done = run("init_db", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (EXPECTED / "init_db.txt").read_text()


def test_fresh_empties_everything(project: Project) -> None:
    project.call("insert_data")
    project.call("init_db")
    assert len(project.query("users", "SELECT * FROM users")) == 9
    project.call("init_db", "--fresh")
    for table in ("users", "loader_rejects", "loader_runs"):
        assert project.query("users", f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("mode", MODES)
def test_the_reference_run_is_reproduced_and_again_on_a_second_run(project: Project, mode: str) -> None:
    for run in (project.manage, project.call):
        done = run("insert_data", f"--mode={mode}")
        assert (done.returncode, done.stderr) == (0, "")
        without_reasons = re.sub(r"(?<=--> Failed validation): .*", "", done.stdout)
        assert without_reasons == (EXPECTED / "insert_data.txt").read_text()
        assert (
            "(10, 10, 11, 2) --> Failed validation: "
            "user_id 10 does not exist in users; product_id 11 does not exist in products (line 11)\n"
        ) in done.stdout
    assert len(project.query("users", "SELECT * FROM users")) == 9
    assert project.query("products", "SELECT * FROM products")[0] == (1, "Laptop", 1000.0)
    assert len(project.query("products", "SELECT * FROM products")) == 9
    assert project.query("orders", "SELECT * FROM orders") == [
        *((1, 1, 1, 2), (2, 2, 2, 1), (3, 3, 3, 5), (4, 4, 4, 1), (5, 5, 5, 3), (6, 6, 6, 4), (7, 7, 7, 2))
    ]


@pytest.mark.parametrize(
    "command", [("insert_data", "--map=users.name=name", "--null=orders=-"), ("verify",), ("rejects", "retry")]
)
def test_a_command_asks_the_project_for_its_tables_once(
    project: Project, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    django.setup()
    declaration = importlib.import_module("core.tables")
    stated = declaration.tables()
    answers = iter([stated])
    monkeypatch.setattr(declaration, "tables", lambda: next(answers))
    assert project.call(*command).returncode == 0
    assert list(answers) == []


def test_the_report_has_the_documented_shape(project: Project) -> None:
    path = project.directory / "report.json"
    done = project.call("insert_data", "--format=json", "--report", str(path))
    report = json.loads(done.stdout)
    assert json.loads(path.read_text()) == report
    users = report["tables"]["users"]
    assert users.pop("seconds") >= 0
    assert users == {
        "database": "users",
        "sources": ["data/users.csv"],
        "given": 10,
        "inserted": 9,
        "updated": 0,
        "unchanged": 0,
        "rejected": 1,
        "deleted": 0,
        "ignored_columns": [],
        "reasons": {"name.not_blank": 1},
        "rejects": [
            {
                "source": "data/users.csv",
                "line": 11,
                "line_end": 11,
                "record": {"id": "10", "name": "", "email": "jane@example.com"},
                "reasons": [{"code": "not_blank", "column": "name", "message": "name must not be empty"}],
            }
        ],
        "unasked_constraints": [],
        "blank_lines": 0,
        "referenced": 0,
        "referenced_rows": [],
        "not_deleted": None,
        "warnings": [],
    }
    assert list(report) == ["version", "run", "mode", "status", "dry_run", "seconds", "error", "tables"]
    assert (report["version"], report["status"], report["dry_run"], report["error"]) == (1, "complete", False, None)
    [(*line, sources)] = project.query(
        "users", "SELECT run, table_name, mode, state, given, checkpoint, sources FROM loader_runs"
    )
    assert line == [report["run"], "users", "async", "complete", 10, 10]
    assert json.loads(sources)["tables"]["users"][0]["path"] == "data/users.csv"
    assert project.query("users", "SELECT run, source, line, line_end, record, reasons FROM loader_rejects") == [
        (
            report["run"],
            "data/users.csv",
            11,
            11,
            *(
                json.dumps(users["rejects"][0][key], separators=s)
                for key, s in (("record", (",", ":")), ("reasons", None))
            ),
        )
    ]


def test_stdin_and_several_sources_are_read(project: Project) -> None:
    other = project.file("more.jsonl", '{"id": 5, "name": "e", "email": "@"}\n')
    done = project.manage("insert_data", "users:csv=-", f"users={other}", "--format=json", given=BAD_USERS)
    assert done.returncode == 0
    assert json.loads(done.stdout)["tables"]["users"]["sources"] == ["-", other]
    assert [row[0] for row in project.query("users", "SELECT id FROM users")] == [1, 5]


def test_options_may_stand_between_sources(project: Project) -> None:
    users, products = project.file("u.csv", "id,name,mail\n1,a,@\n"), project.file("p.csv", "id,name,price\n1,a,1\n")
    done = project.manage(
        "insert_data", f"users={users}", "--map", "users.email=mail", f"products={products}", "--mode", "sequential"
    )
    assert done.returncode == 0, done.stderr
    assert project.query("users", "SELECT id, name, email FROM users") == [(1, "a", "@")]
    assert project.query("products", "SELECT id, name FROM products") == [(1, "a")]


def test_a_large_load_is_summed_up(project: Project) -> None:
    rows = "".join(f"7,{key},{'' if key % 10 else 'n'},{'@' if key % 3 else ''}\n" for key in range(1000))
    source = project.file("u.csv", f"age,id,name,email\n{rows}")
    done = project.call("insert_data", f"users={source}")
    assert done.stderr == "warning: users: columns that the table does not have were ignored: age\n"
    untimed = re.sub(r"\d+\.\d(?=$| s)", "0.0", done.stdout, flags=re.MULTILINE)
    head, counts, speed, empty, title, *rest = untimed.splitlines()
    assert head == "table  given  inserted  updated  unchanged  rejected  seconds"
    assert counts == "users  1,000        66        0          0       934      0.0"
    assert re.fullmatch(r"1,000 records in 0\.0 s, [0-9,]+ records/s", speed)
    assert (empty, title) == ("", "users: 934 rejects with 1,568 reasons; the 3 commonest are 100 % of them")
    assert rest[:3] == [
        "         900   96 %  name.not_blank",
        "         334   35 %  email.contains",
        "         334   35 %  email.not_empty",
    ]
    failed = "Failed validation: email must not be empty; email must contain '@'"
    assert rest[3].endswith(f"u.csv, line 2: (0, 'n', '') --> {failed}")
    assert rest[8] == "  ... and 929 more; all are in table loader_rejects of database users"
    [(run,)] = project.query("users", "SELECT run FROM loader_runs")
    assert rest[9:] == [
        "",
        "Next: write the rejects to files, mend them, and load them:",
        f"  python manage.py rejects export users-rejects.csv --table users --run {run}",
    ]


def test_all_is_well_needs_no_advice(project: Project) -> None:
    rows = "".join(f"{key},n,@\n" for key in range(101))
    source = project.file("u.csv", f"id,name,email\n{rows}")
    assert len(project.manage("insert_data", f"users={source}").stdout.splitlines()) == 3


def test_text_from_records_cannot_steer_a_terminal(project: Project) -> None:
    source = project.file("u\x1b[1m.csv", "id,name,email,\x1b[2m\n1,\x1b[31m,@,\n2,\u202e,no\x07,\n\x1b[3m,n,@\n")
    done = project.call("insert_data", f"users={source}")
    assert done.returncode == 0
    assert not set(done.stdout + done.stderr) & set("\x1b\x07\u202e")
    assert "(2, '\\u202e', 'no\\x07') --> Failed validation: email must contain '@' (line 3)" in done.stdout
    failed = project.call("insert_data", f"users={source}.csv")
    assert "\x1b" not in failed.stderr


def test_a_terminal_that_knows_no_unicode_gets_escapes(project: Project) -> None:
    source = project.file("u.csv", "id,name,email\n1,é😀,@\n")
    project.environment |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = project.manage("insert_data", f"users={source}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "(1, '\\xe9\\U0001f600', '@')" in done.stdout


USAGE = {
    ("--mode=fast",): "argument --mode: invalid choice: 'fast'",
    ("--batch-size=x",): "argument --batch-size: invalid int value: 'x'",
    ("--batch-size=0",): "batch_size is at least 1, not 0",
    ("people=users.csv",): "no table is called 'people'; there are orders, products, users",
    ("users.csv",): "'users.csv' is not of the form TABLE=SOURCE",
    ("users=",): "'users=' is not of the form TABLE=SOURCE",
    ("users=a.txt",): "a.txt: unknown format 'txt'",
    ("users:xml=a",): "a: unknown format 'xml'",
    ("users=-", "orders=-"): "stdin can be read for one source only",
    ("--delimiter=ab",): "table users: a delimiter is one ASCII character, not 'ab'",
    (
        "--max-rejects=0",
        "--commit-every=5",
    ): "--max-rejects keeps nothing of a run, --commit-every keeps what came before",
    ("--nonsense",): "unrecognized arguments: --nonsense",
}


@pytest.mark.parametrize("arguments", USAGE)
def test_a_wrong_command_line_is_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = Project(tmp_path).call("insert_data", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {USAGE[arguments]}") or USAGE[arguments] in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_failure_is_one_line_a_report_and_exit_1(project: Project) -> None:
    done = project.manage("insert_data", "users=none.csv", "--format=json")
    assert done.returncode == 1
    assert done.stderr == "error: none.csv: cannot be read: no such file or directory\n"
    report = json.loads(done.stdout)
    assert (report["status"], report["error"]) == ("failed", "none.csv: cannot be read: no such file or directory")
    assert report["tables"]["users"]["inserted"] == 0


def test_strict_keeps_what_was_accepted_and_exits_3(project: Project) -> None:
    done = project.call("insert_data", f"users={project.file('u.csv', BAD_USERS)}", "--strict")
    assert done.returncode == 3
    assert done.stderr == "error: 1 record was rejected; all others were kept\n"
    assert "(1, 'a', '@')" in done.stdout
    assert len(project.query("users", "SELECT * FROM users")) == 1
    good = project.file("v.csv", "id,name,email\n1,a,@\n")
    assert project.call("insert_data", f"users={good}", "--strict").returncode == 0


def test_too_many_rejects_keep_nothing_and_exit_4(project: Project) -> None:
    report = project.directory / "report.json"
    source = project.file("u.csv", BAD_USERS)
    done = project.call("insert_data", f"users={source}", "--max-rejects=0", "--report", str(report))
    assert done.returncode == 4
    _, shares, reason, reject, *_ = done.stdout.splitlines()
    assert shares == "users: 1 reject with 2 reasons; the 2 commonest are 100 % of them"
    assert reason.endswith("100 %  email.contains")
    assert reject.endswith("100 %  name.not_blank")
    assert done.stderr.startswith("error: more rejects than the 0 allowed, 1 so far: nothing was kept; ")
    assert json.loads(report.read_text())["status"] == "over-limit"
    assert project.query("users", "SELECT * FROM users") == []


def test_a_dry_run_says_so(project: Project) -> None:
    done = project.call("insert_data", "-n")
    assert done.stdout.startswith("=== DRY RUN, NOTHING WRITTEN ===\n")
    assert project.query("users", "SELECT * FROM loader_runs") == []


def test_a_report_that_cannot_be_written_fails_before_anything_is_loaded(project: Project) -> None:
    done = project.call("insert_data", "--report", str(project.directory / "none" / "report.json"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: report ")
    assert done.stderr.endswith("cannot be written: No such file or directory; nothing was loaded\n")
    assert project.query("users", "SELECT * FROM users") == []


def test_a_report_never_replaces_what_the_run_reads_or_writes(project: Project) -> None:
    source = project.file("u.csv", BAD_USERS)
    for report in (source, str(project.directory / "users.db")):
        done = project.call("insert_data", f"users={source}", "--report", report)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: --report {report}: is a source or database of this run")
    assert Path(source).read_text() == BAD_USERS
    assert project.query("users", "SELECT * FROM users") == []


def test_init_db_says_what_it_cannot_use(project: Project) -> None:
    with closing(sqlite3.connect(project.directory / "users.db")) as connection:
        connection.execute("ALTER TABLE users DROP COLUMN email")
    done = project.call("init_db")
    assert (done.returncode, done.stderr) == (
        1,
        "error: database users: table users has no column email; alter the table\n",
    )
    project.environment["DATABASE_DIR"] = str(project.directory / "none")
    done = project.manage("init_db")
    assert done.returncode == 1
    assert done.stderr.endswith("/none does not exist; create it first\n")


def test_records_that_do_not_fit_are_listed_with_all_their_fields_and_their_place(project: Project) -> None:
    first = project.file("a.csv", 'id,name,email\n1,"a\nb",@,x,y\n')
    second = project.file("b.csv", "id,name,email\n2\n")
    done = project.call("insert_data", f"users={first}", f"users={second}")
    assert done.stdout.splitlines()[-2:] == [
        f"(1, 'a\\nb', '@', 'x', 'y') --> Failed validation: 5 fields where the header has 3 ({first}, lines 2-3)",
        f"('2',) --> Failed validation: 1 field where the header has 3 ({second}, line 2)",
    ]


def test_a_value_that_could_not_be_read_is_listed_as_it_stands(project: Project) -> None:
    source = project.file("p.jsonl", '{"id": 1, "name": "a", "price": "3"}\n{"id": 2, "name": "5", "price": -3}\n')
    assert project.call("insert_data", f"products={source}").stdout.splitlines()[-2:] == [
        "(1, 'a', '3') --> Failed validation: price must be a number, not \"3\" (line 1)",
        "(2, '5', -3) --> Failed validation: price must be greater than 0 (line 2)",
    ]


def test_without_init_db_the_line_says_to_run_it(tmp_path: Path) -> None:
    done = Project(tmp_path).call("insert_data")
    assert done.returncode == 1
    assert done.stderr.startswith("error: database orders: unable to open database file")
    assert "init_db" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_locked_database_is_named_after_the_time_allowed(project: Project) -> None:
    with closing(sqlite3.connect(project.directory / "products.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        done = project.call("insert_data", "--lock-timeout=0.2")
        assert done.returncode == 1
        assert done.stderr.startswith("error: database products: database is locked")
        connection.execute("ROLLBACK")
    assert project.query("users", "SELECT * FROM users") == []
    assert project.call("insert_data").returncode == 0


@pytest.mark.parametrize("command", ["init_db", "insert_data", "check_references", "benchmark"])
def test_help_fits_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = Project(tmp_path).call(command, "--help")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("mode", MODES)
def test_a_name_of_white_space_is_none(project: Project, mode: str) -> None:
    names = ["", " ", "\t ", "\xa0", "\u2003\u3000", "\x1c", "\u0085", "a", " a", "\u200b"]
    rows = "".join(f'{key},"{name}",a@b\n' for key, name in enumerate(names))
    done = project.call(
        "insert_data", f"users={project.file('u.csv', 'id,name,email' + chr(10) + rows)}", f"--mode={mode}"
    )
    assert [row[0] for row in project.query("users", "SELECT id FROM users")] == [7, 8, 9]
    assert done.stdout.count("name must not be empty") == 1
    assert done.stdout.count("name must not be blank") == 6
    reasons = {reason for (reason,) in project.query("users", "SELECT reasons ->> '$[0].code' FROM loader_rejects")}
    assert reasons == {"not_blank"}


@pytest.mark.parametrize(
    ("table", "header", "column"), [("users", "id,name", "email"), ("products", "id,price", "name")]
)
def test_a_text_without_a_default_must_be_in_the_source(project: Project, table: str, header: str, column: str) -> None:
    source = project.file("short.csv", f"{header}\n1,2\n2,3\n")
    done = project.call("insert_data", f"{table}={source}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert column in done.stderr
    assert project.query(table, "SELECT count(*) FROM loader_rejects") == [(0,)]


def test_of_many_columns_that_are_ignored_a_warning_names_some(project: Project) -> None:
    more = [f"c{number}" for number in range(25)]
    source = project.file("u.csv", f"id,name,email,{','.join(more)}\n1,Ann,a@x.org{',1' * 25}\n")
    done = project.call("insert_data", f"users={source}", "--format=json")
    assert done.stderr.endswith(", c18, c19 and 5 more\n")
    assert json.loads(done.stdout)["tables"]["users"]["ignored_columns"] == more
