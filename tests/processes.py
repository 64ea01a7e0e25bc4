"""Starts processes of Python for tests: forks of a server that has imported Django and the loader, or real starts."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests import fork_client

# Seconds after which a process is taken for one that never ends. No wait for one lasts longer, unless a test says so.
PATIENCE = 120
# What a fork can be given.
_OPTIONS = frozenset({"cwd", "env", "stdin", "stdout", "stderr", "start_new_session"})


def start(arguments: Sequence[str], *, is_real: bool = False, **options: Any) -> Process:
    """Start Python with these arguments and options of `subprocess.Popen`, of which `cwd` and `env` are needed.

    The process is a fork, unless a fork would differ from a process that is really started, or `is_real`.
    """
    return Process(arguments, may_fork=not is_real and options.keys() <= _OPTIONS, **options)


def run(arguments: Sequence[str], given: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end, with `given` as stdin; options as `start` has them."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(arguments, **pipes | options) as process:
        out, error = process.communicate(given)
    return subprocess.CompletedProcess(arguments, process.returncode, out, error)


def until(condition: Callable[[], Any], awaited: str) -> Any:
    """Wait for something, and say what it was if it never comes."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"{awaited} never came"
        time.sleep(0.02)
    return value


class _Server:
    """The fork server of this process."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="forks")
        self.address = str(Path(self._directory.name) / "socket")
        # Each fork has its own.
        environment = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS")
        }
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py")), str(listener.fileno())],
                env=environment,
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
            )
        atexit.register(self.end)

    def end(self) -> None:
        """End the server, and wait for it."""
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._directory.cleanup()


@functools.cache
def server() -> _Server:
    """Return the server, started when it is first asked for."""
    return _Server()


class Process(subprocess.Popen[str]):
    """A process that is a child of the fork server, which reports how it ended; or one that is really started."""

    def __init__(self, arguments: Sequence[str], *, may_fork: bool, **options: Any) -> None:
        self._may_fork = may_fork
        # The socket that gives the wait status of a fork.
        self._peer: socket.socket | None = None
        super().__init__([sys.executable, *arguments], text=True, **options)

    @property
    def is_fork(self) -> bool:
        """Whether it is a child of the server."""
        return self._peer is not None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the process's end, and end it first if the block failed."""
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, trace)

    def wait(self, timeout: float | None = PATIENCE) -> int:
        """Wait until the process ends, as `Popen.wait`."""
        return super().wait(timeout)

    def communicate(self, input: str | None = None, timeout: float | None = PATIENCE) -> tuple[Any, Any]:  # noqa: A002
        """Write `input` and read the outputs until the process ends, as `Popen.communicate`."""
        return super().communicate(input, timeout)

    def _execute_child(self, args: list[str], *others: Any) -> None:
        """Ask the server for the process, where Popen would fork."""
        if not self._may_fork:
            super()._execute_child(args, *others)  # type: ignore[misc]
            return
        cwd, env, pipes, new_session = others[4], others[5], others[9:15], others[20]
        streams = {own: own if end == -1 else end for own, end in enumerate((pipes[0], pipes[3], pipes[5]))}
        arguments = list(map(os.fsdecode, args[1:]))
        pid, peer = fork_client.ask(
            server().address, arguments, os.fsdecode(cwd), env, streams, new_session=new_session
        )
        if not pid:
            peer.close()
            super()._execute_child(args, *others)  # type: ignore[misc]
            return
        self.pid, self._peer, self._child_created = pid, peer, True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _internal_poll(self, **options: Any) -> Any:
        """Return the exit code, or None where the process runs."""
        if self._peer is None:
            return super()._internal_poll(**options)  # type: ignore[misc]
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._wait(0)
        return None

    def _wait(self, timeout: float | None) -> Any:
        """Wait until the server has reported the process's end."""
        if self._peer is None:
            return super()._wait(timeout)  # type: ignore[misc]
        with self._waitpid_lock:  # type: ignore[attr-defined]
            if self.returncode is None:
                if not select.select([self._peer], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                with self._peer as peer:
                    self.returncode = os.waitstatus_to_exitcode(fork_client.wait_status(peer))
            return self.returncode
