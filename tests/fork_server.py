"""A process that has imported Django and the loader, and forks into whatever Python program a test asks for.

To be run as a script, with the descriptor of a listening socket as its argument. Each connection is one request
(`tests/fork_client.py`): four bytes, its length, with the descriptors of the new process; then JSON. The answer is the
id of the new process, in four bytes, or 0 where there is none; then its wait status, in four more, when it has ended.
The server ends when its stdin is closed.

The server waits in `select` for all of these. A handler of signals may not take part in that: a signal that comes just
before `select` does not end it, and the handler would run when another request comes, which may be never. So a signal
writes a byte into a pair of sockets, which `select` looks at as well.

A fork copies one thread only. So nothing here may start a thread pool, an event loop or a database connection, nor read
Django's settings: `_preload` imports, and no more.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import re
import resource
import runpy
import select
import signal
import socket
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# What most commands import that is no part of this repository.
LIBRARIES = (
    "aiosqlite",
    "distributed",
    "distributed.cli.utils",
    "distributed.deploy.local",
    "distributed.http",
    "django.core.management.commands.check",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.template.backends.django",
    "django.template.defaulttags",
    "django.views.debug",
    "django.views.generic",
    "msgspec",
    "polars",
    "psycopg",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "rich.progress",
)

# Variables that are read when the interpreter starts or a library is imported, so that a fork would not heed them.
_READ_AT_START = re.compile(
    r"PYTHON(?!PATH$|WARNINGS$|UNBUFFERED$|DONTWRITEBYTECODE$)|LC_|LANG|LD_|MALLOC_|POLARS_"
    r"|DASK_(?!DISTRIBUTED__(COMM__TLS__|SCHEDULER__(ALLOWED_FAILURES|WORKER_TTL)$|WORKER__PROFILE__ENABLED$))"
)
_MOST_DESCRIPTORS = 50
# Seconds for a request to come whole once it is begun.
_PATIENCE = 60
# The answer to a request for a process that a fork cannot be.
_NO_PROCESS = (0).to_bytes(4, "big")
# The exit code of an interpreter that could not write what its program had written (`Py_Exit`).
_OUTPUT_LOST = 120


def main(descriptor: int) -> None:
    """Serve requests to the end; in each fork, run the program that was asked for."""
    search_path = sys.path[1:]
    sys.path[0] = str(ROOT)
    # What libraries want ignored is theirs to say in the forks: there they are imported already, or not at all.
    environment = dict(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _preload()
    with socket.socket(fileno=descriptor) as listener:
        request = Server(listener, environment).serve()
    if request is None:
        return
    _become(request, search_path)
    # No memory is freed at the end, as the interpreter does: most programs take less time than to copy every page of
    # what the server had imported, only to free it.
    os._exit(_left_with(request["arguments"]) & 0xFF)


def _preload() -> None:
    from django.core.exceptions import ImproperlyConfigured

    from async_loader.contrib.django.process import tune

    # The parts that read settings at once are left to the forks.
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    tune()
    package = importlib.import_module("async_loader")
    parts = (part.name for part in pkgutil.walk_packages(package.__path__, "async_loader."))
    for name in (*LIBRARIES, *parts):
        # What is not installed is missing in the forks as well.
        with suppress(ImproperlyConfigured, ImportError):
            importlib.import_module(name)
    # A fork need not copy the pages of these objects for the sake of the collector's marks.
    gc.freeze()


class Server:
    """Forks, and reports how the forks ended."""

    def __init__(self, listener: socket.socket, environment: Mapping[str, str]) -> None:
        self._listener = listener
        self._read_at_start = _read_at_start(environment)
        self._peers: dict[int, socket.socket] = {}
        # What the signal of an ended process writes into, and where that is read.
        self._signals, self._woken = socket.socketpair()

    def serve(self) -> dict[str, Any] | None:
        """Return the request in a process that was forked for it, and None in the server at its end."""
        # Ctrl-C at a terminal goes to all processes there; this one ends with the tests.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._signals.settimeout(0)
        signal.set_wakeup_fd(self._signals.fileno(), warn_on_full_buffer=False)
        # Python writes the byte for signals that have a handler only.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        stdin = 0
        waited_for: list[Any] = [self._listener, self._woken, stdin]
        while stdin not in (ready := select.select(waited_for, [], [])[0]):
            if self._woken in ready:
                self._woken.recv(4096)
                self._reap()
            if self._listener in ready and (request := self._accept()) is not None:
                return request
        return None

    def _accept(self) -> dict[str, Any] | None:
        """Take the next request. Return it in the process that was forked for it, and None in the server."""
        peer, _ = self._listener.accept()
        peer.settimeout(_PATIENCE)
        try:
            request, given = _receive(peer)
        except (OSError, EOFError):
            # The program that asked has ended.
            peer.close()
            return None
        if _read_at_start(request["environment"]) != self._read_at_start:
            with peer, suppress(OSError):
                peer.sendall(_NO_PROCESS)
            _close(*given)
            return None
        is_fork = self._fork(peer, dict(zip(request["descriptors"], given, strict=True)))
        return request if is_fork else None

    def _fork(self, peer: socket.socket, descriptors: Mapping[int, int]) -> bool:
        """Return whether this is the new process, with its descriptors in their places."""
        # An interrupt that it gets at once must not be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        # Python and Polars warn of threads; here are only those of memory allocators, which know of forks.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            _close(self._listener, self._signals, self._woken, peer, *self._peers.values())
            _put(descriptors)
            return True
        self._peers[pid] = peer
        with suppress(OSError):
            peer.sendall(pid.to_bytes(4, "big"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        _close(*descriptors.values())
        return False

    def _reap(self) -> None:
        """Report every process that has ended; one signal may stand for several."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                with self._peers.pop(pid) as peer, suppress(OSError):
                    peer.sendall(status.to_bytes(4, "big"))


def _receive(peer: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return a request and its descriptors. Raises EOFError where it is not whole, and OSError."""
    length, descriptors, _, _ = socket.recv_fds(peer, 4, _MOST_DESCRIPTORS)
    wanted = int.from_bytes(length, "big")
    with peer.makefile("rb") as stream:
        message = stream.read(wanted)
    if not wanted or len(message) < wanted:
        _close(*descriptors)
        raise EOFError
    return json.loads(message), descriptors


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _READ_AT_START.match(name)}


def _put(descriptors: Mapping[int, int]) -> None:
    """Give each descriptor the number that it is to have, out of the way of all others first."""
    above = max(descriptors) + 1
    moved = {place: fcntl.fcntl(given, fcntl.F_DUPFD, above) for place, given in descriptors.items()}
    _close(*descriptors.values())
    for place, given in moved.items():
        os.dup2(given, place)
    _close(*moved.values())


def _close(*opened: socket.socket | int) -> None:
    for each in opened:
        if isinstance(each, int):
            os.close(each)
        else:
            each.close()


def _become(request: dict[str, Any], search_path: list[str]) -> None:
    """Make this process one whose interpreter was just started for the program that is asked for."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if request["new_session"]:
        os.setsid()
    resource.setrlimit(resource.RLIMIT_FSIZE, request["largest_file"])
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    if any(name.startswith("DASK_") for name in os.environ):
        importlib.import_module("dask").config.refresh()
    sys.warnoptions[:] = filter(None, os.environ.get("PYTHONWARNINGS", "").split(","))
    warnings._processoptions(sys.warnoptions)  # type: ignore[attr-defined]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    named = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[1:] = [*named, *search_path]
    for name in ("stdin", "stdout", "stderr"):
        stream = _reopened(getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _reopened(stream: Any) -> Any:
    """Make a standard stream anew over what its descriptor is now, as the interpreter would (`create_stdio`)."""
    number = stream.fileno()
    is_unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    buffer: Any = open(number, stream.mode + "b", 0 if is_unbuffered and number else -1, closefd=False)  # noqa: SIM115
    getattr(buffer, "raw", buffer).name = stream.name
    made: Any = io.TextIOWrapper(
        buffer,
        stream.encoding,
        stream.errors,
        newline="\n",
        line_buffering=not is_unbuffered and (number == 2 or os.isatty(number)),
        write_through=is_unbuffered,
    )
    made.mode = stream.mode
    return made


def _run(arguments: list[str]) -> None:
    """Run a program by the arguments of Python: a script, or `-m` and a module, or `-c` and code, and what follows."""
    first, *others = arguments
    if first == "-m":
        sys.path[0], sys.argv = str(Path.cwd()), others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if first == "-c":
        sys.path[0], sys.argv = "", ["-c", *others[1:]]
        code = compile(others[0], "<string>", "exec")
    else:
        script = Path.cwd() / first
        sys.path[0], sys.argv = str(script.resolve().parent), arguments
        main.__file__ = str(script)
        code = compile(script.read_bytes(), main.__file__, "exec")
    exec(code, main.__dict__)


def _left_with(arguments: list[str]) -> int:
    """Run a program to its end, and return its exit code, as the interpreter finds it."""
    code = 0
    try:
        _run(arguments)
    except SystemExit as left:
        code = _exit_code(left.code)
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
    except OSError as error:
        sys.stderr.write("".join(traceback.format_exception_only(error)))
        code = _OUTPUT_LOST
    return code


def _exit_code(given: object) -> int:
    if given is None or isinstance(given, int):
        return given or 0
    sys.stderr.write(f"{given}\n")
    return 1


if __name__ == "__main__":
    main(int(sys.argv[1]))
