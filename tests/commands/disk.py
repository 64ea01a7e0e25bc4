"""A real file system of a few hundred KiB, which the project's databases can be put on."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands.conftest import Project
from tests.processes import PATIENCE

# KiB that are room for everything.
ENOUGH = 65_536


@dataclass(frozen=True)
class Disk:
    """A file system of its own, mounted at a path."""

    path: Path

    def holds(self, project: Project, *databases: str) -> None:
        """Move these databases to the disk, with links where they were: SQLite keeps a log beside the file itself."""
        for database in databases:
            file = project.directory / f"{database}.db"
            shutil.move(file, self.path)
            file.symlink_to(self.path / file.name)

    def resize(self, kibibytes: int) -> None:
        """Make it larger or smaller; what is on it stays."""
        self._remount(f"size={kibibytes}k")

    def set_read_only(self) -> None:
        """Let nothing on it be changed any more."""
        self._remount("ro")

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", self.path], timeout=PATIENCE, check=True)

    def fill(self) -> None:
        """Leave not a byte."""
        with (self.path / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4_096))


@contextmanager
def mounted(path: Path, kibibytes: int) -> Iterator[Disk]:
    """Mount a new disk of `kibibytes` KiB, and unmount it in the end. Skips the test if mounting is not permitted."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    if done.returncode:
        pytest.skip(f"needs to mount a file system: {done.stderr.partition(chr(10))[0]}")
    try:
        yield Disk(path)
    finally:
        # Lazily, so that nothing stays even where a process that failed its test has a file open there.
        subprocess.run(["umount", "--lazy", path], timeout=PATIENCE, check=True)
