"""The questions that a forecast answers: what is loaded, and on which machines."""

from __future__ import annotations

from dataclasses import dataclass


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
