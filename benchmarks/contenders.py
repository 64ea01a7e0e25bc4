"""The contenders of the benchmark, as a table of values. To add a contender, add an entry."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from async_loader import Table
from async_loader.contrib.django.models import tables
from benchmarks import generated_keys
from benchmarks.data import SCHEMA, TABLES, Dataset
from benchmarks.databases import Databases
from benchmarks.measure import Work
from benchmarks.server import binaries, newest

_PEERS_EXTRA = "pip install -e '.[peers]'"
_DASK_EXTRA = "pip install -e '.[dask]'"
# How many workers the mode dask has.
_WORKERS = 2


def _always() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that loads files into databases, and what it starts with.

    label: what the table calls it.
    work: the commands, from the dataset to read and the databases to load it into.
    data, tables: the dataset that it reads, and whose records of it.
    start: what its databases hold beforehand, a name in STARTS.
    rows: a name for the rows that it leaves. All checking contenders with the same name must leave equal rows; None
        if nothing is stored.
    checks: whether it checks rules and references. One that does not must store every record.
    compared: whether its seconds are compared with those of the mode `async`; by record if the two had other numbers
        of records.
    by_ids: the name of the contender that loads the same records by their ids, with which it is compared; None if there
        is none.
    missing: why it cannot run on this machine; empty if it can.
    """

    name: str
    label: str
    work: Callable[[Dataset, Databases], Work]
    data: str = "csv"
    tables: tuple[str, ...] = TABLES
    start: str = "nothing"
    rows: str | None = "all"
    checks: bool = True
    compared: bool = True
    by_ids: str | None = None
    missing: Callable[[], str] = _always


@dataclass(frozen=True, slots=True)
class Start:
    """What databases hold before a run: tables, and the datasets that were loaded into them, each with its tables."""

    declared: Callable[[], tuple[Table, ...]]
    loaded: tuple[tuple[str, tuple[str, ...]], ...] = ()


# By name, what databases can hold before a run.
STARTS: dict[str, Start] = {
    "nothing": Start(tables.declared),
    "the same": Start(tables.declared, (("csv", TABLES),)),
    "other values": Start(tables.declared, (("changed", TABLES),)),
    "users and products": Start(tables.declared, (("csv", ("users", "products")),)),
    "generated keys": Start(generated_keys.tables),
    "generated keys stored": Start(generated_keys.tables, (("numbered", TABLES),)),
    "generated keys in part": Start(generated_keys.tables, (("numbered", ("users", "products")),)),
}


def _insert_data(*options: str, tables: tuple[str, ...] = TABLES) -> Callable[[Dataset, Databases], Work]:
    def work(data: Dataset, _: Databases) -> Work:
        sources = [f"{table}={data.source(table)}" for table in tables]
        return Work([_manage("insert_data", "--no-progress", *options, *sources)])

    return work


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def _sqlite3(*, together: bool) -> Callable[[Dataset, Databases], Work]:
    def work(data: Dataset, databases: Databases) -> Work:
        shell = shutil.which("sqlite3") or "sqlite3"
        commands = [
            # The user's ~/.sqliterc is not read.
            [
                *(shell, "-batch", "-init", os.devnull, str(databases.locations[table])),
                f".import --csv --skip 1 {_shell_text(data.source(table))} {table}",
            ]
            for table in TABLES
        ]
        return Work(commands, together=together)

    return work


def _shell_text(path: Path) -> str:
    """Return the path as the sqlite3 shell's own commands read it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _sqlite_utils(data: Dataset, databases: Databases) -> Work:
    command = [sys.executable, "-m", "sqlite_utils", "insert"]
    return Work([[*command, str(databases.locations[t]), t, str(data.source(t)), "--csv"] for t in TABLES])


def _peer(name: str) -> Callable[[Dataset, Databases], Work]:
    def work(data: Dataset, databases: Databases) -> Work:
        return Work([[sys.executable, "-m", "benchmarks.peers", name, str(data.directory), str(databases.directory)]])

    return work


def _psql(*, together: bool) -> Callable[[Dataset, Databases], Work]:
    def work(data: Dataset, databases: Databases) -> Work:
        return Work([_copy(table, data, databases) for table in TABLES], together=together)

    return work


def _copy(table: str, data: Dataset, databases: Databases) -> list[str]:
    """Return the command that copies a table. It does not read ~/.psqlrc, and takes no empty text for null."""
    columns, source = ", ".join(SCHEMA[table]), str(data.source(table)).replace("'", "''")
    copy = rf"\copy {table} ({columns}) from '{source}' with (format csv, header, null '\N')"
    return [_psql_program(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", str(databases.locations[table]), "-c", copy]


def _psql_program() -> str:
    """Return the path of the wheel's psql, which has the server's version, or else of the installed one."""
    version = newest()
    directory = binaries(version) if version else None
    return str(directory / "psql") if directory else shutil.which("psql") or ""


def _copying(data: Dataset, databases: Databases) -> Work:
    figures = databases.directory / "figures.json"
    command = [sys.executable, "-m", "benchmarks.copying", str(data.directory), str(figures)]
    return Work([command], figures=figures)


def _without_psql() -> str:
    return "" if _psql_program() else "psql is not installed"


def _without_shell() -> str:
    return "" if shutil.which("sqlite3") else "the sqlite3 shell is not installed"


def _without(module: str, extra: str = _PEERS_EXTRA) -> Callable[[], str]:
    return lambda: "" if find_spec(module) else f"not installed; {extra}"


def _generated(*options: str, tables: tuple[str, ...] = TABLES) -> Callable[[Dataset, Databases], Work]:
    """Return a load into the tables of `generated_keys`."""
    return _insert_data(f"--settings={generated_keys.SETTINGS}", *options, tables=tables)


_MATCH = tuple(f"--match={table}={column}" for table, column in generated_keys.NAMES.items())

# The records that the cases `match` and `lookup` are compared with.
_BY_IDS = Contender(
    *("ids", "valid records, by id", _generated()),
    data="numbered",
    start="generated keys",
    rows="numbered",
    compared=False,
)
_ORDERS_BY_IDS = replace(
    _BY_IDS,
    work=_generated(tables=("orders",)),
    tables=("orders",),
    start="generated keys in part",
)

MODES = (
    Contender("async", "insert_data --mode async", _insert_data("--mode=async")),
    Contender("threads", "insert_data --mode threads", _insert_data("--mode=threads")),
    Contender("sequential", "insert_data --mode sequential", _insert_data("--mode=sequential")),
)

# The contenders of each case, by its name in `--cases`.
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
    "one-table": (
        Contender(
            *("one-table", "one table, three times as long", _insert_data(tables=("users",))),
            data="one-table",
            tables=("users",),
            rows="one table",
        ),
    ),
    "match": (
        _BY_IDS,
        replace(
            _BY_IDS, name="match", label="the same without ids", work=_generated(*_MATCH), data="keyless", by_ids="ids"
        ),
        replace(_BY_IDS, name="ids-again", label="by id, again", start="generated keys stored"),
        replace(
            _BY_IDS,
            name="match-again",
            label="without ids, again",
            work=_generated(*_MATCH),
            data="keyless",
            start="generated keys stored",
            by_ids="ids-again",
        ),
    ),
    "lookup": (
        _BY_IDS,
        replace(_BY_IDS, name="lookup", label="orders by e-mail and name", data="named", by_ids="ids"),
        replace(_ORDERS_BY_IDS, name="ids-orders", label="orders alone, by id"),
        replace(
            _ORDERS_BY_IDS,
            name="lookup-orders",
            label="orders alone, by e-mail and name",
            data="named",
            by_ids="ids-orders",
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

PEERS: tuple[Contender, ...] = (
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

_dask = _insert_data("--mode=dask", f"--workers={_WORKERS}")
_without_dask = _without("distributed", _DASK_EXTRA)

SERVED_CASES: dict[str, tuple[Contender, ...]] = {
    **CASES,
    "csv": (*MODES, Contender("dask", "insert_data --mode dask, two workers", _dask, missing=_without_dask)),
    "shuffled": (Contender("shuffled", "ids in random order", _insert_data(), data="shuffled"),),
    "sample": (
        *CASES["sample"],
        Contender(
            *("sample-dask", "the sample, --mode dask", _dask),
            data="sample",
            rows="sample",
            compared=False,
            missing=_without_dask,
        ),
    ),
    "copy": (
        Contender("copy", "COPY alone: the loader's", _copying, data="sorted", checks=False, compared=False),
        Contender(
            *("copy-psql", "COPY alone: psql \\copy", _psql(together=False)),
            data="sorted",
            checks=False,
            compared=False,
            missing=_without_psql,
        ),
    ),
}

SERVED_PEERS: tuple[Contender, ...] = (
    Contender("psql", "psql \\copy", _psql(together=False), checks=False, missing=_without_psql),
    Contender(
        *("psql-together", "psql \\copy, three at once", _psql(together=True)), checks=False, missing=_without_psql
    ),
    Contender(*("executemany", "psycopg executemany, three threads", _peer("executemany")), data="part", checks=False),
    Contender("bulk_create", "Django bulk_create", _peer("bulk_create"), data="part", checks=False),
)

# By store, its cases and its peers.
STORES: dict[str, tuple[dict[str, tuple[Contender, ...]], tuple[Contender, ...]]] = {
    "sqlite": (CASES, PEERS),
    "postgresql": (SERVED_CASES, SERVED_PEERS),
}
