"""The options of a run that is spread over a cluster, and the cluster that they tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from async_loader import DASK, Cluster, ConfigurationError
from async_loader.contrib.django.management.commands._help import group

CLUSTER = "workers, in mode dask"
# How workers find databases: in the project's settings, as this process does.
_LOCATIONS = "async_loader.contrib.django.models.workers:location"
_MIB = 1 << 20
# Of those, as many as file systems can count.
_MOST = 1 << 43
_NAMES = ("scheduler", "workers", "tls_ca", "tls_cert", "tls_key", "share_size")


def add_cluster_options(parser: CommandParser) -> None:
    """Which workers, how to reach them, and how much each does at a time."""
    options = group(parser, CLUSTER)
    options.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="the scheduler of a Dask cluster, tcp://HOST:PORT or tls://HOST:PORT; each of its workers needs this "
        "project, its settings and its environment (default: workers of the command's own)",
    )
    options.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="how many workers of its own, up to four in this process, more in processes (default: one for each core)",
    )
    options.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="for tls://, the certificates that all of it trust"
    )
    options.add_argument("--tls-cert", type=Path, metavar="FILE", help="for tls://, the certificate of this command")
    options.add_argument("--tls-key", type=Path, metavar="FILE", help="for tls://, the key of that certificate")
    options.add_argument(
        "--share-size",
        type=float,
        metavar="MIB",
        help="mebibytes of a source that a worker loads in one transaction (default: 32)",
    )


def cluster_of(mode: str, options: dict[str, Any]) -> Cluster | None:
    """The cluster that the options tell; None in another mode. ConfigurationError where they do not fit it."""
    given = {name: options[name] for name in _NAMES if options[name] is not None}
    if mode != DASK:
        if given:
            named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ConfigurationError(f"{named}: mode {mode} has no workers; add --mode {DASK}")
        return None
    names = {"tls_ca": "ca", "tls_cert": "certificate", "tls_key": "key"}
    wanted = {names.get(name, name): value for name, value in given.items()}
    if "share_size" in wanted:
        wanted["share_size"] = _bytes(wanted["share_size"])
    return Cluster(**wanted, stores=_LOCATIONS)


def _bytes(share_size: float) -> int:
    """ConfigurationError for what is no size."""
    if not 0 < share_size <= _MOST:
        raise ConfigurationError(f"--share-size is more than 0 MiB, and no more than any file has, not {share_size:g}")
    return max(1, round(share_size * _MIB))
