"""The measured costs of a load: a file of them, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.errors import BenchmarkError


@dataclass(frozen=True, slots=True)
class TableCosts:
    """The costs of one record of a table. CPU seconds, except for bytes.

    source, wal, stored: bytes in its source, in the server's log, and in table and indexes.
    cut, keys, read, check, write: of a worker. server: of the server, at the number of records that was measured.
    """

    source: float
    cut: float
    keys: float
    read: float
    check: float
    write: float
    server: float
    wal: float
    stored: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What `python -m tests.costs` measured. CPU seconds, except where wall seconds are named.

    records: of each table when it was measured.
    growth: of the server, for each record and doubling of its table. random, random_growth: in addition, for keys in
        random order.
    ask, learn: for each referenced key that a worker asks about, and that it reads with all others; each also of the
        server.
    share, share_server, share_wait: for each share; the last in wall seconds.
    gather: of the client, for each key of parts whose ranges overlap.
    task, task_worker: for each task of Dask, of client and scheduler together, and of a worker. idle, idle_worker: for
        each second, whatever they do.
    start, start_cluster: wall seconds of a run of ten records in one process, and over one worker; with CPU seconds of
        each, and of one more worker.
    """

    records: int
    machine: Mapping[str, Any]
    tables: Mapping[str, TableCosts]
    growth: float
    random: float
    random_growth: float
    ask: float
    ask_server: float
    learn: float
    learn_server: float
    share: float
    share_server: float
    share_wait: float
    gather: float
    task: float
    task_worker: float
    idle: float
    idle_worker: float
    start: float
    start_cpu: float
    start_cluster: float
    start_cluster_cpu: float
    start_worker_cpu: float

    def as_dict(self) -> dict[str, Any]:
        """Return the costs as a file of costs has them."""
        return asdict(self)


def costs_from(facts: Any) -> Costs:
    """Return the costs of a file, from its JSON. Raises BenchmarkError if it has none."""
    try:
        tables = {name: TableCosts(**facts["tables"][name]) for name in ("users", "products", "orders")}
        costs = Costs(**facts | {"tables": tables})
    except (KeyError, TypeError) as error:
        raise BenchmarkError("is no file of costs; make one with python -m tests.costs") from error
    numbers = [value for name, value in asdict(costs).items() if name not in {"machine", "tables"}]
    numbers += [value for each in tables.values() for value in asdict(each).values()]
    if not all(isinstance(each, int | float) and math.isfinite(each) and each >= 0 for each in numbers):
        raise BenchmarkError("has a cost that is no number from 0 on")
    return costs
