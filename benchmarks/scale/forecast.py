"""How long a load would take, and what would limit it: measured costs and a cluster in, hours out. Values only.

It is a closed formula. The shares of a table are alike and many, so the last of them ends when the busiest resource
has done all of its work. For each phase the needs of all resources are added up, and the phase takes as long as the
busiest. A simulation of single events would give the same to within one share. The phases follow each other as in a
load: users and products side by side, then orders. For each the source is cut into parts, the keys of the parts are
compared, and the shares are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scale.costs import Costs
from benchmarks.scale.inputs import Cluster, Sources
from benchmarks.scale.memory import client_memory, host_memory, limits
from benchmarks.scale.phases import CORES, RESOURCES, START, WORKERS, Phase, compare, cut, load, start
from benchmarks.scale.work import (
    add_references,
    asked_seconds,
    client_seconds,
    copy_seconds,
    divide,
    keys_seconds,
    server_seconds,
    worker_seconds,
)

_HOUR = 3600
# The three passes over a source: to cut it, for its keys, and to load it.
_CUTTING, _KEYS, _LOADING = "cut", "keys", "load"


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


def forecast(costs: Costs, sources: Sources, cluster: Cluster) -> Forecast:
    """Predict a load over the workers of a cluster."""
    first, second = divide(costs, sources, cluster)
    for order in second:
        add_references(order, first, sources, cluster, len(second))
    phases = [start(costs, cluster)]
    for name, works in (("users, products", first), ("orders", second)):
        phases += [
            Phase(f"{name}: {step}", needs(costs, sources, cluster, works))
            for step, needs in ((_CUTTING, cut), (_KEYS, compare), (_LOADING, load))
        ]
    all_works = [*first, *second]
    seconds = sum(phase.seconds for phase in phases)
    on_host, on_client = host_memory(sources, cluster, first), client_memory(sources, all_works)
    largest = max(work.records * work.costs.stored for work in all_works)
    return Forecast(
        sources=sources,
        cluster=cluster,
        phases=tuple(phases),
        client_cpu=costs.start_cluster_cpu
        + (cluster.slots - 1) * costs.start_worker_cpu
        + seconds * (costs.idle + cluster.slots * costs.idle_worker)
        + sum(worker_seconds(costs, work) + keys_seconds(work) + work.records * work.costs.cut for work in all_works)
        + sum(client_seconds(costs, sources, work) for work in all_works),
        server_cpu=sum(server_seconds(costs, sources, work) + asked_seconds(costs, work) for work in all_works),
        shares=sum(work.shares for work in all_works),
        host_memory=on_host,
        client_memory=on_client,
        stored=sum(work.records * work.costs.stored for work in all_works),
        largest=largest,
        servers=len({work.server for work in all_works}),
        order_tables=len(second),
        limits=limits(cluster, hosts=on_host, client=on_client, largest=largest),
    )


def one_process(costs: Costs, sources: Sources, cores: int) -> Forecast:
    """Predict a load in one process, `--mode async`, with a server on the same machine.

    A table is written while it is read.
    """
    first, second = divide(costs, sources, Cluster(servers=0))
    phases = [Phase("start", {START: costs.start})]
    client, server = costs.start_cpu, 0.0
    for name, works in (("users, products", first), ("orders", second)):
        reading = [work.records * (work.costs.read + work.costs.check) for work in works]
        sending = [work.records * work.costs.write for work in works]
        storing = [copy_seconds(costs, sources, work) for work in works]
        chains = [max(read, write + store) for read, write, store in zip(reading, sending, storing, strict=True)]
        together = sum(reading) + sum(sending) + sum(storing)
        phases.append(Phase(name, {WORKERS: max(chains), CORES: together / cores}))
        client += sum(reading) + sum(sending)
        server += sum(storing)
    return Forecast(sources, Cluster(cores=cores, servers=0), tuple(phases), client, server)
