"""The work for each table, and what it takes of each resource: CPU seconds and bytes, by closed formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.scale.costs import Costs, TableCosts
from benchmarks.scale.inputs import Cluster, Sources

GIB = 1 << 30
# The part of a table's keys that is asked about singly before all keys are read, as in PostgreSQL's store.
_ASKED = 1 / 16
# Workers get a table's accepted keys up to this many bytes, as in `async_loader/run/spread.py`.
_MOST_SENT = 256 << 20
# Bytes of one such key: in a row of increasing keys (a bitmap grows by half of its size), or far from others.
BYTES_PER_ACCEPTED_KEY, _BYTES_PER_ACCEPTED_FAR_KEY = 1.5 / 8, 8
# Bytes of a key that a server sends; of a page that is read, written, and logged, for a key in an index that exceeds
# memory; and of a key in an index.
_BYTES_PER_SENT_KEY, _BYTES_PER_PAGE, _BYTES_PER_INDEX_KEY = 12, 3 * 8192, 24


@dataclass(slots=True)
class Work:
    """The work for one table. server: the number of its server.

    asked, learned: keys of all its targets that workers ask about singly, and that they read with all others.
    sent: bytes of accepted keys that workers are sent instead.
    """

    name: str
    costs: TableCosts
    records: float
    server: int
    shares: int
    asked: float = 0.0
    learned: float = 0.0
    sent: float = 0.0
    targets: Sequence[Work] = field(default_factory=list)


def divide(costs: Costs, sources: Sources, cluster: Cluster) -> tuple[list[Work], list[Work]]:
    """Return the work for users and products, and for the tables of orders.

    Tables go to servers in turn, orders first, because they are the largest.
    """
    servers = max(1, cluster.servers)
    tables = sources.order_tables or max(1, servers - 2)

    def work(name: str, records: float, place: int) -> Work:
        shares = max(1, math.ceil(records * costs.tables[name].source / sources.share_size))
        return Work(name, costs.tables[name], records, place % servers, shares)

    of_each = sources.records * sources.referenced / 2
    orders = sources.records * (1 - sources.referenced) / tables
    first = [work("users", of_each, tables), work("products", of_each, tables + 1)]
    return first, [work("orders", orders, place) for place in range(tables)]


def add_references(order: Work, targets: Sequence[Work], sources: Sources, cluster: Cluster, tables: int) -> None:
    """Add up how many keys of each referenced table workers ask about, read with all others, and are sent."""
    order.targets = targets
    workers = min(cluster.slots / tables, order.shares)
    for target in targets:
        if is_sent(sources, target):
            order.sent += workers * accepted_bytes(sources, target)
            continue
        seen = target.records * -math.expm1(-order.records / workers / target.records) if target.records else 0.0
        is_read = not sources.keys_far and seen > _ASKED * target.records
        order.asked += workers * (_ASKED * target.records if is_read else seen)
        order.learned += workers * target.records * is_read


def accepted_bytes(sources: Sources, target: Work) -> float:
    """Return the bytes of all accepted keys of a table."""
    return target.records * (_BYTES_PER_ACCEPTED_FAR_KEY if sources.keys_far else BYTES_PER_ACCEPTED_KEY)


def is_sent(sources: Sources, target: Work) -> bool:
    """Return whether workers are sent the accepted keys of a table; else they ask its server."""
    return accepted_bytes(sources, target) <= _MOST_SENT


def keys_seconds(work: Work) -> float:
    """Return the workers' seconds for reading keys; a source of one share needs no comparison."""
    return work.records * work.costs.keys if work.shares > 1 else 0.0


def gather_seconds(costs: Costs, sources: Sources, work: Work) -> float:
    """Return the client's seconds for gathered keys: it sorts them, so each doubling adds a comparison for each."""
    if not sources.keys_far or work.shares == 1:
        return 0.0
    return work.records * costs.gather * max(1.0, math.log2(work.records) / math.log2(costs.records))


def client_seconds(costs: Costs, sources: Sources, work: Work) -> float:
    """Return the client's seconds for the tasks of a table and for its gathered keys."""
    return (3 if work.shares > 1 else 1) * work.shares * costs.task + gather_seconds(costs, sources, work)


def worker_seconds(costs: Costs, work: Work) -> float:
    """Return the workers' seconds for loading a table, those for keys of referenced tables included."""
    each = work.costs.read + work.costs.check + work.costs.write
    return (
        work.records * each + work.asked * costs.ask + work.learned * costs.learn + work.shares * _share_seconds(costs)
    )


def _share_seconds(costs: Costs) -> float:
    """Return a worker's seconds for a share: three tasks, to load it, to read its keys, and to return their range."""
    return costs.share + 3 * costs.task_worker


def asked_seconds(costs: Costs, work: Work) -> float:
    """Return the seconds of the servers of referenced tables."""
    return work.asked * costs.ask_server + work.learned * costs.learn_server


def asked_bytes(work: Work) -> float:
    """Return the bytes of keys that workers send to servers of referenced tables, or get from them."""
    return (2 * work.asked + work.learned) * _BYTES_PER_SENT_KEY


def server_seconds(costs: Costs, sources: Sources, work: Work) -> float:
    """Return the server's seconds for storing a table, and for its shares as such."""
    return copy_seconds(costs, sources, work) + work.shares * costs.share_server


def copy_seconds(costs: Costs, sources: Sources, work: Work) -> float:
    """Return the server's seconds for storing a table. Its index grows deeper with the table."""
    doublings = math.log2(max(1.0, work.records / costs.records))
    each = work.costs.server + doublings * costs.growth
    return work.records * (each + sources.keys_far * (costs.random + doublings * costs.random_growth))


def disk_bytes(sources: Sources, cluster: Cluster, work: Work) -> float:
    """Return the bytes written: log and tables, and a page for each key whose page of the index is not in memory."""
    written = work.records * (work.costs.wal + work.costs.stored)
    index = work.records * _BYTES_PER_INDEX_KEY
    missed = max(0.0, 1 - cluster.memory * GIB / index) if sources.keys_far and index else 0.0
    return written + work.records * missed * _BYTES_PER_PAGE
