"""Whether two texts hold the same JSON: compared as values, as jsonb of PostgreSQL does. A function for SQL."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

# What SQL calls the function.
SAME_JSON = "loader_same_json"


def same_json(one: object, other: object) -> bool:
    """Return whether both are the same value: spacing, the order of members and the spelling of numbers aside."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    try:
        return _same(_read(one), _read(other))
    except (ValueError, RecursionError):
        # A text that is no JSON, or is nested too deeply to be read, is the same as itself alone.
        return one == other


def _read(text: str) -> Any:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=str)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    # Python takes true for 1.
    return type(one) is type(other) and bool(one == other)
