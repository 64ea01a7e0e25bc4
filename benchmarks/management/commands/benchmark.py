"""`manage.py benchmark`: options in, contenders in turn, a table, JSON or a chart out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from django.core.management.base import CommandParser

from async_loader import ConfigurationError
from async_loader.contrib.django.management.base import Failure, LoaderCommand
from async_loader.contrib.django.management.help import REPORTING, group
from async_loader.contrib.django.terminal.progress import steps
from benchmarks import chart
from benchmarks.contenders import CASES, SERVED_CASES, STORES
from benchmarks.data import TABLES, misplaced
from benchmarks.errors import BenchmarkError
from benchmarks.opening import refuse_impossible
from benchmarks.results import as_dict, table_lines
from benchmarks.rounds import Wanted, benchmark

_RECORDS, _INVALID, _PEER_RECORDS = 100_000, 0.01, 100_000
_ALL = "all"
_SERVED = tuple(case for case in SERVED_CASES if case not in CASES)


class Command(LoaderCommand):
    """The command; `help` says what it does."""

    help = "Measure how fast loading is: each contender in processes of its own, on fresh databases, in turn."
    epilog = """\
example: the modes and the other programs, with a million records per table
  python manage.py benchmark --records 1000000 --peers --chart speed.svg

exit codes:
  0 done, 1 failed, or contenders stored different rows, 2 usage,
  130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        _add_what_is_measured(parser)
        _add_reporting(parser)

    def handle(
        self,
        *,
        store: str,
        records: int | None,
        invalid: float | None,
        sources: Path | None,
        repeat: int,
        cases: Sequence[str],
        peers: bool,
        peer_records: int,
        format: str,  # noqa: A002 - the option's name
        chart: Sequence[Path],
        keep: Path | None,
        no_progress: bool,
        **_: object,
    ) -> None:
        """Measure, and print the results."""
        if sources is not None and (records, invalid) != (None, None):
            raise ConfigurationError("--sources takes records as they are: leave out --records and --invalid")
        of_cases, _peers = STORES[store]
        wanted = Wanted(
            store=store,
            records=_RECORDS if records is None else records,
            invalid=_INVALID if invalid is None else invalid,
            sources=sources,
            repeat=repeat,
            cases=tuple(of_cases) if _ALL in cases else tuple(dict.fromkeys(cases)),
            peers=peers,
            peer_records=peer_records,
            keep=keep,
        )
        _refuse(wanted)
        refuse_impossible(store)
        if chart:
            _refuse_charts(chart, wanted)
        try:
            self._perform(wanted, format, chart, progress=not no_progress)
        except BenchmarkError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            raise Failure(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error

    def _perform(self, wanted: Wanted, output: str, charts: Sequence[Path], *, progress: bool) -> None:
        with steps(wanted.steps, wanted=progress) as show:
            outcome = benchmark(wanted, show)
        self.print_lines([json.dumps(as_dict(outcome), indent=2)] if output == "json" else table_lines(outcome))
        for path in charts:
            chart.draw(outcome, path)


def _add_what_is_measured(parser: CommandParser) -> None:
    measured = group(parser, "what is measured")
    measured.add_argument(
        "--store",
        choices=tuple(STORES),
        default="sqlite",
        help="what to load into; postgresql: new databases, on a server that is started for the benchmark, or on the "
        "server that USERS_DATABASE_URL and the like name (default: %(default)s)",
    )
    measured.add_argument(
        "--records", type=int, metavar="N", help=f"how many records to make for each table (default: {_RECORDS})"
    )
    measured.add_argument(
        "--invalid",
        type=float,
        metavar="SHARE",
        help="which part of the records to make bad; orders that reference bad users or products are rejected too "
        f"(default: {_INVALID})",
    )
    measured.add_argument(
        "--sources", type=Path, metavar="DIR", help="take users.csv, products.csv and orders.csv from DIR instead"
    )
    measured.add_argument(
        "--repeat",
        type=int,
        metavar="N",
        default=5,
        help="how many times each contender runs; medians are shown (default: %(default)s)",
    )
    measured.add_argument(
        "--cases",
        nargs="+",
        metavar="CASE",
        choices=(*SERVED_CASES, _ALL),
        default=["csv"],
        help=f"what to measure: {', '.join(CASES)}, with --store postgresql also {', '.join(_SERVED)}, or all "
        "(default: csv, which is all modes)",
    )
    measured.add_argument(
        "--peers",
        action="store_true",
        help="also measure other programs that load such files; those that are not installed are named and left out",
    )
    measured.add_argument(
        "--peer-records",
        type=int,
        metavar="N",
        default=_PEER_RECORDS,
        help="how many records per table the slow ones of them load, at most (default: %(default)s)",
    )


def _add_reporting(parser: CommandParser) -> None:
    reporting = group(parser, REPORTING)
    reporting.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="what goes to stdout; json: every run, the medians, the machine and the versions (default: %(default)s)",
    )
    reporting.add_argument(
        "--chart",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="draw a chart too, as .svg or .png; may be given several times",
    )
    reporting.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep the files and the last databases in DIR, except databases of a server; without it nothing is kept",
    )
    reporting.add_argument("--no-progress", action="store_true", help="draw no progress bar")


def _refuse(wanted: Wanted) -> None:
    """Raise ConfigurationError for options with which nothing can be measured."""
    known, _ = STORES[wanted.store]
    if unknown := [case for case in wanted.cases if case not in known]:
        raise ConfigurationError(f"--cases {' '.join(unknown)}: with --store postgresql only")
    for option, number in (
        ("--records", wanted.records),
        ("--repeat", wanted.repeat),
        ("--peer-records", wanted.peer_records),
    ):
        if number < 1:
            raise ConfigurationError(f"{option} is at least 1, not {number}")
    if not 0 <= wanted.invalid <= 1:
        raise ConfigurationError(f"--invalid is a share between 0 and 1, not {wanted.invalid}")
    if wanted.sources is not None:
        _refuse_sources(wanted.sources, by_position=wanted.peers)
    if wanted.keep is not None:
        _refuse_keep(wanted.keep)


def _refuse_sources(directory: Path, *, by_position: bool) -> None:
    for table in TABLES:
        if not (directory / f"{table}.csv").is_file():
            raise ConfigurationError(f"--sources {directory}: has no {table}.csv")
    if by_position and (fault := misplaced(directory)):
        raise ConfigurationError(f"--peers takes columns by their position: {fault}")


def _refuse_keep(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        occupied = any(directory.iterdir())
    except OSError as error:
        raise Failure(f"--keep {directory}: cannot be written: {error.strerror or error}") from error
    if occupied:
        raise ConfigurationError(f"--keep {directory}: is not empty; name a new directory")


def _refuse_charts(paths: Sequence[Path], wanted: Wanted) -> None:
    """Raise ConfigurationError or Failure if a chart could not be drawn in the end."""
    for path in paths:
        if path.suffix.lower() not in chart.SUFFIXES:
            raise ConfigurationError(f"--chart {path}: a chart is one of {', '.join(chart.SUFFIXES)}")
    if "csv" not in wanted.cases:
        raise ConfigurationError("--chart compares with the mode async: add csv to --cases")
    if not chart.is_possible():
        raise Failure("--chart needs matplotlib: pip install -e '.[benchmark]'")
    for path in paths:
        _refuse_unwritable(path)


def _refuse_unwritable(path: Path) -> None:
    is_new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise Failure(f"--chart {path}: cannot be written: {error.strerror or error}; nothing was run") from error
    if is_new:
        path.unlink()
