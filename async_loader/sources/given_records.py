"""A record that a program gives, to a line of JSON, or to the reason why there is none. Pure.

A value that JSON has is itself; a decimal is a number of all its digits; a date, time, duration or UUID is its text in
ISO 8601, as JSON Lines have it, and bytes are Base64. NaN and infinity are no JSON, and are never made null in silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from os import PathLike
from typing import Any

import msgspec

from async_loader.errors import SourceError
from async_loader.records.batches import RAW, Broken
from async_loader.records.parsing import clipped
from async_loader.sources.addresses import shown

# How pandas and its kin spell null, by the names of their types; so none of them is imported.
_NULLS = ("NaTType", "NAType")


@dataclass(frozen=True, slots=True)
class Odd:
    """A record that cannot be written as JSON: why, and its text as far as there is one."""

    why: str
    text: str

    def broken(self, number: int) -> Broken:
        """Return the record as one that could not be read."""
        return Broken(number, number, json.dumps({RAW: self.text}), "invalid_json", self.why)


def line_of(record: Any, name: str, number: int) -> bytes | Odd:
    """Return the line of a record. SourceError for what shows that the source is of something else than records."""
    if type(record) is not dict:
        if isinstance(record, str | PathLike):
            problem = f"{clipped(shown(str(record)))!r} is no mapping; several paths are given as a list"
            raise SourceError(name, problem, number)
        if not isinstance(record, Mapping):
            return Odd(f"the record is of type {type(record).__name__}, not a mapping", _text(record))
        record = dict(record)
    try:
        line = _ENCODE(record)
    except Exception:
        return _odd(record)
    if b"null" in line and next(_not_finite(record), None) is not None:
        return _odd(record)
    return line + b"\n"


def _plain(value: Any) -> Any:
    """Return what JSON has for a value of a class that it does not know, such as one derived from another."""
    if type(value).__name__ in _NULLS:
        return None
    if isinstance(value, str):
        return str.__str__(value)
    if hasattr(value, "tolist"):
        # NumPy's arrays and scalars, some of which are floats too.
        return _finite(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"it is of type {type(value).__name__}")


_ENCODE = msgspec.json.Encoder(decimal_format="number", enc_hook=_plain).encode


def _finite(value: Any) -> Any:
    for number in _not_finite(value):
        raise ValueError(f"it is {number}")
    return value


def _duration(value: timedelta) -> Any:
    # Of pandas, which counts nanoseconds.
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return timedelta(value.days, value.seconds, value.microseconds)


def _not_finite(value: Any) -> Iterator[float]:
    """Yield the numbers in a value that JSON does not have, and that would become null."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _not_finite(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _not_finite(each)


def _odd(record: Mapping[Any, Any]) -> Odd:
    """Say what is wrong with a record."""
    why = next((problem for key, value in record.items() if (problem := _problem(key, value))), "it is no JSON")
    return Odd(why, _text(record))


def _problem(key: Any, value: Any) -> str | None:
    """Return what is wrong with one value, in words; None where nothing is."""
    try:
        if type(key) is not str and not isinstance(key, str | int):
            return f"a name in the record is of type {type(key).__name__}, not text"
        if (number := next(_not_finite(value), None)) is not None:
            return f"{key} is {number}, which is no value in JSON; give None for null"
        _ENCODE({key: value})
    except RecursionError:
        return f"{key} is nested too deep"
    except UnicodeEncodeError:
        return "text holds half of a surrogate pair"
    except Exception as error:
        return f"{key} is no value in JSON: {clipped(shown(str(error)))}"
    return None


def _text(value: Any) -> str:
    """Return a record as Python writes it."""
    try:
        return shown(repr(value))
    except Exception:
        return type(value).__name__
