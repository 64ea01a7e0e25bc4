"""Databases that are SQLite files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.data import TABLES
from benchmarks.databases import VARIABLES, Databases


class Files:
    """SQLite, as `databases/<contender>/<table>.db` of a directory."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def start(self, name: str) -> tuple[Mapping[str, Path | str], bool]:
        """Return the locations of the files of a start, and whether their directory has just been made."""
        directory = self._start(name)
        is_new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        return {table: directory / f"{table}.db" for table in TABLES}, is_new

    def settle(self, name: str) -> None:
        """Do nothing: files do not change by themselves."""

    def fresh(self, contender: str, start: str) -> Databases:
        """Copy the files of a start, and have the system write all that earlier runs have left to it."""
        directory = self._place / "databases" / contender
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self._start(start), directory)

        os.sync()
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}
        locations: dict[str, Path | str] = {table: directory / f"{table}.db" for table in TABLES}
        return Databases(directory, locations, environment | {"DATABASE_DIR": str(directory)})

    def remove(self, contender: str) -> None:
        """Remove the directory of a contender's run."""
        shutil.rmtree(self._place / "databases" / contender)

    def cpu_seconds(self) -> None:
        """Return None: SQLite runs within the contender's process."""

    def version(self) -> Mapping[str, str]:
        """Return nothing: the version of SQLite, a library of Python's, is among the facts already."""
        return {}

    def _start(self, name: str) -> Path:
        return self._place / "start" / name.replace(" ", "-")
