"""A real Dask cluster for tests: a scheduler and workers in processes of their own, on loopback.

Workers find the databases of a test in a file, because they outlive it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from async_loader import Cluster

ROOT = Path(__file__).resolve().parents[1]
# Where workers find the file.
_VARIABLE = "TEST_CLUSTER_DATABASES"
# Seconds within which whatever is waited for must have come.
PATIENCE = 60.0


def found(name: str) -> str:
    """Where a database is: what workers call."""
    where: str = json.loads(Path(os.environ[_VARIABLE]).read_text())[name]
    return where


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something, and say what it was if it never comes."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.02)
    return value


class Workers:
    """A scheduler, and workers without nannies. `options` go to each program, such as those of TLS."""

    def __init__(self, directory: Path, count: int = 2, options: Sequence[str] = (), **environment: str) -> None:
        self.directory = directory
        self._options = options
        self._databases = directory / "databases.json"
        self._environment = os.environ | {
            _VARIABLE: str(self._databases),
            "PYTHONPATH": str(ROOT),
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2s",
            **environment,
        }
        self._started = 0
        self.scheduler = self.start_scheduler(0)
        self.address: str = self._contact()["address"]
        self.workers = [self.start_worker() for _ in range(count)]

    def start_scheduler(self, port: int) -> subprocess.Popen[bytes]:
        """A scheduler at a port, or at any for 0."""
        (self.directory / "scheduler.json").unlink(missing_ok=True)
        place = ["--host=127.0.0.1", f"--port={port}", f"--scheduler-file={self.directory / 'scheduler.json'}"]
        return self._start("scheduler", *place, "--no-show", "--no-dashboard")

    def start_worker(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """One more worker, of one thread; without a nanny, unless options say otherwise."""
        nanny = [] if "--nanny" in options else ["--no-nanny"]
        place = ["--host=127.0.0.1", "--no-dashboard", f"--local-directory={self.directory}", "--nthreads=1"]
        return self._start("worker", self.address, *place, *nanny, *options, **environment)

    def restart_scheduler(self) -> None:
        """Another one at the same address, once the first has ended."""
        self.scheduler = self.start_scheduler(int(self.address.rpartition(":")[2]))
        self._contact()

    def cluster(self, databases: Mapping[str, Any], **options: Any) -> Cluster:
        """The cluster, for loads into these databases."""
        self.tell(databases)
        wanted: dict[str, Any] = {"scheduler": self.address, "share_size": 60} | options
        return Cluster(**wanted, stores="tests.cluster:found")

    def tell(self, databases: Mapping[str, Any]) -> None:
        """Let workers know where databases are."""
        new = self._databases.with_suffix(".new")
        new.write_text(json.dumps({name: str(where) for name, where in databases.items()}))
        new.replace(self._databases)

    def logs(self) -> str:
        """All that the programs have said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def end(self) -> None:
        """End all that was started and has not ended."""
        for process in [self.scheduler, *self.workers]:
            end(process)

    def _contact(self) -> dict[str, Any]:
        file = self.directory / "scheduler.json"

        def read() -> Any:
            assert self.scheduler.poll() is None, self.logs()
            with contextlib.suppress(OSError, ValueError):
                return json.loads(file.read_text())

        told: dict[str, Any] = until(read, "the scheduler")
        return told

    def _start(self, program: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        self._started += 1
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments, *self._options]
        with (self.directory / f"{program}-{self._started}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=self._environment | environment, stdout=log, stderr=subprocess.STDOUT
            )


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that may have ended or been stopped."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.wait()


@contextlib.contextmanager
def workers(count: int = 2, options: Sequence[str] = (), **environment: str) -> Iterator[Workers]:
    """A new cluster, and its end."""
    directory = Path(tempfile.mkdtemp(prefix="workers"))
    try:
        started = Workers(directory, count, options, **environment)
        try:
            yield started
        finally:
            started.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
