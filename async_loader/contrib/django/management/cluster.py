"""The options of a run that is spread over a cluster, and the cluster that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

import async_loader
from async_loader import ConfigurationError
from async_loader.contrib.django.management.help import group

_TITLE = "workers, in mode dask"
# Workers find the databases as this process does: in the project's settings.
_LOCATIONS = "async_loader.contrib.django.models.workers:location"
_MIB = 1 << 20
# In MiB: the largest file whose size 64 bits can hold.
_LARGEST_SHARE = 1 << 43
# By option, the field of `Cluster`.
_FIELDS = {
    "scheduler": "scheduler",
    "workers": "workers",
    "tls_ca": "ca",
    "tls_cert": "certificate",
    "tls_key": "key",
    "share_size": "share_size",
}


def add_cluster_options(parser: CommandParser) -> None:
    """Add the options that say which workers there are, how to reach them, and how much each loads at a time."""
    options = group(parser, _TITLE)
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
        help="how many workers of its own: up to four are threads of this process, more are processes (default: one "
        "for each core)",
    )
    options.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="for tls://, the certificates that the whole cluster trusts"
    )
    options.add_argument("--tls-cert", type=Path, metavar="FILE", help="for tls://, the certificate of this command")
    options.add_argument("--tls-key", type=Path, metavar="FILE", help="for tls://, the key of that certificate")
    options.add_argument(
        "--share-size",
        type=float,
        metavar="MIB",
        help="how many mebibytes of a source a worker loads in one transaction (default: 32)",
    )


def cluster_of(mode: str, options: Mapping[str, Any]) -> async_loader.Cluster | None:
    """Return the cluster that the options describe, or None in a mode that has none.

    Raises ConfigurationError where the options do not fit the mode, and for a share of no possible size.
    """
    given = {name: options[name] for name in _FIELDS if options[name] is not None}
    if mode == async_loader.DASK:
        fields = {_FIELDS[name]: value for name, value in given.items()}
        return async_loader.Cluster(**_with_share_in_bytes(fields), stores=_LOCATIONS)
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigurationError(f"{names}: mode {mode} has no workers; add --mode {async_loader.DASK}")
    return None


def _with_share_in_bytes(fields: Mapping[str, Any]) -> dict[str, Any]:
    size = fields.get("share_size")
    if size is None:
        return dict(fields)
    if not 0 < size <= _LARGEST_SHARE:
        raise ConfigurationError(f"--share-size is more than 0 MiB, and no more than any file has, not {size:g}")
    return {**fields, "share_size": max(1, round(size * _MIB))}
