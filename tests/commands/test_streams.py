"""Streams and signals of a load: closed pipes, full devices, silent sources, Ctrl-C."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.commands.conftest import ROOT, Project
from tests.commands.harm import wait_while
from tests.processes import PATIENCE
from tests.sample import MODES


def test_output_to_a_closed_pipe_is_no_traceback(project: Project) -> None:
    with project.start("insert_data") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert len(project.query("users", "SELECT * FROM users")) == 9


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--strict",), 3), (("users=none.csv", "--format=json"), 1), (("--max-rejects=0", "--format=json"), 4)],
)
def test_output_to_a_closed_pipe_changes_no_exit_code(project: Project, arguments: tuple[str, ...], code: int) -> None:
    with project.start("insert_data", *arguments) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read().startswith("error: ")
    assert process.returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_the_output_is_one_line(project: Project) -> None:
    done = project.manage("insert_data", "--report=/dev/full")
    assert done.returncode == 1
    assert done.stdout.startswith("=== INSERTED DATA ===")
    full = "error: report /dev/full: cannot be written: No space left on device"
    assert done.stderr == f"{full}; look at loader_runs for what the run did\n"
    assert project.manage("insert_data", "--report=/dev/full", "--max-rejects=0").returncode == 4
    with open("/dev/full", "w") as device, project.start("insert_data", stdout=device) as process:
        assert process.stderr is not None
        assert process.stderr.read() == "error: the output cannot be written: No space left on device\n"
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 3), (("--nonsense",), 2)])
def test_errors_to_a_closed_pipe_change_no_exit_code(project: Project, arguments: tuple[str, ...], code: int) -> None:
    source = project.file("u.csv", "id,name,email,age\n1,,@,7\n")
    with (
        open("/dev/full", "w") as full,
        project.start("insert_data", f"users={source}", *arguments, stderr=full) as run,
    ):
        out, _ = run.communicate()
    assert run.returncode == code
    assert ("Failed validation" in out) == (code != 2)


def test_signals_while_a_commit_waits_are_put_off_and_reported_rightly(project: Project) -> None:
    """A reader holds up the commit of the second database, which keeps no log; two interrupts come meanwhile."""
    for mode in MODES:
        project.call("init_db", "--fresh")
        with closing(sqlite3.connect(project.directory / "products.db", isolation_level=None)) as reader:
            reader.execute("PRAGMA journal_mode = DELETE")
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM products").fetchall()
            with project.start("insert_data", f"--mode={mode}") as process:
                wait_while(lambda: not project.query("users", "SELECT * FROM loader_runs"))
                time.sleep(0.1)
                for _ in range(2):
                    process.send_signal(signal.SIGINT)
                    time.sleep(0.1)
                reader.execute("ROLLBACK")
                _, error = process.communicate()
        assert (process.returncode, error) == (130, "error: interrupted, but everything was kept already\n")
        assert len(project.query("orders", "SELECT * FROM orders")) == 7


@pytest.mark.whole
@pytest.mark.parametrize(
    "closed",
    [">&-", ">&- 2>&- <&-", *(pytest.param(one, marks=pytest.mark.wide) for one in ("2>&-", "<&-"))],
)
def test_closed_streams_do_no_harm(project: Project, closed: str) -> None:
    command = ["sh", "-c", f'"{sys.executable}" manage.py insert_data {closed}']
    done = subprocess.run(
        command, cwd=ROOT, env=project.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(project.query("users", "SELECT * FROM users")) == 9


def test_stdin_may_be_a_file_or_closed(project: Project) -> None:
    source = Path(project.file("u.csv", "id,name,email\n1,a,@\n"))
    with source.open() as given, project.start("insert_data", "users=-", stdin=given) as process:
        assert process.communicate()[1] == ""
    assert len(project.query("users", "SELECT * FROM users")) == 1
    command = ["sh", "-c", f'"{sys.executable}" manage.py insert_data users=- <&-']
    done = subprocess.run(
        command, cwd=ROOT, env=project.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (1, "error: -: cannot be read: stdin is closed\n")


def test_a_failure_does_not_wait_for_a_silent_pipe(project: Project) -> None:
    bad = project.file("p.csv", "id,name,price\n" + "1,,0\n" * 10)
    command = ("insert_data", f"products={bad}", "users:csv=-", "--max-rejects=3")
    with project.start(*command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        # A block and a little more, which the pipe holds: then the run waits for what never comes.
        process.stdin.write(("id,name,email\n" + f"1,{'a' * 1_000},@\n" * 5_000)[: (2 << 20) + 1_000])
        process.stdin.flush()
        assert process.wait() == 4


@pytest.mark.turns("mode")
@pytest.mark.parametrize("mode", MODES)
def test_ctrl_c_is_felt_while_a_pipe_is_silent(project: Project, mode: str) -> None:
    """Also where a library that the command imports has changed how it comes, which a fork has forgotten."""
    command = ("insert_data", f"--mode={mode}", "users=-")
    with project.start(*command, is_real=True, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        # A pipe holds 64 KiB: once more than that is taken, the run is reading.
        process.stdin.write("id,name,email\n" + "x" * 200_000)
        process.stdin.flush()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr is not None
        assert process.stderr.read() == "error: interrupted: nothing was kept; run the same command again\n"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_keeps_nothing_and_leaves_one_line(
    project: Project, mode: str, number: signal.Signals, code: int
) -> None:
    rows = "".join(f"{key},n,@\n" for key in range(300_000))
    source = project.file("u.csv", f"id,name,email\n{rows}")
    report = project.directory / "report.json"
    # Stdin never ends, so the run is still going on whenever the signal comes.
    with project.start(
        *("insert_data", f"--mode={mode}", f"users={source}", "users:csv=-", "--report", str(report)),
        stdin=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write("id,name,email\n" + "x" * 2_000_000)
        process.stdin.flush()
        time.sleep(0.2)
        process.send_signal(number)
        out, error = process.communicate()
    assert process.returncode == code
    assert (out, error) == ("", "error: interrupted: nothing was kept; run the same command again\n")
    assert json.loads(report.read_text())["status"] == "interrupted"
    assert project.query("users", "SELECT * FROM users") == []
