"""The phases of a load, and the seconds that each resource alone would take for one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.scale.costs import Costs
from benchmarks.scale.inputs import Cluster, Sources
from benchmarks.scale.memory import BYTES_PER_PART_KEY
from benchmarks.scale.work import (
    Work,
    asked_bytes,
    asked_seconds,
    disk_bytes,
    gather_seconds,
    keys_seconds,
    server_seconds,
    worker_seconds,
)

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
# Sessions that write one table wait for each other where it grows. They keep this many cores busy, at most.
_CORES_PER_TABLE = 8


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


def start(costs: Costs, cluster: Cluster) -> Phase:
    """Return the phase of the start: workers of one host start side by side, as many as it has cores."""
    others = (cluster.workers or cluster.cores) - 1
    return Phase("start", {START: costs.start_cluster + others * costs.start_worker_cpu / cluster.cores})


def cut(_: Costs, sources: Sources, cluster: Cluster, works: Sequence[Work]) -> dict[str, float]:
    """Return what cutting needs: for each file, one worker counts quotes and lines."""
    files = min(sources.files * len(works), cluster.slots)
    seconds = [work.records * work.costs.cut / sources.files for work in works]
    size = sum(work.records * work.costs.source for work in works)
    return {
        CUT: max(*seconds, sum(seconds) * sources.files / files),
        NETWORK: _over_links(cluster, size, hosts=min(files, cluster.hosts)),
    }


def compare(costs: Costs, sources: Sources, cluster: Cluster, works: Sequence[Work]) -> dict[str, float]:
    """Return what comparing needs: workers read keys, and the client gathers those of parts whose ranges overlap."""
    several = [work for work in works if work.shares > 1]
    shares = sum(work.shares for work in several)
    seconds = sum(keys_seconds(work) for work in several)
    size = sum(work.records * work.costs.source for work in several)
    gathered = sum(work.records * BYTES_PER_PART_KEY for work in several) if sources.keys_far else 0
    client = sum(2 * work.shares * costs.task + gather_seconds(costs, sources, work) for work in several)
    return {
        WORKERS: _waves(shares, seconds, cluster),
        CORES: (seconds + (0 if cluster.servers else client)) / (cluster.hosts * cluster.cores),
        NETWORK: max(_over_links(cluster, size), _over_links(cluster, gathered, hosts=1)),
        CLIENT: client,
    }


def load(costs: Costs, sources: Sources, cluster: Cluster, works: Sequence[Work]) -> dict[str, float]:
    """Return what loading shares needs. A worker waits while the server stores its share."""
    servers: dict[int, float] = {}
    tables: list[float] = []
    disks: dict[int, float] = {}
    links: dict[int, float] = {}
    for work in works:
        storing = server_seconds(costs, sources, work)
        tables.append(storing / min(cluster.cores, _CORES_PER_TABLE))
        servers[work.server] = servers.get(work.server, 0) + storing
        disks[work.server] = disks.get(work.server, 0) + disk_bytes(sources, cluster, work)
        links[work.server] = links.get(work.server, 0) + work.records * work.costs.source
        for target in work.targets:
            part = 1 / len(work.targets)
            servers[target.server] = servers.get(target.server, 0) + part * asked_seconds(costs, work)
            links[target.server] = links.get(target.server, 0) + part * asked_bytes(work)
    shares = sum(work.shares for work in works)
    working = sum(worker_seconds(costs, work) for work in works)
    storing = sum(server_seconds(costs, sources, work) + asked_seconds(costs, work) for work in works)
    client = shares * costs.task
    size = sum(2 * work.records * work.costs.source + asked_bytes(work) + work.sent for work in works)
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
