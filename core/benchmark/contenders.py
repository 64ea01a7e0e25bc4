"""Who runs: a table of values. To add a contender is to add an entry."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.benchmark.data import TABLES, Dataset
from core.benchmark.measure import Work

_PEERS_EXTRA = "pip install -e '.[peers]'"


def _always() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that loads files into databases, and what it starts with.

    label: what the table calls it.
    work: the commands, from the dataset to read and the directory of the databases.
    data, tables: the dataset that it reads, and whose records of it.
    start: what its databases hold beforehand, a name in STARTS.
    rows: what the rows that it leaves are called. All contenders that check and say the same leave equal ones; None
        where nothing is stored.
    checks: whether it checks rules and references. One that does not must store every record.
    compared: whether its seconds can be set against those of the mode `async`; by record where the two had not as many.
    missing: why it cannot run on this machine; empty where it can.
    """

    name: str
    label: str
    work: Callable[[Dataset, Path], Work]
    data: str = "csv"
    tables: tuple[str, ...] = TABLES
    start: str = "nothing"
    rows: str | None = "all"
    checks: bool = True
    compared: bool = True
    missing: Callable[[], str] = _always


# By name, what databases can hold before a run: what is loaded into them, as dataset and tables.
STARTS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "nothing": (),
    "the same": (("csv", TABLES),),
    "other values": (("changed", TABLES),),
    "users and products": (("csv", ("users", "products")),),
}


def _insert_data(*options: str, tables: tuple[str, ...] = TABLES) -> Callable[[Dataset, Path], Work]:
    def work(data: Dataset, _: Path) -> Work:
        sources = [f"{table}={data.source(table)}" for table in tables]
        return Work([_manage("insert_data", "--no-progress", *options, *sources)])

    return work


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def _sqlite3(*, together: bool) -> Callable[[Dataset, Path], Work]:
    def work(data: Dataset, databases: Path) -> Work:
        shell = shutil.which("sqlite3") or "sqlite3"
        commands = [
            # Whatever stands in ~/.sqliterc is no part of this.
            [
                *(shell, "-batch", "-init", os.devnull, str(databases / f"{table}.db")),
                f".import --csv --skip 1 {_shell_text(data.source(table))} {table}",
            ]
            for table in TABLES
        ]
        return Work(commands, together=together)

    return work


def _shell_text(path: Path) -> str:
    """The path as the sqlite3 shell's own commands read it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _sqlite_utils(data: Dataset, databases: Path) -> Work:
    command = [sys.executable, "-m", "sqlite_utils", "insert"]
    return Work([[*command, str(databases / f"{t}.db"), t, str(data.source(t)), "--csv"] for t in TABLES])


def _peer(name: str) -> Callable[[Dataset, Path], Work]:
    def work(data: Dataset, databases: Path) -> Work:
        return Work([[sys.executable, "-m", "core.benchmark.peers", name, str(data.directory), str(databases)]])

    return work


def _without_shell() -> str:
    return "" if shutil.which("sqlite3") else "the sqlite3 shell is not installed"


def _without(module: str) -> Callable[[], str]:
    return lambda: "" if find_spec(module) else f"not installed; {_PEERS_EXTRA}"


MODES = (
    Contender("async", "insert_data --mode async", _insert_data("--mode=async")),
    Contender("threads", "insert_data --mode threads", _insert_data("--mode=threads")),
    Contender("sequential", "insert_data --mode sequential", _insert_data("--mode=sequential")),
)

# By what `--cases` calls them.
CASES: dict[str, tuple[Contender, ...]] = {
    "csv": MODES,
    "jsonl": (Contender("jsonl", "JSON Lines", _insert_data(), data="jsonl"),),
    "parquet": (Contender("parquet", "Parquet", _insert_data(), data="parquet"),),
    "again": (Contender("again", "again, nothing changed", _insert_data(), start="the same"),),
    "update": (Contender("update", "update of every row", _insert_data("--on-conflict=update"), start="other values"),),
    "quoted": (Contender("quoted", "every text quoted", _insert_data(), data="quoted", rows="quoted"),),
    "half-bad": (Contender("half-bad", "half the records bad", _insert_data(), data="half-bad", rows="half-bad"),),
    "orders-alone": (
        Contender(
            "orders-alone",
            "orders alone",
            _insert_data(tables=("orders",)),
            tables=("orders",),
            start="users and products",
            compared=False,
        ),
    ),
    "ten-orders": (
        Contender(
            "ten-orders",
            "ten orders",
            _insert_data(tables=("orders",)),
            data="ten",
            tables=("orders",),
            start="users and products",
            rows="ten orders",
            compared=False,
        ),
    ),
    "sample": (Contender("sample", "the sample", _insert_data(), data="sample", rows="sample", compared=False),),
    "check": (
        Contender(
            "check",
            "manage.py check",
            lambda *_: Work([_manage("check")]),
            data="sample",
            tables=(),
            rows=None,
            compared=False,
        ),
    ),
}

PEERS = (
    Contender(
        *("sqlite3", "sqlite3 .import", _sqlite3(together=False)),
        checks=False,
        missing=_without_shell,
    ),
    Contender(
        *("sqlite3-together", "sqlite3 .import, three at once", _sqlite3(together=True)),
        checks=False,
        missing=_without_shell,
    ),
    Contender("executemany", "executemany, three threads", _peer("executemany"), checks=False),
    Contender("bulk_create", "Django bulk_create", _peer("bulk_create"), data="part", checks=False),
    Contender("loaddata", "Django loaddata", _peer("loaddata"), data="fixture", checks=False),
    Contender(
        *("sqlite-utils", "sqlite-utils insert --csv", _sqlite_utils),
        data="part",
        checks=False,
        missing=_without("sqlite_utils"),
    ),
    Contender(
        *("import-export", "django-import-export", _peer("import-export")),
        data="part",
        checks=False,
        missing=_without("import_export"),
    ),
)
