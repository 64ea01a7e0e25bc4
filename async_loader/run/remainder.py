"""What to do about the rest of a run that has kept a part of its records, in words. Pure."""

from __future__ import annotations

from async_loader.errors import ConflictError, LoaderError, SourceError, StoreError
from async_loader.run.resuming import obstacle
from async_loader.run.state import RunState

_GOES_ON = "the same command goes on from there"
_IS_FOUND = "a load of the whole source finds them unchanged"
_LOAD_THE_REST = "load only what comes after them, or they are appended twice"


def remainder(state: RunState, error: LoaderError | None) -> str:
    """Return what to do after this error, or after an interrupt where it is None. Empty where the error says it."""
    if isinstance(error, SourceError):
        # A source that is mended has another content, of which no run is resumed.
        return f"once it is mended, {_LOAD_THE_REST if _has_appended(state) else _IS_FOUND}"
    if isinstance(error, ConflictError) or not isinstance(error, StoreError | None):
        return ""
    if state.plan.retried:
        # The next retry finds the rejects that are left.
        return _GOES_ON
    if _can_be_resumed(state):
        return _GOES_ON.replace("command", "command without --restart") if state.plan.options.restart else _GOES_ON
    return _LOAD_THE_REST if _has_appended(state) else _IS_FOUND


def _can_be_resumed(state: RunState) -> bool:
    """Return whether a run of the same sources would go on with this one."""
    sources = [source for several in state.facts.get("tables", {}).values() for source in several]
    return None not in sources and obstacle(state.plan) is None


def _has_appended(state: RunState) -> bool:
    """Return whether records are kept that a load of the same source would store once more."""
    return any(table.append and state.tallies[table.name].kept.records for table in state.plan.loaded)
