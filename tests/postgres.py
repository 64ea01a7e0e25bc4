"""A real PostgreSQL server for tests: the benchmark's, but for what makes it wait for disks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from benchmarks import server as servers
from benchmarks.server import VERSIONS, Server, binaries

__all__ = ["VERSIONS", "Server", "binaries", "server"]

# Nothing here outlives a test, so nothing is waited for; and what tests read is in the zone that they write, whatever
# zone Django has set for this process.
_SETTINGS = (
    "TimeZone=UTC",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "max_connections=60",
    "shared_buffers=64MB",
    # A session of a test that waits for another of the same test would wait for ever.
    "lock_timeout=100s",
)


@contextlib.contextmanager
def server(version: int = 16, settings: tuple[str, ...] = _SETTINGS) -> Iterator[Server]:
    """Run a new server without any database of a user."""
    with servers.server(version, settings) as started:
        yield started
