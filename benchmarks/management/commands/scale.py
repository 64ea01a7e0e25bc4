"""`manage.py scale`: how long a load would take on a cluster, from measured costs. Options in, a table out."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from django.core.management.base import CommandParser

from async_loader import ConfigurationError
from async_loader.contrib.django.management.base import Failure, LoaderCommand
from async_loader.contrib.django.management.help import REPORTING, group
from benchmarks import chart
from benchmarks.errors import BenchmarkError
from benchmarks.scale import chart as scale_chart
from benchmarks.scale.costs import costs_from
from benchmarks.scale.forecast import forecast
from benchmarks.scale.inputs import Cluster, Sources
from benchmarks.scale.tables import against_lines, as_dict, measured, table_lines

_COSTS = Path(__file__).resolve().parents[2] / "scale" / "costs.json"
_MIB = 1 << 20
_SOURCES, _CLUSTER = Sources(records=1), Cluster()
Result = TypeVar("Result")


class Command(LoaderCommand):
    """The command; `help` says what it does."""

    help = "Predict how long the sample's tables take to load over workers, and what limits them; loads nothing."
    epilog = """\
example: a thousand million records on one host and on ten, with four servers
  python manage.py scale --records 1e9 --hosts 1 10 --servers 4

exit codes:
  0 done, 1 failed, 2 usage
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        _add_sources(parser)
        _add_cluster(parser)
        _add_reporting(parser)

    def handle(
        self,
        *,
        costs: Path,
        against: Path | None,
        format: str,  # noqa: A002 - the option's name
        chart: Sequence[Path],
        records: Sequence[int],
        hosts: Sequence[int],
        servers: Sequence[int],
        **options: Any,
    ) -> None:
        """Predict, and print the forecasts."""
        _refuse_charts(chart)
        known = _read(costs, lambda text: costs_from(_json(text)))
        if against is not None:
            self.print_lines(against_lines(known, _read(against, lambda text: measured(text.splitlines()))))
            return
        forecasts = [forecast(known, *each) for each in _wanted(records, hosts, servers, options)]
        self.print_lines(
            [json.dumps([as_dict(each) for each in forecasts], indent=2)]
            if format == "json"
            else table_lines(forecasts)
        )
        try:
            for path in chart:
                scale_chart.draw(forecasts, path)
        except BenchmarkError as error:
            raise Failure(str(error)) from error


def _wanted(
    records: Sequence[int], hosts: Sequence[int], servers: Sequence[int], options: dict[str, Any]
) -> Iterable[tuple[Sources, Cluster]]:
    """Return sources and cluster of each forecast: all numbers of servers, hosts and records combined."""
    for several, machines, size in itertools.product(servers, hosts, records):
        yield (
            Sources(
                records=size,
                referenced=options["referenced"],
                keys_far=options["far_keys"],
                order_tables=options["order_tables"],
                files=options["files"],
                share_size=round(options["share_size"] * _MIB),
            ),
            Cluster(
                hosts=machines,
                cores=options["cores"],
                servers=several,
                workers=options["workers"],
                network=options["network"],
                disk=options["disk"],
                memory=options["memory"],
            ),
        )


def _read(path: Path, understood: Callable[[str], Result]) -> Result:
    """Read a file of costs or runs. Raises Failure if it cannot be read or has another form."""
    try:
        return understood(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path}: is no text") from error
    except BenchmarkError as error:
        raise Failure(f"{path}: {error}") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BenchmarkError("is no JSON; make one with python -m tests.costs") from error


def _count(text: str) -> int:
    """Read an integer from 1 on, which may be written as 1e9."""
    number = float(text)
    if not (math.isfinite(number) and number >= 1 and number == int(number)):
        raise ValueError
    return int(number)


def _size(text: str) -> float:
    """Read a number greater than 0."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise ValueError
    return number


def _part(text: str) -> float:
    """Read a number between 0 and 1."""
    number = float(text)
    if not 0 < number < 1:
        raise ValueError
    return number


# argparse names them in its messages about values that are wrong.
_count.__name__, _size.__name__, _part.__name__ = "count", "size", "part"


def _add_sources(parser: CommandParser) -> None:
    options = group(parser, "what is loaded")
    options.add_argument(
        "--records",
        type=_count,
        nargs="+",
        metavar="N",
        default=[10**power for power in range(8, 13)],
        help="records of all tables together; each number makes a line (default: 1e8 1e9 1e10 1e11 1e12)",
    )
    options.add_argument(
        "--referenced",
        type=_part,
        metavar="PART",
        default=_SOURCES.referenced,
        help="which part of the records are users and products, in equal numbers (default: %(default)s)",
    )
    options.add_argument(
        "--far-keys",
        action="store_true",
        help="keys are 63-bit numbers in random order; without it they increase along the source",
    )
    options.add_argument(
        "--order-tables",
        type=_count,
        metavar="N",
        help="how many tables the orders are declared as, each on a server of its own if there are enough "
        "(default: one for each server, except the two that have users and products)",
    )
    options.add_argument(
        "--files",
        type=_count,
        metavar="N",
        default=_SOURCES.files,
        help="how many sources each table has; one worker divides each of them (default: %(default)s)",
    )
    options.add_argument(
        "--share-size",
        type=_size,
        metavar="MIB",
        default=_SOURCES.share_size // _MIB,
        help="how many mebibytes of a source are one transaction (default: %(default)s)",
    )


def _add_cluster(parser: CommandParser) -> None:
    options = group(parser, "what it is loaded with")
    options.add_argument(
        "--hosts",
        type=_count,
        nargs="+",
        metavar="N",
        default=[1, 10, 100],
        help="machines with workers (default: 1 10 100)",
    )
    options.add_argument(
        "--servers", type=_count, nargs="+", metavar="N", default=[4], help="PostgreSQL servers (default: 4)"
    )
    options.add_argument(
        "--cores", type=_count, metavar="N", default=_CLUSTER.cores, help="cores of each machine (default: %(default)s)"
    )
    options.add_argument(
        "--workers", type=_count, metavar="N", help="processes on each host (default: one for each core)"
    )
    options.add_argument(
        "--memory",
        type=_size,
        metavar="GIB",
        default=_CLUSTER.memory,
        help="memory of each machine (default: %(default)g)",
    )
    options.add_argument(
        "--network",
        type=_size,
        metavar="GBIT",
        default=_CLUSTER.network,
        help="gigabits a second of each machine's link (default: %(default)g)",
    )
    options.add_argument(
        "--disk",
        type=_size,
        metavar="MB",
        default=_CLUSTER.disk,
        help="megabytes a second that a server can write for hours (default: %(default)g)",
    )


def _add_reporting(parser: CommandParser) -> None:
    reporting = group(parser, REPORTING)
    reporting.add_argument(
        "--costs",
        type=Path,
        metavar="FILE",
        default=_COSTS,
        help="the costs that `python -m tests.costs` measured (default: those of docs/scale.md)",
    )
    reporting.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="predict the loads that `python -m tests.costs runs` measured, and show how far the predictions are off",
    )
    reporting.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="what goes to stdout; json: also the time of each phase, and the time that each resource alone would take "
        "(default: %(default)s)",
    )
    reporting.add_argument(
        "--chart",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="draw a chart too, as .svg or .png; may be given several times",
    )


def _refuse_charts(paths: Sequence[Path]) -> None:
    """Raise ConfigurationError or Failure if a chart could not be drawn."""
    for path in paths:
        if path.suffix.lower() not in chart.SUFFIXES:
            raise ConfigurationError(f"--chart {path}: a chart is one of {', '.join(chart.SUFFIXES)}")
    if paths and not chart.is_possible():
        raise Failure("--chart needs matplotlib: pip install -e '.[benchmark]'")
