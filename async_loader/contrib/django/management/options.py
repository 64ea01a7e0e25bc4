"""The options that several commands have, and the engine's options made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.help import REPORTING, RUNNING, STORING, group


def add_format(parser: CommandParser) -> None:
    """Add the choice between text and JSON on stdout."""
    group(parser, REPORTING).add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="what goes to stdout; json: the report and nothing else (default: %(default)s)",
    )


def add_lock_timeout(parser: CommandParser) -> None:
    """Add the time to wait for a lock."""
    group(parser, RUNNING).add_argument(
        "--lock-timeout",
        type=float,
        metavar="SECONDS",
        default=async_loader.Options().lock_timeout,
        help="how long to wait for a database that another writer holds (default: %(default)g)",
    )


def add_output_options(parser: CommandParser) -> None:
    """Add the options of every command that ends with a report."""
    add_lock_timeout(parser)
    add_format(parser)
    add_report_file(parser)


def add_report_file(parser: CommandParser) -> None:
    """Add the file that the report is written to."""
    group(parser, REPORTING).add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the report to FILE too: as an HTML page if the name ends in .html or .htm, else as JSON",
    )


def add_report_options(parser: CommandParser, listed: str = "rejects") -> None:
    """Add the options of a report that lists the first rows at fault, which it calls `listed`, and of progress."""
    add_output_options(parser)
    reporting = group(parser, REPORTING)
    reporting.add_argument(
        "--report-rejects",
        type=int,
        metavar="N",
        default=async_loader.Options().report_rejects,
        help=f"how many {listed} the report lists for each table (default: %(default)s)",
    )
    reporting.add_argument("--no-progress", action="store_true", help="show no progress on stderr; -v 0 does the same")


def add_run_options(parser: CommandParser, *, with_dask: bool = False) -> None:
    """Add the options of a run, whatever it reads; `with_dask` if it can be spread over the workers of a cluster."""
    defaults = async_loader.Options()
    storing = group(parser, STORING)
    storing.add_argument(
        "--on-conflict",
        choices=async_loader.ON_CONFLICT,
        default=defaults.on_conflict,
        help="when the database holds the record's key with other values: reject the record, update the row, or stop "
        "the run; a row with the same values is counted as unchanged (default: %(default)s)",
    )
    storing.add_argument("-n", "--dry-run", action="store_true", help="read and check everything, write nothing")
    storing.add_argument("--strict", action="store_true", help="exit 3 if any record was rejected; the others are kept")
    storing.add_argument(
        "--max-rejects", type=int, metavar="N", help="with more rejects than N, keep nothing of the run and exit 4"
    )
    running = group(parser, RUNNING)
    running.add_argument(
        "--mode",
        choices=[name for name, mode in async_loader.MODES.items() if with_dask or not mode.is_spread],
        default="async",
        help=f"how the run waits: coroutines, a thread for each table, {'' if with_dask else 'or '}one table after "
        f"another{', or spread over the workers of a Dask cluster' if with_dask else ''}; the same is stored in every "
        "mode (default: %(default)s)",
    )
    running.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        default=defaults.batch_size,
        help="how many records are checked and written at a time, at most (default: %(default)s)",
    )
    group(parser, REPORTING).add_argument(
        "--rejects-dir",
        type=Path,
        metavar="DIR",
        help="write the rejects to DIR/RUN/TABLE.csv, or in the format of the source, to be mended and loaded again",
    )


def options_of(given: Mapping[str, Any], **parsed: Any) -> async_loader.Options:
    """Return the engine's options among all that the command was given; `parsed` are those that it gives as text."""
    names = [field.name for field in dataclasses.fields(async_loader.Options)]
    return async_loader.Options(**{name: given[name] for name in names if name in given} | parsed)
