"""Jobs have processes of their own, which outlive the one that started them, and end when they are asked or killed."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.english import ROOT
from tests.postgres import binaries, server


class Sample:
    """The sample with its console, in a directory."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "core.admin_settings",
            "DATABASE_DIR": str(directory),
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        for command in ("migrate", "init_db"):
            done = processes.run(["manage.py", command, "-v0"], cwd=ROOT, env=self.environment)
            assert done.returncode == 0, done.stderr

    def begin(self) -> str:
        """Start a process that begins a job and ends, and return the id of the job."""
        done = processes.run(["-m", "tests.admin.life"], cwd=ROOT, env=self.environment, is_real=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def job(self, key: str) -> tuple[Any, ...]:
        """Return state, run and error of a job."""
        with closing(sqlite3.connect(self.directory / "admin.db", timeout=processes.PATIENCE)) as connection:
            rows = connection.execute("SELECT state, run, error FROM async_loader_admin_job WHERE id = ?", [key])
            row: tuple[Any, ...] = rows.fetchone()
        return row

    def until(self, key: str, state: str) -> tuple[Any, ...]:
        """Wait until a job is in a state, and return what is known of it."""
        # A run that has an id is about to ask for the database.
        processes.until(
            lambda: self.job(key)[0] == state and (state != "running" or self.job(key)[1]), f"state {state}"
        )
        return self.job(key)

    def is_held(self, key: str) -> bool:
        """Return whether a process has a job."""
        with (self.directory / "uploads" / "jobs" / f"{key}.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def users(self) -> list[tuple[Any, ...]]:
        """Return the stored users."""
        with closing(sqlite3.connect(self.directory / "users.db")) as connection:
            return connection.execute("SELECT id, name FROM users").fetchall()

    @contextmanager
    def locked(self) -> Iterator[sqlite3.Connection]:
        """Hold the users' database, as another program does, so that a load has to wait."""
        with closing(sqlite3.connect(self.directory / "users.db", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """Give the sample with empty databases."""
    return Sample(tmp_path)


def test_a_job_goes_on_when_the_process_that_started_it_has_ended(sample: Sample) -> None:
    with sample.locked() as connection:
        key = sample.begin()
        sample.until(key, "running")
        assert sample.is_held(key)
        connection.execute("ROLLBACK")
    assert sample.until(key, "complete")[2] == ""
    assert sample.users() == [(1, "Ann")]


@pytest.mark.wide
def test_a_job_that_is_asked_to_end_keeps_nothing(sample: Sample) -> None:
    with sample.locked():
        key = sample.begin()
        sample.until(key, "running")
        (sample.directory / "uploads" / "jobs" / f"{key}.cancel").touch()
        assert "nothing was kept" in sample.until(key, "cancelled")[2]
    assert sample.users() == []


@pytest.mark.wide
def test_the_lock_of_a_killed_job_is_released(sample: Sample) -> None:
    with sample.locked():
        key = sample.begin()
        sample.until(key, "running")
        [process] = [path for path in Path("/proc").glob("[0-9]*") if key in _arguments(path)]
        os.kill(int(process.name), signal.SIGKILL)
        processes.until(lambda: not sample.is_held(key), "the end of the process")
    assert sample.job(key)[0] == "running"
    assert sample.users() == []


def _arguments(process: Path) -> str:
    """Return the arguments of a process, with ids as they are without hyphens."""
    try:
        return (process / "cmdline").read_text().replace("-", "")
    except OSError:
        return ""


@pytest.mark.wide
def test_a_job_loads_into_a_server(tmp_path: Path) -> None:
    if binaries() is None:
        pytest.skip("no wheel of this platform brings a PostgreSQL server")
    with server() as started:
        started.query("postgres", "CREATE DATABASE console")
        sample = Sample(tmp_path, USERS_DATABASE_URL=started.url("console"))
        assert sample.until(sample.begin(), "complete")[2] == ""
        assert started.query("console", "SELECT id, name FROM users") == [(1, "Ann")]
