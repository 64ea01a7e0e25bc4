"""The memory that a load takes of hosts and client, and the limits of machines and tables."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.scale.inputs import Cluster, Sources
from benchmarks.scale.work import BYTES_PER_ACCEPTED_KEY, GIB, Work, accepted_bytes, is_sent

# If keys are asked about, a second set holds the keys that were.
_BYTES_PER_BIT_KEY = 2 * BYTES_PER_ACCEPTED_KEY
# Keys that were asked about, and those of them that exist, of 8 bytes each.
_BYTES_PER_FAR_KEY = 16
# Bytes of a key of a part, which workers keep until the run ends, and of a key that the client compares.
BYTES_PER_PART_KEY, _BYTES_PER_GATHERED_KEY = 8, 32
# Bytes of a process with its libraries and batches; and of what scheduler and client keep of a task.
_BYTES_PER_PROCESS, _BYTES_PER_TASK = 300 << 20, 15 << 10
# Bytes that PostgreSQL holds in one table, with its default size of pages.
_TABLE_LIMIT = 32 << 40


def host_memory(sources: Sources, cluster: Cluster, targets: Sequence[Work]) -> float:
    """Return the bytes of one host's workers, each with keys of its own."""
    workers = cluster.workers or cluster.cores
    sent = sum(accepted_bytes(sources, target) for target in targets if is_sent(sources, target))
    asked = [target for target in targets if not is_sent(sources, target)]
    referenced = sum(target.records for target in asked)
    orders = sources.records * (1 - sources.referenced) / cluster.slots
    if sources.keys_far:
        sets = sum(min(target.records, orders) for target in asked) * _BYTES_PER_FAR_KEY
    else:
        sets = min(referenced * _BYTES_PER_BIT_KEY, 2 * orders * _BYTES_PER_FAR_KEY)
    return workers * (_BYTES_PER_PROCESS + sent + sets) + sources.records * BYTES_PER_PART_KEY / cluster.hosts


def client_memory(sources: Sources, works: Sequence[Work]) -> float:
    """Return the bytes of client and scheduler: of their tasks, and of keys that are compared."""
    tasks = 3 * sum(work.shares for work in works) * _BYTES_PER_TASK
    gathered = sources.records * max(sources.referenced, 1 - sources.referenced) if sources.keys_far else 0
    return _BYTES_PER_PROCESS + tasks + gathered * _BYTES_PER_GATHERED_KEY


def limits(cluster: Cluster, *, hosts: float, client: float, largest: float) -> tuple[str, ...]:
    """Return the reasons why a load is not possible, from bytes: of one host, of the client, of the largest table."""
    memory = cluster.memory * GIB
    exceeded = {"host memory": hosts > memory, "client memory": client > memory, "table size": largest > _TABLE_LIMIT}
    return tuple(name for name, is_exceeded in exceeded.items() if is_exceeded)
