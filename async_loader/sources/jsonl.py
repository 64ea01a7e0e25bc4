"""JSON Lines: one object a line, each decoded by itself, so that one bad line is one reject.

JSON says what is text and what is a number, and it is taken at its word: `"5"` is no integer and 5 is no text.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
import polars as pl

from async_loader.batches import MARKS, RAW, REJECT, Batch, Broken
from async_loader.errors import SourceError
from async_loader.parsing import EXACT_REAL, clipped, real_code, with_faults
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom
from async_loader.tables import Column, Table, Type

_WRONG_TYPE = {Type.INTEGER: "not_integer", Type.REAL: "not_number", Type.TEXT: "not_text"}
# Longer numbers cannot be a value of any column; Python would take time quadratic in their length to read them.
_MANY_DIGITS = 400

# Nesting that Python can take wherever the record is read, shown or written; no column holds more than text anyway.
_MAX_DEPTH = 64
# A text, or what is left of the line where it never ends.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)')
# What a line that cannot be decoded says of the stored reject that it is mended from.
_NAMED = re.compile(rf'"{REJECT}"\s*:\s*"([^"\\]+)"')
_BRACKETS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_decode = msgspec.json.Decoder().decode


class JsonLinesSource:
    """`columns` are the table's; `ignored` grows by the keys met that the table does not have."""

    schema = None

    def __init__(self, stream: Stream, table: Table) -> None:
        self._stream = stream
        self._table = table
        self.columns = list(table.column_names)
        self.ignored: list[str] = []
        self._head = without_bom(stream.name, stream.read(BLOCK))

    def batches(self) -> Iterator[Batch]:
        """Each block's records, in order."""
        number = 1
        for block in self._blocks():
            lines = block.split(b"\n")
            yield self._batch([(n, line) for n, line in enumerate(lines, number) if line.strip()])
            number += len(lines) - 1

    def _blocks(self) -> Iterator[bytes]:
        """Whole lines, each block cut off behind a line end; the last one where the source ends."""
        rest = self._head
        while more := self._stream.read(max(BLOCK, min(len(rest), RECORD_LIMIT - len(rest)))):
            end = more.rfind(b"\n") + 1
            if end:
                yield rest + more[:end]
                rest = more[end:]
            else:
                rest += more
            if len(rest) > RECORD_LIMIT:
                problem = f"a line longer than {RECORD_LIMIT >> 20} MiB; is this JSON Lines?"
                raise SourceError(self._stream.name, problem)
        yield rest

    def _batch(self, lines: list[tuple[int, bytes]]) -> Batch:
        records, broken, numbers, texts = [], [], [], []
        for number, line in lines:
            record = read(number, line)
            if isinstance(record, Broken):
                broken.append(record)
                continue
            records.append(record)
            numbers.append(number)
            texts.append(line)
        met = set(chain.from_iterable(records))
        self.ignored += sorted(met - {*self._table.column_names, *self.ignored, *MARKS})
        values, faults = typed(self._table, records, texts)
        at = pl.Series(numbers, dtype=pl.Int64)
        return Batch(
            source=self._stream.name,
            values=values,
            lines=at,
            line_ends=at,
            as_read=pl.DataFrame({"line": pl.Series(texts, dtype=pl.Binary)}),
            to_json=_as_read,
            faults=faults,
            broken=tuple(broken),
            read_to=self._stream.read_to,
            supersedes=_supersedes(records) if REJECT in met else None,
        )


def _supersedes(records: list[dict[str, Any]]) -> pl.Series:
    named = [record.get(REJECT) for record in records]
    return pl.Series([text if isinstance(text, str) else None for text in named], dtype=pl.String)


def _as_read(rows: pl.DataFrame) -> pl.Series:
    return rows["line"].cast(pl.String).str.strip_chars().rename("record")


def typed(
    table: Table, records: list[dict[str, Any]], texts: list[bytes]
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The table's columns from n objects and the lines that they stand on, and the faults of those that have any."""
    values, faults = {}, {}
    for column in table.columns:
        values[column.name], fault = _column(column, records, texts)
        if fault is not None:
            faults[column.name] = fault
    return pl.DataFrame(values), faults


def read(number: int, line: bytes) -> dict[str, Any] | Broken:
    """The object on a line. Every `:` outside text belongs to one key: as many as keys means that none comes twice."""
    if line.count(b"[") + line.count(b"{") > _MAX_DEPTH and _depth(line) > _MAX_DEPTH:
        return _broken(number, line, "invalid_json", f"nested more than {_MAX_DEPTH} deep")
    try:
        record = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _read_slowly(number, line)
    if type(record) is not dict:
        return _broken(number, line, "invalid_json", "the line is not a JSON object")
    if line.count(b":") != len(record):
        return _read_slowly(number, line)
    return record


def _depth(line: bytes) -> int:
    steps = (_BRACKETS.get(byte, 0) for byte in _TEXT.sub(b"", line))
    return max(itertools.accumulate(steps), default=0)


def _read_slowly(number: int, line: bytes) -> dict[str, Any] | Broken:
    """With the standard library, which takes numbers of any size and shows every key."""
    try:
        record = json.loads(line.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_integer)
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return _broken(number, line, "invalid_utf8", "the line is not valid UTF-8")
    except UnicodeEncodeError:
        return _broken(number, line, "invalid_json", "text holds half of a surrogate pair")
    except json.JSONDecodeError as error:
        return _broken(number, line, "invalid_json", f"{error.msg.lower()} at character {error.pos + 1}")
    except ValueError as error:
        return _broken(number, line, "invalid_json", str(error))
    if not isinstance(record, dict):
        return _broken(number, line, "invalid_json", "the line is not a JSON object")
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise ValueError(f"the key {twice!r} comes twice")
    return record


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MANY_DIGITS else float(digits)


def _broken(number: int, line: bytes, code: str, message: str) -> Broken:
    text = line.removesuffix(b"\r").decode(errors="backslashreplace")
    named = _NAMED.search(text)
    return Broken(number, number, json.dumps({RAW: text}), code, message, named[1] if named else None)


def _column(column: Column, records: list[dict[str, Any]], texts: list[bytes]) -> tuple[pl.Series, pl.DataFrame | None]:
    """The column's values and faults. All values of the one right type, the common case, go through at once."""
    read = [record.get(column.name) for record in records]
    types = set(map(type, read))
    expected = column.type.python
    if types <= ({expected, type(None)} if column.nullable else {expected}):
        try:
            values = pl.Series(read, dtype=column.type.dtype)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            pass
        else:
            if not _needs_a_closer_look(values):
                return values, None
    judged = [_judge(column, value, text) for value, text in zip(read, texts, strict=True)]
    good = [None if code else _as_typed(column, value) for code, value in zip(judged, read, strict=True)]
    values = pl.Series(good, dtype=column.type.dtype)
    shown = [
        _shown(column, value, text) if code else None for code, value, text in zip(judged, read, texts, strict=True)
    ]
    return with_faults(values, pl.Series(judged, dtype=pl.String), lambda: pl.Series(shown, dtype=pl.String))


def _needs_a_closer_look(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return bool(values.str.contains("\0", literal=True).any())
    return values.dtype == pl.Float64 and bool((values.is_infinite() | (values == 0)).any())


def _judge(column: Column, value: Any, line: bytes) -> str | None:
    """What is wrong with one decoded value, if anything."""
    if value is None:
        return None if column.nullable else "missing"
    kind = type(value)
    if column.type is Type.REAL and kind is int:
        return None if abs(value) <= EXACT_REAL or _exact(value) else "out_of_range"
    if column.type is Type.INTEGER and kind is float and abs(value) == float("inf"):
        return "out_of_range" if _written(column, line).lstrip("-").isdigit() else "not_integer"
    if kind is not column.type.python:
        return _WRONG_TYPE[column.type]
    if kind is int:
        return None if -(2**63) <= value < 2**63 else "out_of_range"
    if kind is str:
        return "nul_character" if "\0" in value else None
    return real_code(_written(column, line), value) if value == 0 or abs(value) == float("inf") else None


def _written(column: Column, line: bytes) -> str:
    """The number as it stands in the line."""
    return str(json.loads(line, parse_float=str, parse_int=str)[column.name])


def _exact(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _as_typed(column: Column, value: Any) -> Any:
    return float(value) if column.type is Type.REAL and value is not None else value


def _shown(column: Column, value: Any, line: bytes) -> str:
    """As JSON, clipped; a number past all bounds as it stands in the line."""
    past_bounds = isinstance(value, float) and math.isinf(value)
    return clipped(_written(column, line) if past_bounds else json.dumps(value, ensure_ascii=False))
