"""Decoded JSON to the values of a table's columns. Pure.

JSON says what is text and what is a number, and it is taken at its word: `"5"` is no integer and 5 is no text. A member
that a record lacks is not null: which records lack it is said apart, because what becomes of it depends on whether the
database holds the record's key.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from async_loader.columns import Column, Type
from async_loader.formats import STANDARD_SPELLINGS, Spellings
from async_loader.records.parsing import EXACT_REAL, clipped, notes_of, null_codes, parse_text, real_code, with_faults
from async_loader.records.respelling import is_respelled, read_text, trimmed
from async_loader.sources.fields import Fields
from async_loader.sources.flat_json import FlatLines
from async_loader.sources.json_objects import has_member, member

# Stands for a member that a record lacks.
_ABSENT = object()

_WRONG_TYPE = {
    Type.INTEGER: "not_integer",
    Type.REAL: "not_number",
    Type.TEXT: "not_text",
    Type.DECIMAL: "not_number",
    Type.BOOLEAN: "not_boolean",
    Type.DATE: "not_date",
    Type.DATETIME: "not_datetime",
    Type.UUID: "not_uuid",
    Type.TIME: "not_time",
    Type.DURATION: "not_duration",
    Type.BINARY: "not_base64",
    Type.OTHER: "not_text",
}


class Typed(NamedTuple):
    """The values of n records in the table's columns, and as in a `Batch`: faults, lacking and absent columns."""

    values: pl.DataFrame
    faults: dict[str, pl.DataFrame]
    lacking: dict[str, pl.Series]
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Where values of one column were read: on which lines, under which of these names."""

    names: Sequence[str]
    texts: Sequence[bytes] | FlatLines

    def written(self, place: int) -> str:
        """Return a number as it stands on its line."""
        record = json.loads(self.texts[place], parse_float=str, parse_int=str)
        return str(next(member(record, name) for name in self.names if has_member(record, name)))


def typed(fields: Fields, records: list[dict[str, Any]], texts: list[bytes]) -> Typed:
    """Return the table's columns, made of n objects; `texts` are the lines that they stand on.

    No object has a column under two of its names: `under_two_names` finds those.
    """
    met = set[str]().union(*records)
    made = _Made(fields, len(records))
    for column in fields.possible_columns:
        names = fields.present(column.name, met)
        read = [_member(record, names) for record in records]
        lacks = [not any(name in record for name in names) for record in records] if None in read else []
        made.take(column, read, lacks, Lines(names, texts))
    for column, _ in fields.list_columns:
        read = [member(record, column.name) if has_member(record, column.name) else _ABSENT for record in records]
        made.take_lists(column, read, Lines([column.name], texts))
    return made.typed()


def typed_at_once(fields: Fields, read: Mapping[str, list[Any]], lines: FlatLines) -> Typed:
    """Return the table's columns, made of the n values of each key of objects that have the same keys."""
    made = _Made(fields, len(lines))
    for column in fields.possible_columns:
        names = fields.present(column.name, read)
        if names:
            made.take(column, read[names[0]], [], Lines(names, lines))
        else:
            made.leave_out(column)
    for column, _ in fields.list_columns:
        made.take_lists(column, read.get(column.name, [_ABSENT] * len(lines)), Lines([column.name], lines))
    return made.typed()


def under_two_names(fields: Fields, keys: Collection[str]) -> list[str]:
    """Return the names of a column that has several among these keys; none where every column has one at most."""
    for column, candidates in fields.candidates.items():
        if len(candidates) > 1 and len(names := fields.present(column, keys)) > 1:
            return names
    return []


def _member(record: dict[str, Any], names: Sequence[str]) -> Any:
    if len(names) == 1:
        return record.get(names[0])
    return next((record[name] for name in names if name in record), None)


class _Made:
    """The columns of n records, as far as they have been made."""

    def __init__(self, fields: Fields, size: int) -> None:
        self._fields, self._size = fields, size
        self._required = fields.required
        self._looked_up = {name for parts in fields.lookups.values() for name in parts}
        self._values: dict[str, pl.Series] = {}
        self._faults: dict[str, pl.DataFrame] = {}
        self._lacking: dict[str, pl.Series] = {}
        self._absent: list[str] = []

    def take(self, column: Column, read: list[Any], lacks: list[bool], lines: Lines) -> None:
        """Take in what was read for a column, null for the records that lack it; `lacks` may be empty for none."""
        if lacks and all(lacks):
            self.leave_out(column)
            return
        fields = self._fields
        values, fault = column_values(
            column, read, lines, means_null=fields.nulls(column.name), spellings=fields.spellings
        )
        if any(lacks):
            self._lacking[column.name] = pl.Series(lacks, dtype=pl.Boolean)
            if fault is not None:
                is_there = ~self._lacking[column.name]
                fault = fault.with_columns(code=pl.select(pl.when(is_there).then(fault["code"])).to_series())
        self._values[column.name] = values
        if fault is not None:
            self._faults[column.name] = fault

    def take_lists(self, column: Column, read: Sequence[Any], lines: Lines) -> None:
        """Take in what was read for a column of lists, `_ABSENT` where a record lacks it."""
        from async_loader.sources.json_lists import list_values

        values, fault = list_values(column, read, lines, self._fields, absent=_ABSENT)
        self._values[column.name] = values
        if fault is not None:
            self._faults[column.name] = fault

    def leave_out(self, column: Column) -> None:
        """Take note of a column that all records lack."""
        if column.name not in self._required and column.name not in self._looked_up:
            self._absent.append(column.name)
            return
        self._values[column.name] = pl.Series([None], dtype=column.dtype).new_from_index(0, self._size)
        self._lacking[column.name] = pl.repeat(value=True, n=self._size, dtype=pl.Boolean, eager=True)

    def typed(self) -> Typed:
        """Return all columns of the table."""
        values = self._fields.complete(self._values, self._size)
        return Typed(values, self._faults, self._lacking, tuple(self._absent))


def column_values(
    column: Column,
    read: list[Any],
    lines: Lines,
    *,
    means_null: Sequence[str] = (),
    spellings: Spellings = STANDARD_SPELLINGS,
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return a column's values and faults. Texts may be spelled in ways of their own; all other values are what JSON
    says.
    """
    if spellings.trim and column.type is not Type.JSON:
        bare = trimmed(_texts(read), column)
        read = [text if type(value) is str else value for value, text in zip(read, bare, strict=True)]
    if means_null:
        read = [None if type(value) is str and value in means_null else value for value in read]
    if is_respelled(column, spellings):
        return _respelled(column, read, lines, replace(spellings, null=(), trim=False))
    if column.convert is not None:
        from async_loader.records.conversion import converted

        if column.type is Type.JSON:
            read = [None if value is None else json.dumps(value, default=float) for value in read]
        return converted(column, read)
    if column.type not in (Type.INTEGER, Type.REAL, Type.TEXT, Type.OTHER):
        return _spelled(column, read, lines)
    if column.type is Type.REAL:
        read = [float(value) if type(value) is Decimal else value for value in read]
    return _of_json(column, read, lines)


def _respelled(
    column: Column, read: list[Any], lines: Lines, spellings: Spellings
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return values of which some are texts that are spelled so."""
    optional, texts = replace(column, nullable=True), _texts(read)
    is_text = texts.is_not_null()
    values, fault = read_text(texts, optional, spellings)
    others, other_fault = column_values(optional, [None if type(value) is str else value for value in read], lines)
    nothing = pl.DataFrame({"code": null_codes(len(read)), "shown": null_codes(len(read))})
    fault, other_fault = (nothing if each is None else each for each in (fault, other_fault))
    codes = fault["code"].zip_with(is_text, other_fault["code"])
    if not column.nullable:
        is_there = pl.Series([value is not None for value in read], dtype=pl.Boolean)
        codes = codes.zip_with(is_there, pl.Series(["missing"]))
    shown = fault["shown"].zip_with(is_text, other_fault["shown"])
    return with_faults(values.zip_with(is_text, others), codes, lambda: shown)


def _texts(read: Sequence[Any]) -> pl.Series:
    """Return those of the values that are texts, and null for all others."""
    return pl.Series([value if type(value) is str else None for value in read], dtype=pl.String)


def _of_json(column: Column, read: list[Any], lines: Lines) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return values of a type that JSON has. All of the one right type, the common case, go through at once."""
    types = set(map(type, read))
    expected = column.type.python
    if types <= ({expected, type(None)} if column.nullable else {expected}):
        try:
            values = pl.Series(read, dtype=column.dtype)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            pass
        else:
            if not _needs_a_closer_look(values):
                return values, None
    codes = [_code(column, value, lines, place) for place, value in enumerate(read)]
    good = [None if code else _as_typed(column, value) for code, value in zip(codes, read, strict=True)]
    return _with_faults(pl.Series(good, dtype=column.dtype), codes, read, lines)


def _with_faults(
    values: pl.Series, codes: list[str | None], read: list[Any], lines: Lines
) -> tuple[pl.Series, pl.DataFrame | None]:
    shown = [
        _shown(value, lines, place) if code else None
        for place, (code, value) in enumerate(zip(codes, read, strict=True))
    ]
    return with_faults(values, pl.Series(codes, dtype=pl.String), lambda: pl.Series(shown, dtype=pl.String))


def _spelled(column: Column, read: list[Any], lines: Lines) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return values of a type that JSON does not have: read from text, or from what stands for it in JSON."""
    texts = [_spelling(column.type, value, lines, place) for place, value in enumerate(read)]
    values, faults = parse_text(pl.Series(texts, dtype=pl.String), replace(column, nullable=True))
    known = null_codes(len(read)) if faults is None else faults["code"]
    wrong = [_unspelled(column, value, text) for value, text in zip(read, texts, strict=True)]
    codes = pl.Series(wrong, dtype=pl.String).zip_with(known.is_null(), known).to_list()
    values, fault = _with_faults(values, codes, read, lines)
    if fault is None or faults is None:
        return values, fault
    return values, fault.with_columns(shown=fault["shown"] + notes_of(faults, column, len(read)))


def _spelling(kind: Type, value: Any, lines: Lines, place: int) -> str | None:
    """Return the text that says the same; None for null, and for a value of a type that says no such thing."""
    if kind is Type.JSON:
        return None if value is None else json.dumps(value, default=float)
    if kind is Type.BOOLEAN:
        return str(bool(value)) if type(value) is bool or (type(value) is int and value in (0, 1)) else None
    if kind is Type.DECIMAL and type(value) in (int, Decimal):
        return str(value)
    if kind is Type.DECIMAL and type(value) is float:
        # Its exponent, or its length, was too much for a decimal.
        return lines.written(place)
    return value if type(value) is str else None


def _unspelled(column: Column, value: Any, text: str | None) -> str | None:
    """Return the code of what is wrong with a value that has no spelling."""
    if value is None:
        return None if column.nullable else "missing"
    return _WRONG_TYPE[column.type] if text is None else None


def _needs_a_closer_look(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return bool(values.str.contains("\0", literal=True).any())
    return values.dtype == pl.Float64 and bool((values.is_infinite() | (values == 0)).any())


def _code(column: Column, value: Any, lines: Lines, place: int) -> str | None:
    """Return the code of what is wrong with one decoded value, if anything."""
    if value is None:
        return None if column.nullable else "missing"
    kind = type(value)
    if column.type is Type.REAL and kind is int:
        return None if abs(value) <= EXACT_REAL or _is_exact(value) else "out_of_range"
    if column.type is Type.INTEGER and kind is float and abs(value) == float("inf"):
        return "out_of_range" if lines.written(place).lstrip("-").isdigit() else "not_integer"
    if kind is not column.type.python:
        return _WRONG_TYPE[column.type]
    if kind is int:
        return None if -(2**63) <= value < 2**63 else "out_of_range"
    if kind is str:
        return "nul_character" if "\0" in value else None
    return real_code(lines.written(place), value) if value == 0 or abs(value) == float("inf") else None


def _is_exact(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _as_typed(column: Column, value: Any) -> Any:
    return float(value) if column.type is Type.REAL and value is not None else value


def _shown(value: Any, lines: Lines, place: int) -> str:
    """Return a value as JSON, clipped; a number as it stands on the line where it is past all bounds."""
    if type(value) is Decimal or (isinstance(value, float) and math.isinf(value)):
        return clipped(lines.written(place))
    return clipped_json(value)


def clipped_json(value: Any) -> str:
    """Return a value as JSON, as messages show it."""
    return clipped(json.dumps(value, ensure_ascii=False, default=str))
