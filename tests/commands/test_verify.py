"""`verify` as a user runs it: what it prints, and the codes it leaves with. Where only findings matter, no process is
started.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from async_loader import ConfigurationError, Options, Run, StoreError, Verification, VerificationReport, init, verify
from async_loader.contrib.django.terminal.text import verification_lines
from tests.commands.conftest import ROOT, Project
from tests.commands.harm import assert_interrupted, readers_shut_out
from tests.processes import PATIENCE
from tests.sample import TABLES

DISAGREE = "ledger and databases do not agree, or a run is unfinished"
WELL = "1 run, 3 tables: every count agrees"


def paths(directory: Path) -> dict[str, Path]:
    return {table.database: directory / f"{table.database}.db" for table in TABLES}


def load(directory: Path, *, restart: bool = False) -> str:
    """Load the project's own sources; the run."""
    sources = {table.name: ROOT / "data" / f"{table.name}.csv" for table in TABLES}
    return Run(TABLES, sources, paths(directory), Options(restart=restart), mode="sequential").perform().run


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with the databases of the sample, loaded once."""
    directory = tmp_path_factory.mktemp("sample")
    init(TABLES, paths(directory))
    load(directory)
    return directory


@pytest.fixture
def loaded(databases: Path, tmp_path: Path) -> Project:
    """Give the project with copies of these databases."""
    shutil.copytree(databases, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """Give the project with empty databases."""
    init(TABLES, paths(tmp_path))
    return Project(tmp_path)


def first_run(project: Project) -> str:
    """Return the first run, as lines name it."""
    [(run, began)] = project.query("users", "SELECT run, started_at FROM loader_runs ORDER BY rowid LIMIT 1")
    return f"run {run} of {began}"


def look(project: Project, run: str | None = None) -> VerificationReport:
    return Verification(TABLES, paths(project.directory), run).perform()


def printed(project: Project, run: str | None = None) -> list[str]:
    """Return what the command prints, without a process."""
    return list(verification_lines(look(project, run)))


def states(project: Project) -> list[tuple[str, list[str]]]:
    """Return each run's state, and the codes of its findings."""
    return [(run.state, [finding.code for finding in run.findings]) for run in look(project).runs]


def test_all_is_well_is_one_line_and_nothing_is_written(loaded: Project) -> None:
    before = {path.name: path.read_bytes() for path in loaded.directory.glob("*.db")}
    done = loaded.manage("verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{WELL}\n", "")
    assert {path.name: path.read_bytes() for path in loaded.directory.glob("*.db")} == before


def test_fresh_databases_have_nothing_to_verify(fresh: Project) -> None:
    assert printed(fresh) == ["No run is in any ledger: there is nothing to verify."]


def test_what_was_tampered_with_is_one_line_each_that_cannot_steer_a_terminal(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM loader_rejects")
    loaded.change("orders", "DELETE FROM orders WHERE id = 3", "UPDATE loader_runs SET checkpoint = 9")
    loaded.change("products", "INSERT INTO loader_rejects SELECT 7, char(27, 8238), '', 1, 1, '', '', ''")
    done = loaded.manage("verify")
    assert (done.returncode, done.stderr) == (3, f"error: 4 findings: {DISAGREE}\n")
    run = first_run(loaded)
    assert [line.rpartition("; ")[0] for line in done.stdout.splitlines()] == [
        "database products: run \\x1b\\u202e: loader_rejects has 1 of a run that has no line here",
        f"database orders: {run}: table orders: checkpoint is 9, but given 10",
        f"database users: {run}: loader_rejects has 0 where 1 were rejected",
        f"database orders: {run}: table orders: 6 rows where the run left 7 or more",
    ]


def test_a_run_is_looked_at_apart_from_others(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM loader_rejects WHERE id = 1")
    again = load(loaded.directory)
    assert states(loaded) == [("complete", ["rejects"]), ("complete", [])]
    assert printed(loaded, again) == [WELL]


def test_rows_that_were_deleted_are_missed_until_they_are_loaded_again(loaded: Project) -> None:
    loaded.change("orders", "DELETE FROM orders WHERE id = 3")
    assert states(loaded) == [("complete", ["rows"])]
    load(loaded.directory)
    assert states(loaded) == [("complete", []), ("complete", [])]


def test_bytes_that_are_no_text_and_text_that_is_no_count_are_findings(loaded: Project) -> None:
    loaded.change("users", "UPDATE loader_runs SET state = CAST(x'ff' AS TEXT), given = 'ten', inserted = 9e999")
    [run] = look(loaded).runs
    assert [finding.problem for finding in run.findings[:3]] == [
        "state is '\\\\xff', not running or complete",
        "given is 'ten', which is no count",
        "inserted is inf, which is no count",
    ]
    json.loads(json.dumps(look(loaded).as_dict(), allow_nan=False))


def test_a_crash_between_two_commits_is_reported_and_finished(loaded: Project) -> None:
    # As if the process had been killed when users was committed, and products and orders not.
    for database in ("products", "orders"):
        loaded.change(database, *(f"DELETE FROM {each}" for each in (database, "loader_runs", "loader_rejects")))
    message = (
        f"{first_run(loaded)}: unfinished: users (database users) complete, "
        "products (database products) not begun, orders (database orders) not begun; "
        "unless it is still at work, run the same command again to finish it, or anew with --restart"
    )
    assert printed(loaded) == [message]
    load(loaded.directory)
    assert states(loaded) == [("complete", [])]


KILLED = """
import os, signal, sys
from async_loader import Options, Run, Show
from tests.commands.test_verify import ROOT, TABLES, Path, paths

def show(effect):
    if isinstance(effect, Show) and effect.table == "users" and effect.given > 6:
        os.kill(os.getpid(), signal.SIGKILL)

sources = {table.name: ROOT / "data" / f"{table.name}.csv" for table in TABLES}
options = Options(batch_size=2, commit_every=4)
Run(TABLES, sources, paths(Path(sys.argv[1])), options, mode="sequential", show=show).perform()
"""


def test_a_load_that_was_killed_is_unfinished_until_later_runs_have_written_what_it_left(fresh: Project) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, fresh.directory], cwd=ROOT, check=False, timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL
    done = fresh.call("verify")
    assert (done.returncode, done.stderr) == (3, f"error: 1 finding: {DISAGREE}\n")
    assert done.stdout.startswith(f"{first_run(fresh)}: unfinished: users (database users) up to record 4, products ")
    load(fresh.directory, restart=True)
    mention = f"{first_run(fresh)}: was not finished, but later runs have loaded the rest"
    assert printed(fresh) == [mention, "2 runs, 4 tables: every count agrees"]


CUT_OFF = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute('''WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
    INSERT INTO users SELECT i, hex(zeroblob(50)), '@' FROM n''')
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("mode", "remains"), [("DELETE", "users.db-journal"), ("WAL", "users.db-wal")])
def test_a_large_transaction_that_was_cut_off_is_undone_before_anything_is_read(
    loaded: Project, mode: str, remains: str
) -> None:
    """Without a log of its own, a database is half written then, and refuses a connection that may only read."""
    loaded.change("users", f"PRAGMA journal_mode = {mode}")
    database, left = (loaded.directory / name for name in ("users.db", remains))
    undisturbed = database.read_bytes()
    subprocess.run([sys.executable, "-c", CUT_OFF, database], check=False, timeout=PATIENCE)
    assert left.exists()
    assert states(loaded) == [("complete", [])]
    assert not left.exists()
    assert database.read_bytes() == undisturbed


def test_the_report_has_the_documented_shape(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM loader_rejects")
    path = loaded.directory / "report.json"
    done = loaded.call("verify", "--format=json", "--report", str(path))
    assert (done.returncode, done.stderr) == (3, f"error: 1 finding: {DISAGREE}\n")
    report = json.loads(done.stdout)
    assert json.loads(path.read_text()) == report
    assert list(report) == ["version", "status", "seconds", "error", "runs"]
    assert (report["version"], report["status"], report["error"]) == (1, "complete", None)
    [run] = report["runs"]
    assert f"run {run['run']} of {run['started_at']}" == first_run(loaded)
    assert list(run) == ["run", "started_at", "state", "tables", "findings"]
    assert run["state"] == "complete"
    assert list(run["tables"]) == ["users", "products", "orders"]
    counts = {"given": 10, "inserted": 9, "updated": 0, "unchanged": 0, "rejected": 1, "deleted": 0}
    counts |= {"checkpoint": 10, "referenced": 0}
    assert run["tables"]["users"] == {"database": "users", "state": "complete", **counts}
    advice = "they were deleted or added since: load the same sources again to record them under a new run"
    problem = "loader_rejects has 0 where 1 were rejected"
    finding = {"code": "rejects", "database": "users", "table": None, "problem": problem, "advice": advice}
    assert run["findings"] == [finding]


def test_asyncio_finds_the_same(loaded: Project) -> None:
    loaded.change("users", "DELETE FROM loader_rejects")
    report = asyncio.run(verify(TABLES, paths(loaded.directory)))
    assert report.runs == look(loaded).runs
    assert (report.status, report.findings) == ("complete", 1)


def test_a_run_that_no_ledger_knows_is_a_wrong_command_line(loaded: Project) -> None:
    path = loaded.directory / "report.json"
    done = loaded.call("verify", "yesterday", "--report", str(path))
    last = first_run(loaded).split()[1]
    message = f"no run is called 'yesterday'; the last one is {last}"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
    report = json.loads(path.read_text())
    assert (report["status"], report["error"], report["runs"]) == ("failed", message, [])


def test_a_wrong_option_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="lock_timeout is from 0 to"):
        Verification(TABLES, paths(tmp_path), lock_timeout=-1)


def test_a_locked_database_is_named_after_the_time_allowed(loaded: Project) -> None:
    verification = Verification(TABLES, paths(loaded.directory), lock_timeout=0.1)
    with readers_shut_out(loaded), pytest.raises(StoreError, match="database users: database is locked"):
        verification.perform()


def test_a_database_that_is_missing_is_one_line_and_a_report(loaded: Project) -> None:
    (loaded.directory / "products.db").unlink()
    report = loaded.directory / "report.json"
    done = loaded.manage("verify", "--report", str(report))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: database products: unable to open database file")
    assert done.stderr.count("\n") == 1
    written = json.loads(report.read_text())
    assert (written["status"], f"error: {written['error']}\n") == ("failed", done.stderr)
    assert not (loaded.directory / "products.db").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_one_line_and_a_report(loaded: Project, number: signal.Signals, code: int) -> None:
    message = "interrupted: not everything was verified; run the same command again"
    assert_interrupted(loaded, "verify", number, code, message)
