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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distributed import Client

from async_loader import Cluster, Run
from tests import processes
from tests.processes import until

ROOT = Path(__file__).resolve().parents[1]
# Where workers find the file.
_VARIABLE = "TEST_CLUSTER_DATABASES"


def location(name: str) -> str:
    """Return where a database is. Workers call this."""
    where: str = json.loads(Path(os.environ[_VARIABLE]).read_text())[name]
    return where


class Workers:
    """A scheduler, and workers without nannies. `options` go to each program, such as those of TLS."""

    def __init__(
        self,
        directory: Path,
        count: int,
        threads: int = 1,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory, self._threads = directory, threads
        self._options = options
        self._databases = directory / "databases.json"
        self._environment = os.environ | {
            _VARIABLE: str(self._databases),
            "PYTHONPATH": str(ROOT),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "20",
            # To look at a worker a hundred times a second costs more than most tests need of it.
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
            **(environment or {}),
        }
        self._started = 0
        self.scheduler = self.start_scheduler(0)
        self.address: str = self._contact()["address"]
        self.workers: dict[str, subprocess.Popen[str]] = {}
        self.fill(count)

    def start_scheduler(self, port: int) -> subprocess.Popen[str]:
        """Start a scheduler at a port, or at any free port for 0."""
        (self.directory / "scheduler.json").unlink(missing_ok=True)
        place = ["--host=127.0.0.1", f"--port={port}", f"--scheduler-file={self.directory / 'scheduler.json'}"]
        return self._start("scheduler", *place, "--no-show", "--dashboard-address=127.0.0.1:0")

    def fill(self, count: int) -> None:
        """Start workers until `count` of them run; those that have ended do not count."""
        self.workers = {name: process for name, process in self.workers.items() if process.poll() is None}
        while len(self.workers) < count:
            self.start_worker()

    def ready(self, count: int) -> None:
        """Provide a scheduler and `count` workers, whatever has become of earlier ones."""
        if self.scheduler.poll() is not None:
            self.restart_scheduler()
        self.fill(count)

    def start_worker(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start one more worker; without a nanny, unless options say otherwise."""
        name = f"worker-{self._started}"
        nanny = [] if "--nanny" in options else ["--no-nanny"]
        place = [
            "--host=127.0.0.1",
            "--no-dashboard",
            f"--local-directory={self.directory}",
            f"--nthreads={self._threads}",
        ]
        self.workers[name] = self._start(
            "worker", self.address, f"--name={name}", *place, *nanny, *options, **environment
        )
        return self.workers[name]

    def end_workers(self) -> None:
        """Kill all of them."""
        for process in self.workers.values():
            end(process)

    def wait_for(self, count: int) -> None:
        """Wait until the scheduler knows exactly `count` workers."""
        with Client(self.address, set_as_default=False) as asked:
            until(lambda: len(asked.scheduler_info(n_workers=-1)["workers"]) == count, f"{count} workers")

    def at_work(self) -> list[str]:
        """Return the names of the workers that have work."""
        with Client(self.address, set_as_default=False) as asked:
            known = asked.scheduler_info(n_workers=-1)["workers"]
            return [known[address]["id"] for address, tasks in asked.processing().items() if tasks]

    def give_up(self, worker: subprocess.Popen[str]) -> None:
        """Let the scheduler take a worker for lost, as it does by itself after minutes of silence."""
        [name] = [name for name, process in self.workers.items() if process is worker]
        with Client(self.address, set_as_default=False) as asked:
            asked.run_on_scheduler(_give_up, name)

    def restart_scheduler(self) -> None:
        """Start another scheduler at the same address in the place of the first."""
        end(self.scheduler)
        self.scheduler = self.start_scheduler(int(self.address.rpartition(":")[2]))
        self._contact()

    def cluster(self, databases: Mapping[str, Any], **options: Any) -> Cluster:
        """Return the cluster for loads into these databases."""
        self._write_locations(databases)
        wanted: dict[str, Any] = {"scheduler": self.address, "share_size": 60} | options
        return Cluster(**wanted, stores="tests.cluster:location")

    def environment(self, databases: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the variables by which other workers find the databases."""
        self._write_locations(databases)
        return {_VARIABLE: str(self._databases)}

    def _write_locations(self, databases: Mapping[str, Any]) -> None:
        """Let workers know where databases are."""
        new = self._databases.with_suffix(".new")
        new.write_text(json.dumps({name: str(where) for name, where in databases.items()}))
        new.replace(self._databases)

    def logs(self) -> str:
        """Return all that the programs have printed."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def end(self) -> None:
        """End all that was started and has not ended."""
        end(self.scheduler)
        self.end_workers()

    def _contact(self) -> dict[str, Any]:
        file = self.directory / "scheduler.json"

        def read() -> Any:
            assert self.scheduler.poll() is None, self.logs()
            with contextlib.suppress(OSError, ValueError):
                return json.loads(file.read_text())

        address: dict[str, Any] = until(read, "the scheduler")
        return address

    def _start(self, program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        self._started += 1
        command = ["-m", f"distributed.cli.dask_{program}", *arguments, *self._options]
        with (self.directory / f"{program}-{self._started}.log").open("wb") as log:
            return processes.start(
                command,
                # A fork has the package of this repository.
                is_real="PYTHONPATH" in environment,
                cwd=self.directory,
                env=self._environment | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


async def _give_up(name: str, dask_scheduler: Any) -> None:
    lost = [address for address, worker in dask_scheduler.workers.items() if worker.name == name]
    await dask_scheduler.restart_workers(lost, wait_for_workers=False, stimulus_id="silent")


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that may have ended or been stopped."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.wait()


def client(sources: Mapping[str, str], databases: Mapping[str, Any], cluster: Cluster) -> subprocess.Popen[str]:
    """Start a load of the sample's tables in a process of its own."""
    arguments = json.dumps([sources, {name: str(where) for name, where in databases.items()}, asdict(cluster)])
    return processes.start(["-m", "tests.cluster", arguments], cwd=ROOT, env=os.environ)


@contextlib.contextmanager
def workers(
    count: int = 2, threads: int = 1, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Workers]:
    """Run a new cluster, and end it."""
    directory = Path(tempfile.mkdtemp(prefix="workers"))
    try:
        started = Workers(directory, count, threads, options, environment)
        try:
            yield started
        finally:
            started.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _main(arguments: str) -> None:
    from tests.sample import TABLES

    sources, databases, cluster = json.loads(arguments)
    Run(TABLES, sources, databases, mode="dask", cluster=Cluster(**cluster)).perform()


if __name__ == "__main__":
    _main(sys.argv[1])
