"""JSON as Python reads it, less what it would lose: a key that comes twice, and constants that are no JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object from its members. Raises ValueError where a key comes twice, of which Python would drop one."""
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise ValueError(f"the key {twice!r} comes twice")
    return members


def refuse_constant(constant: str) -> None:
    """Raise ValueError for NaN and infinity, which Python reads and JSON does not have."""
    raise ValueError(f"{constant} is no JSON value")
