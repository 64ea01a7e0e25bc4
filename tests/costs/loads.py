"""Whole loads, each `insert_data` from its start to its end: of ten records, and of millions."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.data import TABLES, made
from benchmarks.measure import Work, measure
from tests.costs.place import Place, place

ROOT = Path(__file__).resolve().parents[2]
# The share of bad records.
INVALID = 0.01
# So small that a few million records make several shares.
_SHARE_MIB = 4
# manage.py, except that the workers of a run are processes, like those of a cluster, even if they are few.
_WITH_PROCESSES = """
import sys
from django.core.management import execute_from_command_line
from async_loader.modes.dask import local
local.MOST_THREADS = 0
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def starts(here: Place) -> dict[str, float]:
    """Return wall seconds of runs of ten records, and CPU seconds of all processes except the server's."""
    for table, frame in made(10, 0).items():
        frame.write_csv(here.directory / f"few-{table}.csv")
    sources = {table: here.directory / f"few-{table}.csv" for table in TABLES}
    several, spent = 5, {}
    for workers in (0, 1, several):
        runs = [run(here, sources, workers) for _ in range(3)]
        spent[workers] = tuple(statistics.median(each[key] for each in runs) for key in ("wall", "client"))
    return {
        "start": spent[0][0],
        "start_cpu": spent[0][1],
        "start_cluster": spent[1][0],
        "start_cluster_cpu": spent[1][1],
        "start_worker_cpu": max(0.0, spent[several][1] - spent[1][1]) / (several - 1),
    }


def run(here: Place, sources: Mapping[str, Path], workers: int) -> dict[str, float]:
    """Run one `insert_data` on empty tables, in one process if there are no workers, and return what it took."""
    here.empty()
    environment = os.environ | {f"{table.upper()}_DATABASE_URL": here.postgres.url(table) for table in TABLES}
    given = [f"{table}={path}" for table, path in sources.items()]
    options = ["--mode=dask", f"--workers={workers}", f"--share-size={_SHARE_MIB}"] if workers else ["--mode=async"]
    program = ["-c", _WITH_PROCESSES] if workers else [str(ROOT / "manage.py")]
    command = [sys.executable, *program, "insert_data", "--no-progress", *options, *given]
    errors, usages = here.directory / "errors", []
    spent = here.clock(lambda: usages.append(measure(Work([command]), ROOT, environment, errors)))
    return {"wall": usages[0].seconds, "client": usages[0].cpu_seconds, "server": spent.server}


def runs(records: int, repeat: int) -> Iterator[dict[str, Any]]:
    """Measure loads of that many records in all: in one process, over one worker and over two, in turn."""
    with place() as here:
        sources = {table: here.directory / f"{table}.csv" for table in TABLES}
        for table, frame in made(records // 3, INVALID).items():
            frame.write_csv(sources[table])
        for _ in range(repeat):
            for workers in (0, 1, 2):
                facts = {
                    "records": records,
                    "workers": workers,
                    "cores": os.cpu_count(),
                    "share_size": _SHARE_MIB << 20,
                }
                yield facts | run(here, sources, workers)
