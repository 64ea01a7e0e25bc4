"""Starts processes of Python for tests: forks of a server that has imported Django and the loader, or real starts."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Variables that are read when the interpreter starts or a library is imported, so that a fork would not heed them.
_READ_AT_START = re.compile(r"PYTHON(?!PATH$)|LC_|LANG|LD_|MALLOC_|POLARS_|DASK_")
# Seconds after which a process is taken for one that never ends.
_PATIENCE = 120
# What a fork can be given.
_OPTIONS = frozenset({"cwd", "env", "stdin", "stdout", "stderr", "start_new_session"})


def start(arguments: Sequence[str], *, is_real: bool = False, **options: Any) -> subprocess.Popen[str]:
    """Start Python with these arguments and options of `subprocess.Popen`, of which `cwd` and `env` are needed.

    The process is a fork, unless a fork would differ from a process that is really started, or `is_real`.
    """
    if not is_real and _server().can_start(options):
        return Forked(_server(), arguments, **options)
    return subprocess.Popen([sys.executable, *arguments], text=True, **options)


def run(arguments: Sequence[str], given: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end, with `given` as stdin; options as `start` has them."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(arguments, **pipes | options) as process:
        out, error = process.communicate(given, timeout=_PATIENCE)
    return subprocess.CompletedProcess(arguments, process.returncode, out, error)


class _Server:
    """The server of this process, and the connection to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket, self._lock = ours, threading.Lock()
        self._environment = os.environ | {"PYTHONWARNINGS": "error"}
        self._environment.pop("PYTHONPATH", None)
        command = [sys.executable, str(Path(__file__).with_name("fork_server.py")), str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, env=self._environment, pass_fds=[theirs.fileno()])
        atexit.register(self.end)

    def can_start(self, options: Mapping[str, Any]) -> bool:
        """Return whether a fork with these options would be like a process that is really started."""
        return options.keys() <= _OPTIONS and _read_at_start(options["env"]) == _read_at_start(self._environment)

    def fork(self, request: dict[str, Any], streams: Sequence[int]) -> tuple[int, int]:
        """Return the id of a new process, and a pipe that gives its wait status."""
        status, theirs = os.pipe()
        message = json.dumps(request).encode()
        with self._lock:
            socket.send_fds(self._socket, [len(message).to_bytes(4, "big")], [*streams, theirs])
            os.close(theirs)
            self._socket.sendall(message)
            return int.from_bytes(self._socket.recv(4, socket.MSG_WAITALL), "big"), status

    def end(self) -> None:
        """End the server, and wait for it."""
        self._socket.close()
        self._process.wait()


@functools.cache
def _server() -> _Server:
    return _Server()


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _READ_AT_START.match(name)}


class Forked(subprocess.Popen[str]):
    """A process that is a child of the server, which reports how it ended."""

    def __init__(self, server: _Server, arguments: Sequence[str], **options: Any) -> None:
        self._server = server
        self._request = {
            "arguments": list(map(os.fsdecode, arguments)),
            "directory": os.fsdecode(options["cwd"]),
            "environment": dict(options["env"]),
            "new_session": options.get("start_new_session", False),
        }
        super().__init__([sys.executable, *arguments], text=True, **options)

    def _execute_child(self, *given: Any) -> None:
        """Ask the server for the process, where Popen would fork."""
        p2cread, _, _, c2pwrite, _, errwrite = pipes = given[10:16]
        streams = [own if end == -1 else end for own, end in enumerate((p2cread, c2pwrite, errwrite))]
        try:
            self.pid, self._status = self._server.fork(self._request, streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        """Return the exit code, or None where the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._wait(0)
        return None

    def _wait(self, timeout: float | None) -> int:
        """Wait until the server has reported the process's end."""
        with self._waitpid_lock:  # type: ignore[attr-defined]
            if self.returncode is None:
                if not select.select([self._status], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                with open(self._status, "rb", 0) as status:
                    self._handle_exitstatus(int(status.read()))  # type: ignore[attr-defined]
            return self.returncode
