"""How long a load would take, and what would hold it up: measured costs and a cluster in, hours out. Values only.

A closed formula. Shares of a table are alike and many, so the last of them ends when the busiest of what they need has
done all of its work; what each phase needs is added up, and the phase takes as long as the busiest. Events one by one
would tell the same to within one share. Phases follow each other as the load has them: users and products side by side,
then orders; of each, the source is cut into parts, the keys of the parts are compared, the shares are loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from benchmarks.errors import BenchmarkError

# What can be the busiest, as tables and charts call it.
WORKERS, CORES, SERVER, DISK, NETWORK, CLIENT, CUT, START = RESOURCES = (
    "workers",
    "cores",
    "server CPU",
    "server disk",
    "network",
    "client",
    "one reader",
    "start",
)
_GIB = 1 << 30
# Sessions that write one table wait for each other where it grows: no more cores than these are kept busy by them.
_CORES_PER_TABLE = 8
_HOUR = 3600
# Of the keys of a table, the part that is asked about singly before all are read, as PostgreSQL's store has it.
_ASKED = 1 / 16
# Bytes of a table's accepted keys up to which all workers are told them, as `spread.py` has it; and of one of them,
# counted up (a bitmap grows by half of its spread) or far-flung.
_MOST_TOLD = 256 << 20
_BYTES_PER_ACCEPTED_KEY, _BYTES_PER_ACCEPTED_FAR_KEY = 1.5 / 8, 8
# Where they are asked about, the set of keys that were is another one.
_BYTES_PER_BIT_KEY = 2 * _BYTES_PER_ACCEPTED_KEY
# Keys that were asked about, and those of them that are there, of 8 bytes each.
_BYTES_PER_FAR_KEY = 16
# Keys of parts, which workers keep until the run has ended; and, of those that the client compares, its own copies.
_BYTES_PER_PART_KEY, _BYTES_PER_GATHERED_KEY = 8, 32
# A process with its libraries and batches; and what a scheduler and its client keep of a task.
_BYTES_PER_PROCESS, _BYTES_PER_TASK = 300 << 20, 15 << 10
# Of one key that a server tells, and of a page: read, written, and written to the log, once indexes exceed memory.
_BYTES_PER_TOLD_KEY, _BYTES_PER_PAGE, _BYTES_PER_INDEX_KEY = 12, 3 * 8192, 24
# What PostgreSQL takes in one table, with pages as it is built by default.
_TABLE_LIMIT = 32 << 40
# A source is read to be cut, for its keys, and to be loaded.
_CUTTING, _KEYS, _LOADING = "cut", "keys", "load"


@dataclass(frozen=True, slots=True)
class TableCosts:
    """Of one record of a table. CPU seconds but for bytes.

    source, wal, stored: bytes of its source, of the server's log, and of table and indexes.
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
    """What was measured by `python -m tests.costs`. CPU seconds, but for what is said to be wall seconds.

    records: of each table when it was measured.
    growth: of the server, by record, for each doubling of its table. random, random_growth: on top, where keys come in
        random order.
    ask, learn: by referenced key that a worker asks about, and that it reads in its turn; with what the server takes.
    share, share_server, share_wait: of a share as such; the last in wall seconds.
    gather: of the client, by key of parts whose ranges meet.
    task, task_worker: by task of Dask's, of client and scheduler and of a worker; idle, idle_worker: by second,
        whatever they do.
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
        """As a file of costs has them."""
        return asdict(self)


def costs_from(facts: Any) -> Costs:
    """Of a file of costs. BenchmarkError where it is none."""
    try:
        tables = {name: TableCosts(**facts["tables"][name]) for name in ("users", "products", "orders")}
        found = Costs(**facts | {"tables": tables})
    except (KeyError, TypeError) as error:
        raise BenchmarkError("is no file of costs; make one with python -m tests.costs") from error
    numbers = [value for name, value in asdict(found).items() if name not in {"machine", "tables"}]
    numbers += [value for each in tables.values() for value in asdict(each).values()]
    if not all(isinstance(each, int | float) and math.isfinite(each) and each >= 0 for each in numbers):
        raise BenchmarkError("has a cost that is no number from 0 on")
    return found


@dataclass(frozen=True, slots=True)
class Cluster:
    """What there is to load with. hosts and servers have `cores` cores and `memory` GiB each.

    servers: of PostgreSQL; 0 is one on the only host, which shares its cores.
    workers: processes on each host; None for one to a core.
    network: Gbit/s of each machine's link. disk: MB/s that a server writes for hours.
    """

    hosts: int = 1
    cores: int = 16
    servers: int = 1
    workers: int | None = None
    network: float = 10.0
    disk: float = 1000.0
    memory: float = 64.0

    @property
    def slots(self) -> int:
        """How many shares are at work at a time."""
        return self.hosts * (self.workers or self.cores)

    @property
    def link(self) -> float:
        """Bytes a second."""
        return self.network * 1e9 / 8


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is to load. records: of all tables together.

    referenced: which part of them is users and products, half and half.
    keys_far: whether keys are far-flung and in random order, rather than counted up as the source goes.
    order_tables: how many tables the orders are declared as, each in a database of its own; None for one on each server
        but two, which have users and products.
    files: how many sources each table has. share_size: bytes.
    """

    records: int
    referenced: float = 0.02
    keys_far: bool = False
    order_tables: int | None = None
    files: int = 16
    share_size: int = 32 << 20


@dataclass(frozen=True, slots=True)
class Phase:
    """One of the steps of a load: by resource, the seconds that it alone would take. It takes the longest of them."""

    name: str
    needs: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """From its beginning to its end."""
        return max(self.needs.values(), default=0.0)

    @property
    def bottleneck(self) -> str:
        """What is busy all the time."""
        return max(self.needs, key=lambda name: self.needs[name])


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a load would take.

    client_cpu, server_cpu: CPU seconds of all processes of the loader's, and of PostgreSQL's.
    host_memory, client_memory, stored, largest: bytes: of one host's workers, of client and scheduler, of all tables,
        of the largest of them.
    servers: how many have a table. order_tables: how many the orders are.
    limits: why it cannot be done so; empty where it can.
    """

    sources: Sources
    cluster: Cluster
    phases: tuple[Phase, ...]
    client_cpu: float
    server_cpu: float
    shares: int = 0
    host_memory: float = 0.0
    client_memory: float = 0.0
    stored: float = 0.0
    largest: float = 0.0
    servers: int = 1
    order_tables: int = 1
    limits: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def bottleneck(self) -> str:
        """What takes most of the time."""
        taken = dict.fromkeys(RESOURCES, 0.0)
        for phase in self.phases:
            taken[phase.bottleneck] += phase.seconds
        return max(taken, key=lambda name: taken[name])

    @property
    def host_hours(self) -> float:
        """Of hosts, of servers that have a table, and of the client's."""
        machines = self.cluster.hosts + (self.servers + 1 if self.cluster.servers else 0)
        return machines * self.seconds / _HOUR


@dataclass(slots=True)
class _Work:
    """One table's. server: its number.

    asked, learned: keys, of all its targets and by all workers, that are asked about singly, and read in their turn.
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
    targets: Sequence[_Work] = field(default_factory=list)


def forecast(costs: Costs, sources: Sources, cluster: Cluster) -> Forecast:
    """Over the workers of a cluster."""
    first, second = _works(costs, sources, cluster)
    for order in second:
        _refer(order, first, sources, cluster, len(second))
    phases = [_start(costs, cluster)]
    for name, works in (("users, products", first), ("orders", second)):
        phases += [
            Phase(f"{name}: {step}", needs(costs, sources, cluster, works))
            for step, needs in ((_CUTTING, _cut), (_KEYS, _compare), (_LOADING, _load))
        ]
    all_works = [*first, *second]
    seconds = sum(phase.seconds for phase in phases)
    found = Forecast(
        sources=sources,
        cluster=cluster,
        phases=tuple(phases),
        client_cpu=costs.start_cluster_cpu
        + (cluster.slots - 1) * costs.start_worker_cpu
        + seconds * (costs.idle + cluster.slots * costs.idle_worker)
        + sum(_worker_seconds(costs, work) + _keys_seconds(work) + work.records * work.costs.cut for work in all_works)
        + sum(_client_seconds(costs, sources, work) for work in all_works),
        server_cpu=sum(_server_seconds(costs, sources, work) + _told_seconds(costs, work) for work in all_works),
        shares=sum(work.shares for work in all_works),
        host_memory=_host_memory(sources, cluster, first),
        client_memory=_client_memory(sources, all_works),
        stored=sum(work.records * work.costs.stored for work in all_works),
        largest=max(work.records * work.costs.stored for work in all_works),
        servers=len({work.server for work in all_works}),
        order_tables=len(second),
    )
    return _limited(found)


def one_process(costs: Costs, sources: Sources, cores: int) -> Forecast:
    """In one process, `--mode async`, with a server on the same machine: a table is written while it is read."""
    first, second = _works(costs, sources, Cluster(servers=0))
    phases = [Phase("start", {START: costs.start})]
    client, server = costs.start_cpu, 0.0
    for name, works in (("users, products", first), ("orders", second)):
        reading = [work.records * (work.costs.read + work.costs.check) for work in works]
        sending = [work.records * work.costs.write for work in works]
        storing = [_copy_seconds(costs, sources, work) for work in works]
        chains = [max(read, write + store) for read, write, store in zip(reading, sending, storing, strict=True)]
        together = sum(reading) + sum(sending) + sum(storing)
        phases.append(Phase(name, {WORKERS: max(chains), CORES: together / cores}))
        client += sum(reading) + sum(sending)
        server += sum(storing)
    return Forecast(sources, Cluster(cores=cores, servers=0), tuple(phases), client, server)


def _works(costs: Costs, sources: Sources, cluster: Cluster) -> tuple[list[_Work], list[_Work]]:
    """Users and products, and the tables of orders. Tables go to servers in turn, orders first: they are the largest
    where there is anything to choose.
    """
    servers = max(1, cluster.servers)
    tables = sources.order_tables or max(1, servers - 2)

    def work(name: str, records: float, place: int) -> _Work:
        shares = max(1, math.ceil(records * costs.tables[name].source / sources.share_size))
        return _Work(name, costs.tables[name], records, place % servers, shares)

    of_each = sources.records * sources.referenced / 2
    orders = sources.records * (1 - sources.referenced) / tables
    first = [work("users", of_each, tables), work("products", of_each, tables + 1)]
    return first, [work("orders", orders, place) for place in range(tables)]


def _refer(order: _Work, targets: Sequence[_Work], sources: Sources, cluster: Cluster, tables: int) -> None:
    """How many keys each worker asks about, of each referenced table, and how many it reads in their turn."""
    order.targets = targets
    workers = min(cluster.slots / tables, order.shares)
    for target in targets:
        if _is_told(sources, target):
            order.sent += workers * _accepted_bytes(sources, target)
            continue
        seen = target.records * -math.expm1(-order.records / workers / target.records) if target.records else 0.0
        is_read = not sources.keys_far and seen > _ASKED * target.records
        order.asked += workers * (_ASKED * target.records if is_read else seen)
        order.learned += workers * target.records * is_read


def _accepted_bytes(sources: Sources, target: _Work) -> float:
    return target.records * (_BYTES_PER_ACCEPTED_FAR_KEY if sources.keys_far else _BYTES_PER_ACCEPTED_KEY)


def _is_told(sources: Sources, target: _Work) -> bool:
    """Whether workers are told which of its keys were accepted; else they ask."""
    return _accepted_bytes(sources, target) <= _MOST_TOLD


def _start(costs: Costs, cluster: Cluster) -> Phase:
    """Workers of one host start side by side as far as its cores go."""
    others = (cluster.workers or cluster.cores) - 1
    return Phase("start", {START: costs.start_cluster + others * costs.start_worker_cpu / cluster.cores})


def _cut(_: Costs, sources: Sources, cluster: Cluster, works: Sequence[_Work]) -> dict[str, float]:
    """One worker counts quotes and lines of each file."""
    files = min(sources.files * len(works), cluster.slots)
    seconds = [work.records * work.costs.cut / sources.files for work in works]
    size = sum(work.records * work.costs.source for work in works)
    return {
        CUT: max(*seconds, sum(seconds) * sources.files / files),
        NETWORK: _over_links(cluster, size, hosts=min(files, cluster.hosts)),
    }


def _compare(costs: Costs, sources: Sources, cluster: Cluster, works: Sequence[_Work]) -> dict[str, float]:
    """Workers read keys; the client looks which ranges meet, and gathers keys of those that do."""
    several = [work for work in works if work.shares > 1]
    shares = sum(work.shares for work in several)
    seconds = sum(_keys_seconds(work) for work in several)
    size = sum(work.records * work.costs.source for work in several)
    gathered = sum(work.records * _BYTES_PER_PART_KEY for work in several) if sources.keys_far else 0
    client = sum(2 * work.shares * costs.task + _gather_seconds(costs, sources, work) for work in several)
    return {
        WORKERS: _waves(shares, seconds, cluster),
        CORES: (seconds + (0 if cluster.servers else client)) / (cluster.hosts * cluster.cores),
        NETWORK: max(_over_links(cluster, size), _over_links(cluster, gathered, hosts=1)),
        CLIENT: client,
    }


def _load(costs: Costs, sources: Sources, cluster: Cluster, works: Sequence[_Work]) -> dict[str, float]:
    """Shares are loaded. A worker waits while the server takes what it was sent."""
    servers: dict[int, float] = {}
    tables: list[float] = []
    disks: dict[int, float] = {}
    links: dict[int, float] = {}
    for work in works:
        storing = _server_seconds(costs, sources, work)
        tables.append(storing / min(cluster.cores, _CORES_PER_TABLE))
        servers[work.server] = servers.get(work.server, 0) + storing
        disks[work.server] = disks.get(work.server, 0) + _disk_bytes(sources, cluster, work)
        links[work.server] = links.get(work.server, 0) + work.records * work.costs.source
        for target in work.targets:
            part = 1 / len(work.targets)
            servers[target.server] = servers.get(target.server, 0) + part * _told_seconds(costs, work)
            links[target.server] = links.get(target.server, 0) + part * _told_bytes(work)
    shares = sum(work.shares for work in works)
    working = sum(_worker_seconds(costs, work) for work in works)
    storing = sum(_server_seconds(costs, sources, work) + _told_seconds(costs, work) for work in works)
    client = shares * costs.task
    size = sum(2 * work.records * work.costs.source + _told_bytes(work) + work.sent for work in works)
    needs = {
        WORKERS: _waves(shares, working + storing + shares * costs.share_wait, cluster),
        CORES: (working + (0 if cluster.servers else storing + client)) / (cluster.hosts * cluster.cores),
        DISK: max(disks.values()) / (cluster.disk * 1e6),
        NETWORK: max(_over_links(cluster, size), *(_over_links(cluster, each, hosts=1) for each in links.values())),
        CLIENT: client,
    }
    return needs | ({SERVER: max(max(servers.values()) / cluster.cores, *tables)} if cluster.servers else {})


def _waves(shares: int, seconds: float, cluster: Cluster) -> float:
    """Of so many shares that are alike, as many at a time as there are workers."""
    return math.ceil(shares / cluster.slots) * seconds / shares if shares else 0.0


def _over_links(cluster: Cluster, size: float, hosts: int | None = None) -> float:
    """Seconds that bytes take over the links of so many machines; none where all is one machine."""
    return size / (cluster.link * (hosts or cluster.hosts)) if cluster.servers else 0.0


def _keys_seconds(work: _Work) -> float:
    return work.records * work.costs.keys if work.shares > 1 else 0.0


def _gather_seconds(costs: Costs, sources: Sources, work: _Work) -> float:
    """Arrays are sorted: with each doubling of the keys, one more look at each."""
    if not sources.keys_far or work.shares == 1:
        return 0.0
    return work.records * costs.gather * max(1.0, math.log2(work.records) / math.log2(costs.records))


def _client_seconds(costs: Costs, sources: Sources, work: _Work) -> float:
    return (3 if work.shares > 1 else 1) * work.shares * costs.task + _gather_seconds(costs, sources, work)


def _worker_seconds(costs: Costs, work: _Work) -> float:
    each = work.costs.read + work.costs.check + work.costs.write
    return (
        work.records * each + work.asked * costs.ask + work.learned * costs.learn + work.shares * _share_seconds(costs)
    )


def _share_seconds(costs: Costs) -> float:
    """Of a worker: a share is a task to load it, one to read its keys, and one to tell their span."""
    return costs.share + 3 * costs.task_worker


def _told_seconds(costs: Costs, work: _Work) -> float:
    """Of the servers of referenced tables."""
    return work.asked * costs.ask_server + work.learned * costs.learn_server


def _told_bytes(work: _Work) -> float:
    return (2 * work.asked + work.learned) * _BYTES_PER_TOLD_KEY


def _server_seconds(costs: Costs, sources: Sources, work: _Work) -> float:
    return _copy_seconds(costs, sources, work) + work.shares * costs.share_server


def _copy_seconds(costs: Costs, sources: Sources, work: _Work) -> float:
    """Indexes grow deeper with the table."""
    doublings = math.log2(max(1.0, work.records / costs.records))
    each = work.costs.server + doublings * costs.growth
    return work.records * (each + sources.keys_far * (costs.random + doublings * costs.random_growth))


def _disk_bytes(sources: Sources, cluster: Cluster, work: _Work) -> float:
    """Log and tables are written once; but a page for each key that comes where memory does not hold the index."""
    written = work.records * (work.costs.wal + work.costs.stored)
    index = work.records * _BYTES_PER_INDEX_KEY
    missed = max(0.0, 1 - cluster.memory * _GIB / index) if sources.keys_far and index else 0.0
    return written + work.records * missed * _BYTES_PER_PAGE


def _host_memory(sources: Sources, cluster: Cluster, targets: Sequence[_Work]) -> float:
    """Each worker has keys of its own."""
    workers = cluster.workers or cluster.cores
    told = sum(_accepted_bytes(sources, target) for target in targets if _is_told(sources, target))
    asked = [target for target in targets if not _is_told(sources, target)]
    referenced = sum(target.records for target in asked)
    orders = sources.records * (1 - sources.referenced) / cluster.slots
    if sources.keys_far:
        sets = sum(min(target.records, orders) for target in asked) * _BYTES_PER_FAR_KEY
    else:
        sets = min(referenced * _BYTES_PER_BIT_KEY, 2 * orders * _BYTES_PER_FAR_KEY)
    return workers * (_BYTES_PER_PROCESS + told + sets) + sources.records * _BYTES_PER_PART_KEY / cluster.hosts


def _client_memory(sources: Sources, works: Sequence[_Work]) -> float:
    tasks = 3 * sum(work.shares for work in works) * _BYTES_PER_TASK
    gathered = sources.records * max(sources.referenced, 1 - sources.referenced) if sources.keys_far else 0
    return _BYTES_PER_PROCESS + tasks + gathered * _BYTES_PER_GATHERED_KEY


def _limited(found: Forecast) -> Forecast:
    """With the reasons why it cannot be done so."""
    memory = found.cluster.memory * _GIB
    limits = []
    if found.host_memory > memory:
        limits.append("host memory")
    if found.client_memory > memory:
        limits.append("client memory")
    if found.largest > _TABLE_LIMIT:
        limits.append("table size")
    return replace(found, limits=tuple(limits))
