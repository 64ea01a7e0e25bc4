"""A value of a row as a batch has it: what a store's way of keeping values is undone by. Pure.

What is read back and written again leaves the row as it was. A value for which that is not so is odd: text in a column
of numbers, a decimal of more places, a time that another program spelled in its own way.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from async_loader.columns import Column, Type


def read_back(column: Column, stored: Any) -> tuple[Any, bool]:
    """Return a stored value as a batch has it, and whether it is odd; null stands for what is odd."""
    if stored is None:
        return None, False
    try:
        value = _READERS[column.type](stored, column)
    except (ValueError, TypeError, ArithmeticError):
        return None, True
    return value, value is None


def _integer(stored: Any, _: Column) -> int | None:
    return stored if type(stored) is int else None


def _real(stored: Any, _: Column) -> float | None:
    return float(stored) if type(stored) in (int, float) and math.isfinite(stored) else None


def _text(stored: Any, _: Column) -> str | None:
    return stored if type(stored) is str else None


def _decimal(stored: Any, column: Column) -> Decimal | None:
    """Read a decimal: SQLite keeps it as a real, or as an integer where it is one."""
    if type(stored) not in (int, float, Decimal):
        return None
    value = stored if isinstance(stored, Decimal) else Decimal(repr(stored))
    placed = value.quantize(Decimal((0, (1,), -column.places)))
    return placed if type(stored)(placed) == stored else None


def _boolean(stored: Any, _: Column) -> bool | None:
    return bool(stored) if type(stored) is bool or (type(stored) is int and stored in (0, 1)) else None


def _date(stored: Any, _: Column) -> date | None:
    if isinstance(stored, str):
        value = date.fromisoformat(stored)
        return value if str(value) == stored else None
    return stored if type(stored) is date else None


def _datetime(stored: Any, column: Column) -> datetime | None:
    """Read a time: SQLite keeps it as text, in UTC."""
    if isinstance(stored, str):
        value = datetime.fromisoformat(stored)
        if value.tzinfo is not None or str(value) != stored:
            return None
        return value.replace(tzinfo=UTC) if column.zone else value
    if not isinstance(stored, datetime) or (stored.tzinfo is None) == bool(column.zone):
        return None
    return stored.astimezone(UTC) if column.zone else stored


def _uuid(stored: Any, _: Column) -> str | None:
    return stored if isinstance(stored, str) and uuid.UUID(stored).hex == stored else None


def _time(stored: Any, _: Column) -> time | None:
    if isinstance(stored, str):
        value = time.fromisoformat(stored)
        return value if value.tzinfo is None and str(value) == stored else None
    return stored if type(stored) is time else None


def _duration(stored: Any, _: Column) -> timedelta | None:
    """Read a duration: SQLite keeps it as a number of microseconds."""
    if type(stored) is int:
        return timedelta(microseconds=stored)
    return stored if isinstance(stored, timedelta) else None


def _binary(stored: Any, _: Column) -> bytes | None:
    return bytes(stored) if isinstance(stored, bytes | bytearray | memoryview) else None


_READERS: Mapping[Type, Callable[[Any, Column], Any]] = {
    Type.INTEGER: _integer,
    Type.REAL: _real,
    Type.TEXT: _text,
    Type.DECIMAL: _decimal,
    Type.BOOLEAN: _boolean,
    Type.DATE: _date,
    Type.DATETIME: _datetime,
    Type.UUID: _uuid,
    Type.JSON: _text,
    Type.TIME: _time,
    Type.DURATION: _duration,
    Type.BINARY: _binary,
    Type.OTHER: _text,
}
