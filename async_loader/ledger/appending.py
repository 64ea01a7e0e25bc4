"""Whether a source has been appended to a table before, decided from what `loader_runs` says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from async_loader.ledger.entries import COMPLETE, TableRun
from async_loader.ledger.layouts import identities


def earlier_append(sources: Sequence[Any], lines: Iterable[TableRun]) -> tuple[str, TableRun] | None:
    """Return the path of a source whose content a complete run has loaded into the table, and the line of that run.

    sources: what identifies each source of a table, as the ledger keeps it; None for one that cannot be read again.
    lines: those of the table.
    """
    loaded = {_content(each): line for line in lines if line.state == COMPLETE for each in identities(line)}
    for source in sources:
        if source is not None and (line := loaded.get(_content(source))) is not None:
            return str(source["path"]), line
    return None


def _content(identity: Any) -> tuple[Any, Any] | None:
    """Return what distinguishes content, wherever it is read from."""
    if not isinstance(identity, dict) or "digest" not in identity:
        return None
    return identity["digest"], identity.get("size")
