"""Forecasts as a table, as JSON, and beside what real loads took. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.scale.costs import Costs
from benchmarks.scale.forecast import Forecast, forecast, one_process
from benchmarks.scale.inputs import Cluster, Sources

_HOUR, _GIB, _TERA = 3600, 1 << 30, 1e12
# The sample's tables are alike in size.
_THIRDS = 2 / 3

_COLUMNS: Mapping[str, Callable[[Forecast], str]] = {
    "records": lambda each: _power(each.sources.records),
    "hosts": lambda each: f"{each.cluster.hosts:,}",
    "servers": lambda each: f"{each.cluster.servers:,}",
    "order tables": lambda each: f"{each.order_tables:,}",
    "hours": lambda each: _rounded(each.seconds / _HOUR),
    "busiest": lambda each: each.bottleneck,
    "host-hours": lambda each: _rounded(each.host_hours),
    "shares": lambda each: f"{each.shares:,}",
    "host GiB": lambda each: _rounded(each.host_memory / _GIB),
    "client GiB": lambda each: _rounded(each.client_memory / _GIB),
    "TB": lambda each: _rounded(each.stored / _TERA),
    "too large": lambda each: ", ".join(each.limits) or "-",
}
_TEXTS = {"busiest", "too large"}


def table_lines(forecasts: Sequence[Forecast]) -> Iterator[str]:
    """Yield the lines of a table, one for each forecast."""
    yield from _aligned(list(_COLUMNS), [[cell(each) for cell in _COLUMNS.values()] for each in forecasts])


def as_dict(each: Forecast) -> dict[str, Any]:
    """Return a forecast as `--format json` shows it."""
    return {
        "records": each.sources.records,
        "hosts": each.cluster.hosts,
        "servers": each.cluster.servers,
        "servers_used": each.servers,
        "order_tables": each.order_tables,
        "seconds": each.seconds,
        "bottleneck": each.bottleneck,
        "host_hours": each.host_hours,
        "shares": each.shares,
        "host_memory": each.host_memory,
        "client_memory": each.client_memory,
        "stored": each.stored,
        "client_cpu_seconds": each.client_cpu,
        "server_cpu_seconds": each.server_cpu,
        "limits": list(each.limits),
        "phases": [
            {"name": phase.name, "seconds": phase.seconds, "bottleneck": phase.bottleneck, "needs": dict(phase.needs)}
            for phase in each.phases
        ],
    }


@dataclass(frozen=True, slots=True)
class Measured:
    """One load of the sample's tables, on a machine of `cores` with its server on it; 0 workers is one process.

    wall: seconds. client, server: CPU seconds of the loader's processes, and of PostgreSQL's.
    """

    records: int
    workers: int
    cores: int
    share_size: int
    wall: float
    client: float
    server: float


def measured(lines: Sequence[str]) -> list[Measured]:
    """Read what `python -m tests.costs runs` printed. Raises BenchmarkError for a line of another form."""
    try:
        return [Measured(**json.loads(line)) for line in lines if line.strip()]
    except (TypeError, ValueError) as error:
        raise BenchmarkError("is no file of runs; make one with python -m tests.costs runs") from error


def against_lines(costs: Costs, runs: Sequence[Measured]) -> Iterator[str]:
    """Yield the medians of runs beside what is predicted for them, and how far the predictions are off."""
    groups: dict[tuple[int, int], list[Measured]] = {}
    for run in runs:
        groups.setdefault((run.records, run.workers), []).append(run)
    yield from _aligned(
        ["records", "workers", "runs", *_heads("wall"), *_heads("client CPU"), *_heads("server CPU")],
        [_against(costs, several) for _, several in sorted(groups.items())],
    )


def _heads(name: str) -> tuple[str, str, str]:
    return name, "predicted", "off"


def _against(costs: Costs, several: Sequence[Measured]) -> list[str]:
    first = several[0]
    expected = _predicted(costs, first)
    cells = [f"{first.records:,}", f"{first.workers or 'none'}", f"{len(several)}"]
    for name, predicted in (
        ("wall", expected.seconds),
        ("client", expected.client_cpu),
        ("server", expected.server_cpu),
    ):
        real = median(getattr(run, name) for run in several)
        cells += [f"{real:.1f}", f"{predicted:.1f}", f"{100 * (predicted / real - 1):+.0f}%"]
    return cells


def _predicted(costs: Costs, run: Measured) -> Forecast:
    sources = Sources(run.records, referenced=_THIRDS, files=1, share_size=run.share_size)
    if not run.workers:
        return one_process(costs, sources, run.cores)
    return forecast(costs, sources, Cluster(hosts=1, cores=run.cores, servers=0, workers=run.workers))


def _aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in [heads, *rows]:
        cells = [
            cell.ljust(width) if head in _TEXTS else cell.rjust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _power(records: int) -> str:
    """Return a large power of ten as such: 10^9 is easier to read than nine zeros."""
    text = str(records)
    return f"10^{len(text) - 1}" if text.rstrip("0") == "1" and len(text) > len("1000000") else f"{records:,}"


def _rounded(number: float) -> str:
    """Return the number with two or three digits: more of them would not mean anything."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.2g}"  # noqa: PLR2004
