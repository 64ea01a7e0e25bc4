"""How long a load would take, and what would limit it: measured costs and a cluster in, hours out. Values only.

It is a closed formula. The shares of a table are alike and many, so the last of them ends when the busiest resource
has done all of its work. For each phase the needs of all resources are added up, and the phase takes as long as the
busiest. A simulation of single events would give the same to within one share. The phases follow each other as in a
load: users and products side by side, then orders. For each the source is cut into parts, the keys of the parts are
compared, and the shares are loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from benchmarks.errors import BenchmarkError

# The resources, under their names in tables and charts.
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
# Sessions that write one table wait for each other where it grows. They keep this many cores busy, at most.
_CORES_PER_TABLE = 8
_HOUR = 3600
# The part of a table's keys that is asked about singly before all keys are read, as in PostgreSQL's store.
_ASKED = 1 / 16
# Workers get a table's accepted keys up to this many bytes, as in `async_loader/run/spread.py`.
_MOST_SENT = 256 << 20
# Bytes of one such key: in a row of increasing keys (a bitmap grows by half of its size), or far from others.
_BYTES_PER_ACCEPTED_KEY, _BYTES_PER_ACCEPTED_FAR_KEY = 1.5 / 8, 8
# If keys are asked about, a second set holds the keys that were.
_BYTES_PER_BIT_KEY = 2 * _BYTES_PER_ACCEPTED_KEY
# Keys that were asked about, and those of them that exist, of 8 bytes each.
_BYTES_PER_FAR_KEY = 16
# Bytes of a key of a part, which workers keep until the run ends, and of a key that the client compares.
_BYTES_PER_PART_KEY, _BYTES_PER_GATHERED_KEY = 8, 32
# Bytes of a process with its libraries and batches; and of what scheduler and client keep of a task.
_BYTES_PER_PROCESS, _BYTES_PER_TASK = 300 << 20, 15 << 10
# Bytes of a key that a server sends; of a page that is read, written, and logged, for a key in an index that exceeds
# memory; and of a key in an index.
_BYTES_PER_SENT_KEY, _BYTES_PER_PAGE, _BYTES_PER_INDEX_KEY = 12, 3 * 8192, 24
# Bytes that PostgreSQL holds in one table, with its default size of pages.
_TABLE_LIMIT = 32 << 40
# The three passes over a source: to cut it, for its keys, and to load it.
_CUTTING, _KEYS, _LOADING = "cut", "keys", "load"


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


@dataclass(frozen=True, slots=True)
class Cluster:
    """The machines that load. Hosts and servers have `cores` cores and `memory` GiB each.

    servers: of PostgreSQL; 0 is one server on the only host, which shares its cores.
    workers: processes on each host; None for one for each core.
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
        """How many shares are loaded at a time."""
        return self.hosts * (self.workers or self.cores)

    @property
    def link(self) -> float:
        """Bytes a second of a machine's link."""
        return self.network * 1e9 / 8


@dataclass(frozen=True, slots=True)
class Sources:
    """What is loaded. records: of all tables together.

    referenced: which part of them are users and products, in equal numbers.
    keys_far: whether keys are far apart and in random order, rather than increasing along the source.
    order_tables: how many tables the orders are declared as, each in a database of its own; None for one on each server
        except two, which have users and products.
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
    """A step of a load: by resource, the seconds that it alone would take. The step takes as long as the longest."""

    name: str
    needs: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Seconds from the beginning of the phase to its end."""
        return max(self.needs.values(), default=0.0)

    @property
    def bottleneck(self) -> str:
        """The resource that is busy all the time."""
        return max(self.needs, key=lambda name: self.needs[name])


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a load would take.

    client_cpu, server_cpu: CPU seconds of all processes of the loader, and of PostgreSQL.
    host_memory, client_memory, stored, largest: bytes: of one host's workers, of client and scheduler, of all tables,
        of the largest of them.
    servers: how many have a table. order_tables: how many tables the orders are.
    limits: why such a load is not possible; empty if it is.
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
        """Seconds of all phases together."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def bottleneck(self) -> str:
        """The resource that is the busiest for most of the time."""
        taken = dict.fromkeys(RESOURCES, 0.0)
        for phase in self.phases:
            taken[phase.bottleneck] += phase.seconds
        return max(taken, key=lambda name: taken[name])

    @property
    def host_hours(self) -> float:
        """Hours of all hosts, of servers that have a table, and of the client."""
        machines = self.cluster.hosts + (self.servers + 1 if self.cluster.servers else 0)
        return machines * self.seconds / _HOUR


@dataclass(slots=True)
class _Work:
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
    targets: Sequence[_Work] = field(default_factory=list)


def forecast(costs: Costs, sources: Sources, cluster: Cluster) -> Forecast:
    """Predict a load over the workers of a cluster."""
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
    predicted = Forecast(
        sources=sources,
        cluster=cluster,
        phases=tuple(phases),
        client_cpu=costs.start_cluster_cpu
        + (cluster.slots - 1) * costs.start_worker_cpu
        + seconds * (costs.idle + cluster.slots * costs.idle_worker)
        + sum(_worker_seconds(costs, work) + _keys_seconds(work) + work.records * work.costs.cut for work in all_works)
        + sum(_client_seconds(costs, sources, work) for work in all_works),
        server_cpu=sum(_server_seconds(costs, sources, work) + _asked_seconds(costs, work) for work in all_works),
        shares=sum(work.shares for work in all_works),
        host_memory=_host_memory(sources, cluster, first),
        client_memory=_client_memory(sources, all_works),
        stored=sum(work.records * work.costs.stored for work in all_works),
        largest=max(work.records * work.costs.stored for work in all_works),
        servers=len({work.server for work in all_works}),
        order_tables=len(second),
    )
    return _limited(predicted)


def one_process(costs: Costs, sources: Sources, cores: int) -> Forecast:
    """Predict a load in one process, `--mode async`, with a server on the same machine.

    A table is written while it is read.
    """
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
    """Return the work for users and products, and for the tables of orders.

    Tables go to servers in turn, orders first, because they are the largest.
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
    """Add up how many keys of each referenced table workers ask about, read with all others, and are sent."""
    order.targets = targets
    workers = min(cluster.slots / tables, order.shares)
    for target in targets:
        if _is_sent(sources, target):
            order.sent += workers * _accepted_bytes(sources, target)
            continue
        seen = target.records * -math.expm1(-order.records / workers / target.records) if target.records else 0.0
        is_read = not sources.keys_far and seen > _ASKED * target.records
        order.asked += workers * (_ASKED * target.records if is_read else seen)
        order.learned += workers * target.records * is_read


def _accepted_bytes(sources: Sources, target: _Work) -> float:
    return target.records * (_BYTES_PER_ACCEPTED_FAR_KEY if sources.keys_far else _BYTES_PER_ACCEPTED_KEY)


def _is_sent(sources: Sources, target: _Work) -> bool:
    """Return whether workers are sent the accepted keys of a table; else they ask its server."""
    return _accepted_bytes(sources, target) <= _MOST_SENT


def _start(costs: Costs, cluster: Cluster) -> Phase:
    """Return the phase of the start: workers of one host start side by side, as many as it has cores."""
    others = (cluster.workers or cluster.cores) - 1
    return Phase("start", {START: costs.start_cluster + others * costs.start_worker_cpu / cluster.cores})


def _cut(_: Costs, sources: Sources, cluster: Cluster, works: Sequence[_Work]) -> dict[str, float]:
    """Return what cutting needs: for each file, one worker counts quotes and lines."""
    files = min(sources.files * len(works), cluster.slots)
    seconds = [work.records * work.costs.cut / sources.files for work in works]
    size = sum(work.records * work.costs.source for work in works)
    return {
        CUT: max(*seconds, sum(seconds) * sources.files / files),
        NETWORK: _over_links(cluster, size, hosts=min(files, cluster.hosts)),
    }


def _compare(costs: Costs, sources: Sources, cluster: Cluster, works: Sequence[_Work]) -> dict[str, float]:
    """Return what comparing needs: workers read keys, and the client gathers those of parts whose ranges overlap."""
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
    """Return what loading shares needs. A worker waits while the server stores its share."""
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
            servers[target.server] = servers.get(target.server, 0) + part * _asked_seconds(costs, work)
            links[target.server] = links.get(target.server, 0) + part * _asked_bytes(work)
    shares = sum(work.shares for work in works)
    working = sum(_worker_seconds(costs, work) for work in works)
    storing = sum(_server_seconds(costs, sources, work) + _asked_seconds(costs, work) for work in works)
    client = shares * costs.task
    size = sum(2 * work.records * work.costs.source + _asked_bytes(work) + work.sent for work in works)
    needs = {
        WORKERS: _waves(shares, working + storing + shares * costs.share_wait, cluster),
        CORES: (working + (0 if cluster.servers else storing + client)) / (cluster.hosts * cluster.cores),
        DISK: max(disks.values()) / (cluster.disk * 1e6),
        NETWORK: max(_over_links(cluster, size), *(_over_links(cluster, each, hosts=1) for each in links.values())),
        CLIENT: client,
    }
    return needs | ({SERVER: max(max(servers.values()) / cluster.cores, *tables)} if cluster.servers else {})


def _waves(shares: int, seconds: float, cluster: Cluster) -> float:
    """Return the seconds of equal shares, of which as many are loaded at a time as there are workers."""
    return math.ceil(shares / cluster.slots) * seconds / shares if shares else 0.0


def _over_links(cluster: Cluster, size: float, hosts: int | None = None) -> float:
    """Return the seconds that bytes take over the links of `hosts` machines; none if all is one machine."""
    return size / (cluster.link * (hosts or cluster.hosts)) if cluster.servers else 0.0


def _keys_seconds(work: _Work) -> float:
    return work.records * work.costs.keys if work.shares > 1 else 0.0


def _gather_seconds(costs: Costs, sources: Sources, work: _Work) -> float:
    """Return the client's seconds for gathered keys: it sorts them, so each doubling adds a comparison for each."""
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
    """Return a worker's seconds for a share: three tasks, to load it, to read its keys, and to return their range."""
    return costs.share + 3 * costs.task_worker


def _asked_seconds(costs: Costs, work: _Work) -> float:
    """Return the seconds of the servers of referenced tables."""
    return work.asked * costs.ask_server + work.learned * costs.learn_server


def _asked_bytes(work: _Work) -> float:
    return (2 * work.asked + work.learned) * _BYTES_PER_SENT_KEY


def _server_seconds(costs: Costs, sources: Sources, work: _Work) -> float:
    return _copy_seconds(costs, sources, work) + work.shares * costs.share_server


def _copy_seconds(costs: Costs, sources: Sources, work: _Work) -> float:
    """Return the server's seconds for storing a table. Its index grows deeper with the table."""
    doublings = math.log2(max(1.0, work.records / costs.records))
    each = work.costs.server + doublings * costs.growth
    return work.records * (each + sources.keys_far * (costs.random + doublings * costs.random_growth))


def _disk_bytes(sources: Sources, cluster: Cluster, work: _Work) -> float:
    """Return the bytes written: log and tables, and a page for each key whose page of the index is not in memory."""
    written = work.records * (work.costs.wal + work.costs.stored)
    index = work.records * _BYTES_PER_INDEX_KEY
    missed = max(0.0, 1 - cluster.memory * _GIB / index) if sources.keys_far and index else 0.0
    return written + work.records * missed * _BYTES_PER_PAGE


def _host_memory(sources: Sources, cluster: Cluster, targets: Sequence[_Work]) -> float:
    """Return the bytes of one host's workers, each with keys of its own."""
    workers = cluster.workers or cluster.cores
    sent = sum(_accepted_bytes(sources, target) for target in targets if _is_sent(sources, target))
    asked = [target for target in targets if not _is_sent(sources, target)]
    referenced = sum(target.records for target in asked)
    orders = sources.records * (1 - sources.referenced) / cluster.slots
    if sources.keys_far:
        sets = sum(min(target.records, orders) for target in asked) * _BYTES_PER_FAR_KEY
    else:
        sets = min(referenced * _BYTES_PER_BIT_KEY, 2 * orders * _BYTES_PER_FAR_KEY)
    return workers * (_BYTES_PER_PROCESS + sent + sets) + sources.records * _BYTES_PER_PART_KEY / cluster.hosts


def _client_memory(sources: Sources, works: Sequence[_Work]) -> float:
    tasks = 3 * sum(work.shares for work in works) * _BYTES_PER_TASK
    gathered = sources.records * max(sources.referenced, 1 - sources.referenced) if sources.keys_far else 0
    return _BYTES_PER_PROCESS + tasks + gathered * _BYTES_PER_GATHERED_KEY


def _limited(predicted: Forecast) -> Forecast:
    """Return the forecast with the reasons why such a load is not possible."""
    memory = predicted.cluster.memory * _GIB
    limits = []
    if predicted.host_memory > memory:
        limits.append("host memory")
    if predicted.client_memory > memory:
        limits.append("client memory")
    if predicted.largest > _TABLE_LIMIT:
        limits.append("table size")
    return replace(predicted, limits=tuple(limits))
