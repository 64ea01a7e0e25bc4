"""Steps that are taken again where a database went away meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from async_loader.effects import Connect, Pause, Result, Steps
from async_loader.errors import UnreachableError
from async_loader.run.cluster import PAUSES
from async_loader.run.guards import guard
from async_loader.run.state import RunState


def patiently(state: RunState, steps: Callable[[], Steps[Result]]) -> Steps[Result]:
    """Take steps, and again a little later where a server has gone away meanwhile: workers are as patient. Returns what
    the steps return; they must do no harm when they are taken twice, so they count nothing.
    """
    for pause in PAUSES:
        try:
            return (yield from steps())
        except UnreachableError as error:
            yield Pause(pause)
            with contextlib.suppress(UnreachableError):
                database = state.plan.databases[error.database]
                yield Connect(database, state.plan.options.lock_timeout)
                yield from guard([database], state.plan.options.lock_timeout)
                yield from database.begin_share()
    return (yield from steps())
