"""Whether a source has been appended to a table before, decided from what `loader_runs` says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from async_loader.ledger.contents import Content, content_of
from async_loader.ledger.entries import TableRun
from async_loader.ledger.layouts import identities


def earlier_appends(sources: Sequence[Any], lines: Iterable[TableRun]) -> Iterator[tuple[str, TableRun]]:
    """Yield the path of each source whose content a run has loaded into the table, or begun to, and that run's line;
    the last run comes first.

    sources: what identifies each source of a table, as the ledger keeps it; None for one that cannot be read again.
    lines: those of the table, the first run's first.
    """
    contents = {str(source["path"]): _content(source) for source in sources if source is not None}
    for line in reversed(list(lines)):
        loaded = {_content(each) for each in identities(line)} - {None}
        yield from ((path, line) for path, content in contents.items() if content in loaded)


def _content(identity: Any) -> Content | None:
    """Return what distinguishes content, wherever it is read from, and whenever it was changed: a copy is the same."""
    content = content_of(identity) if isinstance(identity, Mapping) else None
    return None if content is None or content.digest is None else replace(content, modified=None, checksum=None)
