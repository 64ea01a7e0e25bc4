"""Which lines of the ledger are current: no later load has loaded all of their contents into the same table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from async_loader.ledger.contents import Content, contents_by_path
from async_loader.ledger.entries import COMPLETE, DISCARD, TableRun, is_retry


def replaced_lines(lines: Sequence[TableRun]) -> set[tuple[str, str]]:
    """Return run and table of the lines whose contents later complete loads have loaded once more.

    lines: those of one database, in the order in which they were first written.
    """
    later: dict[str, set[Content]] = {}
    replaced = set()
    for line in reversed(lines):
        if is_retry(line) or line.mode == DISCARD:
            continue
        contents = set(chain.from_iterable(contents_by_path(line).values()))
        known = later.setdefault(line.table_name, set())
        if contents and _are_all_among(contents, known):
            replaced.add((line.run, line.table_name))
        if line.state == COMPLETE:
            known |= contents
    return replaced


def _are_all_among(contents: Iterable[Content], others: Iterable[Content]) -> bool:
    several = list(others)
    return all(any(content.is_same_as(other) for other in several) for content in contents)
