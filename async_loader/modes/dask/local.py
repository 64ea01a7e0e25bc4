"""Workers of a run's own: threads of this process where they are few, else processes of this machine. No other run can
give them work, and nothing is left of them: no process, file or port.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import resource_tracker
from typing import Any

from distributed import LocalCluster, Security, Worker

from async_loader.errors import ClusterError, one_line
from async_loader.modes.dask.worker import give_up

# The most that are threads of this process: each uses the interpreter, whose lock they share, for a quarter of its time
# at most, and waits for the server for the rest.
MOST_THREADS = 4
# Dask always serves HTTP: on this machine alone, on any port that is free, and here without a page to serve.
_NOWHERE = "127.0.0.1:0"
# Seconds to wait for them to begin, and to end.
_BEGINNING = 120
_ANSWER = 30
# How often a share is given to another worker when the one that had it died.
_RETRIES = 5
# Workers are not profiled: to look at them a hundred times a second costs a fifth of a core.
_UNWATCHED = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}
# Seconds without a sign of life after which a process is given up.
_SILENCE = "30s"


class OwnWorkers:
    """A number of workers, to be started once, and ended whatever came of that. `name`: what errors call them."""

    def __init__(self, name: str, workers: int | None) -> None:
        self._name = name
        self._workers = workers
        self._cluster: LocalCluster | None = None
        self._environment = dict(os.environ)
        # Where Dask would keep what memory does not hold.
        self._scratch = tempfile.TemporaryDirectory(prefix="loader", ignore_cleanup_errors=True)

    def start(self) -> LocalCluster:
        """Start the workers. What is half started cannot be ended: where Ctrl-C comes meanwhile, they are all started
        before it takes effect.

        Raises ClusterError where they cannot be started.
        """
        with ThreadPoolExecutor(1, initializer=_keep_signals_out) as starter:
            starting = starter.submit(_own_cluster, self._workers, self._scratch.name)
            try:
                self._cluster = starting.result()
            except KeyboardInterrupt:
                with suppress(Exception):
                    self._cluster = starting.result()
                raise
            except (RuntimeError, TimeoutError) as error:
                problem = f"workers cannot be started ({one_line(error)}); see what this machine says of its memory"
                raise ClusterError(self._name, problem) from error
        return self._cluster

    def end(self) -> None:
        """End the workers. What a thread is doing ends after the statement in hand, which is not waited for."""
        if self._cluster is not None:
            with suppress(Exception):
                _close(self._cluster)
        _restore(self._environment)
        self._scratch.cleanup()


def _own_cluster(workers: int | None, directory: str) -> LocalCluster:
    """Start that many workers; None for one to a core. directory: for what memory does not hold."""
    from dask.system import CPU_COUNT

    number = workers or CPU_COUNT
    return _threads(number, directory) if number <= MOST_THREADS else processes(number, directory)


def _threads(workers: int, directory: str) -> LocalCluster:
    """Start workers that are threads: they start in no time, and hold the keys of references once. They are never given
    up for being silent: then this process, which may have slept, was silent too.
    """
    return _started(directory, None, processes=False, n_workers=1, threads_per_worker=workers)


def processes(workers: int, directory: str) -> LocalCluster:
    """Start workers that are processes. They listen on this machine alone, with certificates of the run's own."""
    return _started(
        directory,
        _SILENCE,
        n_workers=workers,
        threads_per_worker=1,
        death_timeout=_BEGINNING,
        host="127.0.0.1",
        protocol="tls://",
        security=Security.temporary(),
    )


def _started(directory: str, silence: str | None, **options: Any) -> LocalCluster:
    import dask

    settings: dict[str, Any] = {
        "temporary-directory": directory,
        "distributed.scheduler.worker-ttl": silence,
        "distributed.scheduler.allowed-failures": _RETRIES,
    }
    # Over HTTP, which is open to all, nothing is served.
    settings |= {f"distributed.{each}.http.routes": [] for each in ("scheduler", "worker")}
    with dask.config.set({**settings, **_UNWATCHED}):
        # What a worker raises comes to this process, which reports it: there is no log besides.
        return LocalCluster(
            **options,
            dashboard_address=_NOWHERE,
            worker_dashboard_address=_NOWHERE,
            memory_limit=0,
            silence_logs="CRITICAL",
        )


def _keep_signals_out() -> None:
    """Block signals in this thread, and in all threads and processes that it starts: the run ends those, and a terminal
    sends Ctrl-C to every process.
    """
    # Starting the tracker unblocks signals again, so it is started before they are blocked.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def _restore(environment: Mapping[str, str]) -> None:
    """Give the variables that Dask sets for the processes it starts the values that they had in this process."""
    import dask

    for name in ("__DASK_PARENT_PID", "PYTHONHASHSEED", *dask.config.get("distributed.nanny.pre-spawn-environ")):
        if name in environment:
            os.environ[name] = environment[name]
        else:
            os.environ.pop(name, None)


def _close(cluster: LocalCluster) -> None:
    for worker in cluster.workers.values():
        if isinstance(worker, Worker):
            give_up(worker)
            cluster.sync(worker.close, executor_wait=False, callback_timeout=_ANSWER)
    cluster.close(timeout=_ANSWER)
