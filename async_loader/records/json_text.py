"""JSON as Python reads it where nothing may be lost: which texts are no JSON, and which texts say the same. Pure."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal, InvalidOperation
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


def canonical(text: str) -> str:
    """Return a text that is the same for all JSON of one value: whatever the order of members, the spaces, the escapes,
    and the spelling of numbers. Text that is no JSON is returned as it is.
    """
    try:
        value = json.loads(text, parse_int=_number, parse_float=_number, object_pairs_hook=object_of)
        return json.dumps(_marked(value), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return text


class _Number(str):
    """A number, as a text that is the same for all spellings of its value."""

    __slots__ = ()


def _number(digits: str) -> _Number:
    try:
        value = Decimal(digits)
    except InvalidOperation:
        # The exponent is past all that Python can take.
        return _Number(digits)
    sign, significant, exponent = value.as_tuple()
    text = "".join(map(str, significant)).rstrip("0")
    return _Number(f"{'-' * sign}{text}e{int(exponent) + len(significant) - len(text)}" if value else "0")


def _marked(value: Any) -> Any:
    """Return a value in which no text can be taken for a number."""
    match value:
        case dict():
            return {key: _marked(member) for key, member in value.items()}
        case list():
            return [_marked(item) for item in value]
        case _Number():
            return f"number {value}"
        case str():
            return f"text {value}"
    return value
