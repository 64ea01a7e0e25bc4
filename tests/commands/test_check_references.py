"""`check_references` as a user runs it: what it prints, and the codes it leaves with."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.commands.conftest import Project
from tests.commands.harm import assert_interrupted, readers_shut_out


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with the databases of the sample, of which seven orders are stored."""
    project = Project(tmp_path_factory.mktemp("sample"))
    assert [project.call(command).returncode for command in ("init_db", "insert_data")] == [0, 0]
    return project.directory


@pytest.fixture
def loaded(databases: Path, tmp_path: Path) -> Project:
    """Give the project with copies of these databases."""
    shutil.copytree(databases, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def test_all_is_well_is_one_line_a_table(loaded: Project) -> None:
    for arguments in ((), ("orders",)):
        done = loaded.manage("check_references", *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "orders: 7 rows, every reference exists\n", "")


def test_what_was_deleted_is_missed(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM users WHERE id IN (2, 3)")
    loaded.change("products", "DELETE FROM products WHERE id = 3")
    done = loaded.manage("check_references")
    assert (done.returncode, done.stderr) == (3, "error: 2 rows reference what does not exist\n")
    assert done.stdout.splitlines() == [
        "orders: 7 rows, 2 with references that do not exist",
        "           2  100 %  user_id.exists_in",
        "           1   50 %  product_id.exists_in",
        "  (2, 2, 2, 1): user_id 2 does not exist in users",
        "  (3, 3, 3, 5): user_id 3 does not exist in users; product_id 3 does not exist in products",
    ]


def test_the_first_rows_at_fault_are_shown_and_the_rest_counted(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM users WHERE id > 1")
    done = loaded.call("check_references")
    assert done.stdout.splitlines()[-1] == "  ... and 1 more"
    assert len(done.stdout.splitlines()) == 2 + 5 + 1
    assert done.stderr == "error: 6 rows reference what does not exist\n"


def test_the_report_has_the_documented_shape(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM users WHERE id = 3")
    path = loaded.directory / "report.json"
    path.write_text("what was there before, which is a good deal longer than nothing" * 100)
    done = loaded.call("check_references", "--format=json", "--report", str(path), "--report-rejects=1")
    assert (done.returncode, done.stderr) == (3, "error: 1 row references what does not exist\n")
    report = json.loads(done.stdout)
    assert json.loads(path.read_text()) == report
    assert list(report) == ["version", "status", "seconds", "error", "tables"]
    assert (report["version"], report["status"], report["error"]) == (1, "complete", None)
    assert report["seconds"] >= report["tables"]["orders"].pop("seconds") >= 0
    message = "user_id 3 does not exist in users"
    assert report["tables"] == {
        "orders": {
            "database": "orders",
            "given": 7,
            "rejected": 1,
            "reasons": {"user_id.exists_in": 1},
            "rejects": [
                {
                    "key": 3,
                    "record": {"id": 3, "user_id": 3, "product_id": 3, "quantity": 5},
                    "reasons": [{"code": "exists_in", "column": "user_id", "message": message}],
                }
            ],
        }
    }
    done = loaded.call("check_references", "--format=json", "--report-rejects=0")
    assert json.loads(done.stdout)["tables"]["orders"]["rejects"] == []


def test_text_from_rows_cannot_steer_a_terminal(loaded: Project) -> None:
    loaded.change("orders", "INSERT INTO orders VALUES (8, 'a' || char(27, 7, 8238), 1, x'1b')")
    done = loaded.call("check_references")
    assert done.returncode == 3
    assert not set(done.stdout + done.stderr) & set("\x1b\x07\u202e")
    shown = "a\\x1b\\x07\\u202e"
    assert done.stdout.splitlines()[-1] == (
        f"""  (8, '{shown}', 1, "x'1b'"): user_id '{shown}' does not exist in users"""
    )


USAGE: dict[tuple[str, ...], str] = {
    ("people",): "no table is called 'people'; there are orders, products, users",
    ("users",): "table users references nothing: there is nothing to check",
    ("--lock-timeout=-1",): "lock_timeout is from 0 to",
    ("--mode=async",): "unrecognized arguments: --mode=async",
}


@pytest.mark.parametrize("arguments", USAGE)
def test_a_wrong_command_line_is_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = Project(tmp_path).call("check_references", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {USAGE[arguments]}")
    assert done.stderr.count("\n") == 1


def test_a_report_never_replaces_a_database(loaded: Project) -> None:
    path = loaded.directory / "users.db"
    before = path.read_bytes()
    done = loaded.call("check_references", "--report", str(path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --report {path}: is a source or database of this run")
    assert path.read_bytes() == before


def test_a_database_that_is_missing_is_one_line_and_a_report(loaded: Project) -> None:
    (loaded.directory / "products.db").unlink()
    report = loaded.directory / "report.json"
    done = loaded.manage("check_references", "--report", str(report))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: database products: unable to open database file")
    assert done.stderr.count("\n") == 1
    written = json.loads(report.read_text())
    assert (written["status"], f"error: {written['error']}\n") == ("failed", done.stderr)
    assert not (loaded.directory / "products.db").exists()


def test_a_table_that_is_missing_and_a_file_that_is_no_database_are_one_line(loaded: Project) -> None:
    loaded.change("products", "DROP TABLE products")
    done = loaded.call("check_references")
    assert (done.returncode, done.stderr) == (
        1,
        "error: database products: has no table products; run init_db or migrate first\n",
    )
    (loaded.directory / "products.db").write_text("no database at all, and longer than a header is" * 9)
    done = loaded.call("check_references")
    assert done.returncode == 1
    assert done.stderr.startswith("error: database products: file is not a database")


def test_a_locked_database_is_named_after_the_time_allowed(loaded: Project) -> None:
    with readers_shut_out(loaded):
        done = loaded.manage("check_references", "--lock-timeout=0.2")
        assert done.returncode == 1
        assert done.stderr.startswith("error: database users: database is locked")


def test_nothing_is_written_anywhere(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM users WHERE id = 3")
    before = {path.name: path.read_bytes() for path in loaded.directory.glob("*.db")}
    assert loaded.call("check_references").returncode == 3
    assert {path.name: path.read_bytes() for path in loaded.directory.glob("*.db")} == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_one_line_and_a_report(loaded: Project, number: signal.Signals, code: int) -> None:
    message = "interrupted: not all rows were checked; run the same command again"
    assert_interrupted(loaded, "check_references", number, code, message)
