"""Workers of Dask: in this process, or in others of this machine or of many. Tables are led side by side in threads, as
in mode `threads`; their shares are loaded by whichever worker is free. This is the side of the process that asks for
work; `worker` is the side of a worker, and `local` starts workers where there is no cluster.
"""

from __future__ import annotations

import threading
import time
import weakref
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker, Security

from async_loader.effects import Collect, Effect, Result, Show, Steps, Submit, Tell
from async_loader.errors import ClusterError, LoaderError, one_line
from async_loader.modes.dask.local import OwnWorkers
from async_loader.modes.dask.worker import check_versions, do_work, pickled, versions
from async_loader.modes.threads import GivenUpError, Threads
from async_loader.run.cluster import Cluster

# Seconds between two looks at what is done, and seconds to wait for a cluster to answer or to begin.
_LOOK = 0.02
_ANSWER = 30
_OUT_OF_MEMORY = "see whether their machines ran out of memory; fewer workers, or --batch-size, need less"
# Seconds for all of it to import the package, which takes long where nothing is compiled yet.
_IMPORT = 120
# Seconds between two looks at whether there are workers.
_LOOK_FOR_WORKERS = 1


class Workers(Threads):
    """Threads, but what is submitted is done by workers."""

    def __init__(self, show: Callable[[Show | Tell], None], cluster: Cluster) -> None:
        super().__init__(show)
        self._cluster = cluster
        self._name = cluster.scheduler or "of this run"
        self._client: Client | None = None
        self._own: OwnWorkers | None = None
        # Futures that are dropped elsewhere are dropped here too.
        self._submitted: weakref.WeakSet[Future] = weakref.WeakSet()
        self._submitting = threading.Lock()

    def run(self, steps: Steps[Result]) -> Result:
        """Take all steps as Threads does, with workers."""
        try:
            self._begin()
            return super().run(steps)
        finally:
            self._end()

    def perform(self, effect: Effect) -> Any:
        """Perform one effect as Threads does, or have it done by workers."""
        match effect:
            case Submit():
                return self._submit(effect)
            case Collect(tokens, take):
                return self._collect(tokens, take)
        return super().perform(effect)

    def _begin(self) -> None:
        """Connect to the cluster, or start one, and check that all of it has this process's versions."""
        try:
            security = _security(self._cluster)
        except OSError as error:
            problem = f"CA, certificate and key cannot be used ({one_line(error)}); name files in PEM"
            raise ClusterError(self._name, problem) from error
        try:
            if self._cluster.scheduler is None:
                self._own = OwnWorkers(self._name, self._cluster.workers)
                self._client = Client(self._own.start(), timeout=_ANSWER, set_as_default=False)
            else:
                self._client = Client(self._cluster.scheduler, security=security, timeout=_ANSWER, set_as_default=False)
        except (OSError, TimeoutError) as error:
            problem = f"no scheduler answers that takes this process in ({one_line(error)})"
            raise ClusterError(
                self._name, f"{problem}; check the address, and the certificates if it has any"
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=_ANSWER)
        except TimeoutError as error:
            raise ClusterError(self._name, "has no workers; start some with dask worker") from error
        self._check(self._client)

    def _check(self, client: Client) -> None:
        try:
            kinds = {"the scheduler": client.run_on_scheduler(versions, callback_timeout=_IMPORT)}
            workers = client.run(versions, callback_timeout=_IMPORT)
            kinds |= {f"worker {address}": theirs for address, theirs in workers.items()}
        except TimeoutError as error:
            problem = "not all of it answers; look for a worker that was stopped or is out of reach, and end it"
            raise ClusterError(self._name, problem) from error
        except Exception as error:
            problem = f"not all of it can do this work ({one_line(error)}); install the same packages everywhere"
            raise ClusterError(self._name, problem) from error
        for member, theirs in kinds.items():
            check_versions(self._name, member, theirs, versions())

    def _end(self) -> None:
        """Cancel all that is not done; a worker of another cluster finishes what it is doing.

        Workers of the run's own end with it, and nothing is cancelled: their scheduler, which lives in this process,
        would log that it fails at tasks which it has already cancelled with others.
        """
        if self._client is not None and self._own is None:
            with suppress(Exception):
                self._client.sync(self._client._cancel, list(self._submitted), force=True, callback_timeout=_ANSWER)
        if self._client is not None:
            with suppress(Exception):
                self._client.close(timeout=_ANSWER)
        if self._own is not None:
            self._own.end()

    def _submit(self, effect: Submit) -> Future:
        assert self._client is not None
        arguments = [pickled(each) for each in effect.arguments]
        asked_by = self._name, versions()
        try:
            future = self._client.submit(
                *(do_work, asked_by, effect.work, self._cluster.stores, arguments, list(effect.after)),
                priority=-effect.order,
                pure=False,
            )
        except (Exception, CancelledError) as lost:
            raise self._lost() from lost
        with self._submitting:
            self._submitted.add(future)
        return future

    def _collect(self, tokens: Sequence[Future], take: Callable[[Any], Show | None]) -> list[Any]:
        came: dict[Future, Any] = {}
        waiting = dict.fromkeys(tokens)
        seen = time.monotonic()
        while waiting:
            if self._given_up:
                raise GivenUpError
            # What is lost with its worker is done once more by another.
            for future in [future for future in waiting if future.status not in {"pending", "lost"}]:
                with suppress(TimeoutError):
                    came[future] = self._result(future)
                    del waiting[future]
                    if (shown := take(came[future])) is not None:
                        self._show(shown)
            unseen = time.monotonic() - seen
            if unseen > _LOOK_FOR_WORKERS and self._has_workers:
                seen = time.monotonic()
            elif unseen > _ANSWER:
                raise ClusterError(self._name, self._without_workers())
            time.sleep(_LOOK)
        return [came[future] for future in tokens]

    @property
    def _has_workers(self) -> bool:
        """Whether there are workers, as the scheduler reported some seconds ago."""
        assert self._client is not None
        return bool(self._client.scheduler_info().get("workers"))

    def _result(self, future: Future) -> Any:
        """Return what came of work. Raises TimeoutError where it cannot be had now."""
        status = future.status
        try:
            error = future.exception(timeout=_ANSWER) if status == "error" else None
            value = future.result(timeout=_ANSWER) if status == "finished" else None
        except TimeoutError:
            raise
        except (Exception, CancelledError) as lost:
            raise self._lost() from lost
        if isinstance(error, LoaderError):
            raise error
        if error is not None:
            raise ClusterError(self._name, _failure(error))
        if status == "cancelled":
            raise self._lost()
        if status != "finished":
            raise TimeoutError
        return value

    def _without_workers(self) -> str:
        if self._own is not None:
            return f"all of its processes have ended; {_OUT_OF_MEMORY}"
        return "all workers are gone; start some, and run the same command again to go on"

    def _lost(self) -> ClusterError:
        problem = "its scheduler went away; start it, and run the same command again to go on"
        return ClusterError(self._name, problem)


def _failure(error: BaseException) -> str:
    """Return what a worker failed of, and what to do: by itself the same command would fail of it again."""
    if isinstance(error, KilledWorker):
        return f"a share has ended every worker that had it; {_OUT_OF_MEMORY}"
    problem = f"a worker failed: {type(error).__name__}: {one_line(error)}"
    if isinstance(error, MemoryError):
        return f"{problem}; {_OUT_OF_MEMORY}"
    return f"{problem}; look for the cause in the worker's log, or report it as a defect"


def _security(cluster: Cluster) -> Security | None:
    """Return the certificates that this process shows to the cluster. Raises OSError where they cannot be read."""
    if not cluster.is_secure:
        return None
    for path in (cluster.ca, cluster.certificate, cluster.key):
        Path(str(path)).read_bytes()
    security = Security(
        require_encryption=True,
        tls_ca_file=str(cluster.ca),
        tls_client_cert=str(cluster.certificate),
        tls_client_key=str(cluster.key),
    )
    security.get_connection_args("client")
    return security
