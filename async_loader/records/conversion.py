"""Values that a column's own function converts, once for each distinct one of a batch. Pure, as far as the function is.

What the function raises is a fault of the values for which it does, with the message and the code of the error.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from async_loader.columns import Column, Type
from async_loader.errors import InvalidValueError, one_line
from async_loader.records.parsing import with_faults
from async_loader.records.reasons import FAULT_MESSAGES
from async_loader.records.spellings import digits_code

# The code of an error that has none of its own.
INVALID = "invalid"


class _Answer(NamedTuple):
    """What became of one value: its conversion, or the code and the message of its fault."""

    value: Any
    code: str | None = None
    message: str | None = None


def converted(column: Column, read: Sequence[Any]) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return the values of n that were read, and as in a `Batch` their faults; null stays null, or is missing."""
    answers = {_key(value): value for value in read if value is not None}
    made = {key: _convert(column, value) for key, value in answers.items()}
    nothing = _Answer(None) if column.nullable else _Answer(None, "missing", "")
    of_each = [nothing if value is None else made[_key(value)] for value in read]
    codes = pl.Series([answer.code for answer in of_each], dtype=pl.String)
    values = pl.Series([answer.value for answer in of_each], dtype=column.dtype)
    return with_faults(values, codes, lambda: pl.Series([answer.message for answer in of_each], dtype=pl.String))


def _key(value: Any) -> Hashable:
    """Return what only equal values of one type have."""
    try:
        hash(value)
    except TypeError:
        return type(value), repr(value)
    return type(value), value


def _convert(column: Column, value: Any) -> _Answer:
    assert column.convert is not None
    try:
        made = column.convert(value)
    except InvalidValueError as error:
        own = INVALID if error.code in FAULT_MESSAGES else error.code
        return _Answer(None, own, f"{column.name}: {error.message}")
    except Exception as error:
        return _Answer(None, INVALID, f"{column.name}: {type(error).__name__}: {one_line(error)}")
    if made is None:
        return _Answer(None, None if column.nullable else "missing", "")
    if (code := _fault(column, made)) is not None:
        return _Answer(None, code, repr(made))
    return _Answer(made)


def _fault(column: Column, made: Any) -> str | None:
    """Return the code of what keeps a value out of the column, if anything."""
    if isinstance(made, str) and "\0" in made:
        return "nul_character"
    if column.type is Type.DECIMAL and isinstance(made, Decimal):
        return digits_code(made, column) if made.is_finite() else "not_finite"
    try:
        pl.Series([made], dtype=column.dtype)
    except (Exception, pl.exceptions.PanicException):
        return "out_of_range"
    return None
