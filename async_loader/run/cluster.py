"""Which workers a run is spread over, and how to reach them. Values only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from async_loader.errors import ConfigurationError

# Seconds to wait, one after the other, before work that failed because a server went away is begun again.
PAUSES = (0.5, 1, 2, 4, 8, 16, 30)
# How stores are found where no more is said: by URLs in the environment of each worker.
FROM_ENVIRONMENT = "async_loader.stores:from_environment"
# Bytes of a source in one share: a second or more of work, beside which what a share costs is nothing.
SHARE_SIZE = 32 << 20

_OPEN_TO_ALL = (
    "any program that reaches this scheduler or its workers can run code on them; use tls:// with a CA, a certificate "
    "and a key (--tls-ca, --tls-cert, --tls-key), or a network that nothing else is in"
)
_ADDRESS = re.compile(r"(tcp|tls)://[^/]+:[0-9]+")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers of Dask.

    scheduler: the address of one that runs, tcp://HOST:PORT or tls://HOST:PORT; None for workers of the run's own.
    workers: of its own, how many; None for one to a core. Up to four are threads of this process, more are processes.
    ca, certificate, key: for tls, files in PEM: the authority that all of the cluster trust, and what shows that the
        run belongs there. Processes of the run's own have theirs made for them.
    stores: MODULE:FUNCTION, which each worker calls with the name of a database for its URL or store: what they need to
        connect stands in their own environment, never in what they are sent.
    share_size: bytes of a source in one transaction.

    Raises ConfigurationError for what does not fit together.
    """

    scheduler: str | None = None
    workers: int | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    stores: str = FROM_ENVIRONMENT
    share_size: int = SHARE_SIZE

    def __post_init__(self) -> None:
        if self.scheduler is not None and not _ADDRESS.fullmatch(self.scheduler):
            raise ConfigurationError(f"a scheduler is at tcp://HOST:PORT or tls://HOST:PORT, not at {self.scheduler!r}")
        if self.scheduler is not None and self.workers is not None:
            raise ConfigurationError("a scheduler has workers already: name it, or how many to start, not both")
        if self.workers is not None and self.workers < 1:
            raise ConfigurationError(f"workers is at least 1, not {self.workers}")
        if self.share_size < 1:
            raise ConfigurationError(f"share_size is at least 1, not {self.share_size}")
        if self.is_secure != (self.scheduler or "").startswith("tls://"):
            raise ConfigurationError("a scheduler at tls:// needs a CA, a certificate and a key, and only that does")
        if self.is_secure and None in (self.ca, self.certificate, self.key):
            raise ConfigurationError("a scheduler at tls:// needs all of a CA, a certificate and a key")

    @property
    def warning(self) -> str | None:
        """The warning about a cluster that asks no program for a certificate; None for others."""
        if self.scheduler is None or self.is_secure:
            return None
        return f"{self.scheduler}: {_OPEN_TO_ALL}"

    @property
    def is_secure(self) -> bool:
        """Whether certificates show which processes belong to the cluster."""
        return any((self.ca, self.certificate, self.key))
