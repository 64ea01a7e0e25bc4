"""Modes: the only code that knows how to wait. Each takes the steps of a run to their end, and adds nothing else.

To add a mode: a module here, and an entry in `MODES`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from async_loader.effects import Show, Steps, Tell
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.modes.threads import Threads
from async_loader.run.cluster import Cluster

# Takes what a run shows of itself.
Shows: TypeAlias = Callable[[Show | Tell], None]

DASK = "dask"


def _dask(steps: Steps[None], show: Shows, cluster: Cluster | None) -> None:
    from async_loader.modes.dask.driver import Workers

    Workers(show, cluster or Cluster()).run(steps)


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to carry out a run. `perform` blocks until its steps are done.

    is_spread: whether the run is spread over the workers of a cluster.
    in_event_loop: whether `Coroutines` may carry it out in an event loop that runs already.
    """

    perform: Callable[[Steps[None], Shows, Cluster | None], None]
    is_spread: bool = False
    in_event_loop: bool = False


MODES: dict[str, Mode] = {
    "async": Mode(lambda steps, show, _: asyncio.run(Coroutines(show).run(steps)), in_event_loop=True),
    "threads": Mode(lambda steps, show, _: Threads(show).run(steps)),
    "sequential": Mode(lambda steps, show, _: Sequential(show).run(steps)),
    DASK: Mode(_dask, is_spread=True),
}
