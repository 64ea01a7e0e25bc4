"""Progress on a terminal: a bar for each table. The only module that draws while a run goes on."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from async_loader import Show, Tell
from async_loader.contrib.django.output import complain


@contextmanager
def progress(*, wanted: bool) -> Iterator[Callable[[Show | Tell], None]]:
    """A function that takes what a run shows and tells, on stderr: drawn only if that is a terminal and `wanted`."""
    if not (wanted and sys.stderr.isatty()):
        yield _tell
        return
    # rich takes 60 ms to import: only who sees its bars waits for it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[given]:,} records, {task.fields[rejected]:,} rejected"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(event: Show | Tell) -> None:
            if isinstance(event, Tell):
                _tell(event)
                return
            if event.table not in tasks:
                tasks[event.table] = bars.add_task(event.table, total=None, given=0, rejected=0)
            bars.update(
                tasks[event.table],
                total=event.size,
                completed=event.read_to,
                given=event.given,
                rejected=event.rejected,
            )

        yield show


def _tell(event: Show | Tell) -> None:
    if isinstance(event, Tell):
        complain(event.text)


@contextmanager
def steps(total: int, *, wanted: bool) -> Iterator[Callable[[str], None]]:
    """A function that is told what is done next, `total` times; it draws on stderr as `progress` does."""
    if not (wanted and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total)
        # The first step is begun when none is done.
        done = itertools.count()

        def show(description: str) -> None:
            bars.update(task, description=description, completed=next(done))

        yield show
