"""What commands that carry out a run share: its options, and what is said of how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from async_loader import DASK, MODES, ON_CONFLICT, Options, Report, Run
from async_loader.contrib.django.management.commands._command import STRICT, Failure
from async_loader.contrib.django.management.commands._help import STORED, TOLD, WORK, group

_DEFAULTS = Options()
_SPREAD = {True: ", or spread over the workers of a Dask cluster", False: ""}


def add_run_options(parser: CommandParser, modes: Iterable[str] = MODES) -> None:
    """What any run can be told, whatever it reads."""
    stored = group(parser, STORED)
    stored.add_argument(
        "--on-conflict",
        choices=ON_CONFLICT,
        default=_DEFAULTS.on_conflict,
        help="for a key that the database holds with other values: reject the record, update the row, or stop the run; "
        "with the same values it is counted as unchanged (default: %(default)s)",
    )
    stored.add_argument("-n", "--dry-run", action="store_true", help="read and check everything, write nothing")
    stored.add_argument("--strict", action="store_true", help="exit 3 when anything was rejected; the rest is kept")
    stored.add_argument(
        "--max-rejects", type=int, metavar="N", help="more rejects than N: keep nothing of this run, exit 4"
    )
    work = group(parser, WORK)
    work.add_argument(
        "--mode",
        choices=list(modes),
        default="async",
        help="how the run waits: coroutines, a thread for each table, one table after another"
        f"{_SPREAD[DASK in modes]}; all store the same (default: %(default)s)",
    )
    work.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        default=_DEFAULTS.batch_size,
        help="records judged and written at a time, at most (default: %(default)s)",
    )
    group(parser, TOLD).add_argument(
        "--rejects-dir",
        type=Path,
        metavar="DIR",
        help="write the rejects to DIR/RUN/TABLE.csv, or in the source's own format, to mend and load again",
    )


def options_of(given: Mapping[str, Any]) -> Options:
    """What the run is told, of all that the command was."""
    return Options(**{field.name: given[field.name] for field in dataclasses.fields(Options) if field.name in given})


def strictness(outcome: Report) -> Failure | None:
    """What to leave with where nothing may be rejected."""
    rejected = sum(table.rejected for table in outcome.tables.values())
    if not rejected:
        return None
    were = "record was" if rejected == 1 else "records were"
    kept = "nothing was written" if outcome.dry_run else "all others were kept"
    return Failure(f"{rejected:,} {were} rejected; {kept}", STRICT)


def interrupted(run: Run) -> str:
    """What an interrupt left of a run."""
    if run.is_kept:
        return "interrupted, but everything was kept already"
    if run.kept:
        return f"interrupted: {run.kept} kept, the rest not; run the same command again to go on from there"
    return "interrupted: nothing was kept; run the same command again"
