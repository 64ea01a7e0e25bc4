"""Modes: the only code that knows how to wait. Each takes the steps of a run to their end, and adds nothing else.

To add a mode: a module here, and a line in `MODES`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from async_loader.effects import Show, Steps, Tell
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.modes.threads import Threads

# The mode of a run that is spread over the workers of a cluster, which is not one of these: see `workers.py`.
DASK = "dask"

MODES: dict[str, Callable[[Steps[None], Callable[[Show | Tell], None]], None]] = {
    "async": lambda steps, show: asyncio.run(Coroutines(show).run(steps)),
    "threads": lambda steps, show: Threads(show).run(steps),
    "sequential": lambda steps, show: Sequential(show).run(steps),
}
