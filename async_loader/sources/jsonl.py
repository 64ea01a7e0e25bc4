"""JSON Lines: one object a line, each decoded by itself, so that one bad line is one reject; a block of lines at once
where none of them is bad (`flat`).

JSON says what is text and what is a number, and it is taken at its word: `"5"` is no integer and 5 is no text.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import chain
from typing import Any

import msgspec
import polars as pl

from async_loader.errors import SourceError
from async_loader.records.arrays import from_arrow
from async_loader.records.batches import MARKS, RAW, REJECT, Batch, Broken
from async_loader.records.parsing import EXACT_REAL, clipped, null_codes, parse_text, real_code, with_faults
from async_loader.sources.fields import Fields
from async_loader.sources.flat_json import FlatLines, decoder_of, field_of, flat_lines, shape
from async_loader.sources.ranges import Stretch
from async_loader.sources.signatures import is_no_json_lines
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom
from async_loader.tables import Column, Type

_WRONG_TYPE = {
    Type.INTEGER: "not_integer",
    Type.REAL: "not_number",
    Type.TEXT: "not_text",
    Type.DECIMAL: "not_number",
    Type.BOOLEAN: "not_boolean",
    Type.DATE: "not_date",
    Type.DATETIME: "not_datetime",
    Type.UUID: "not_uuid",
}
# Longer numbers cannot be a value of any column; Python would take time quadratic in their length to read them.
_MANY_DIGITS = 400

# Nesting that Python can take wherever the record is read, shown or written; no column holds more than text anyway.
_MAX_DEPTH = 64
# A text, or what is left of the line where it never ends.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)')
# What a line that cannot be decoded says of the stored reject that it is mended from.
_NAMED = re.compile(rf'"{REJECT}"\s*:\s*"([^"\\]+)"')
_BRACKETS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class JsonLinesSource:
    """`columns` are the table's; `ignored` grows by the keys met that the table does not have.

    A column that may be absent is absent if no record of the first block that has records has it.

    Raises SourceError for what begins as no JSON Lines do.
    """

    schema = None

    def __init__(self, stream: Stream, fields: Fields, stretch: Stretch | None = None) -> None:
        self._stream = stream
        self.fields = fields
        self.columns = list(fields.names.values())
        self.ignored: list[str] = []
        self._absent: set[str] | None = None
        # What of the table's the records at the front have.
        self._found: tuple[str, ...] | None = None
        self._read = reading(fields)
        self._line = 1 if stretch is None else stretch.line
        head = stream.read(BLOCK)
        self._head = without_bom(stream.name, head) if stretch is None else head
        self._start = len(head) - len(self._head)
        if stretch is None and is_no_json_lines(self._head):
            raise SourceError(stream.name, "is no JSON Lines")
        if stretch is not None and stretch.columns is not None:
            self._settle(set(stretch.columns))

    def batches(self) -> Iterator[Batch]:
        """Each block's records, in order."""
        for block in self._blocks():
            batch = self._batch_at_once(block)
            yield self._batch(self._numbered(block)) if batch is None else batch

    def values(self) -> Iterator[pl.DataFrame]:
        """Those of each block, decoded at once where that can be done."""
        for block in self._blocks():
            lines = self._numbered(block)
            quick = None if self._absent is None else self._decoded([line for _, line in lines])
            yield self._batch(lines).values if quick is None else quick

    def stretches(self, _: int) -> list[Stretch]:
        """All, with what can be told of their columns."""
        for _batch in self.batches():
            if self._found is not None:
                break
        return [Stretch(self._stream.version, self._start, self._stream.size or 0, columns=self._found)]

    def _numbered(self, block: bytes) -> list[tuple[int, bytes]]:
        """The block's lines that are not blank, each with its number."""
        lines = block.split(b"\n")
        first, self._line = self._line, self._line + len(lines) - 1
        return [(number, line) for number, line in enumerate(lines, first) if line.strip()]

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

    @property
    def _real(self) -> Callable[[str], Any] | None:
        """What makes a real of its digits, where that is no float."""
        return _exact_real if _is_exact(self.fields) else None

    def _batch_at_once(self, block: bytes) -> Batch | None:
        """Where all lines have the keys of the first one, each column among them, and nothing about them is odd."""
        lines = flat_lines(block)
        first = self._read(self._line, lines[0]) if lines else None
        if lines is None or not isinstance(first, dict) or REJECT in first:
            return None
        alike = shape(tuple(first), self._real)
        read = None if alike is None else alike.values(lines)
        if read is None or not (self._absent or set()).isdisjoint(read):
            return None
        if self._absent is None:
            self._settle(read)
        if not read.keys() >= set(self.fields.names.values()):
            return None
        self._ignore(read)
        first_line = self._line
        self._line += block.count(b"\n")
        values, faults = _typed_at_once(self.fields, read, lines)
        numbers = pl.int_range(first_line, first_line + len(lines), eager=True)
        return self._made(values, faults, numbers, from_arrow(lines.as_arrow()))

    def _made(
        self, values: pl.DataFrame, faults: dict[str, pl.DataFrame], numbers: Sequence[int] | pl.Series, texts: Any
    ) -> Batch:
        """A batch of the records that stand on these lines."""
        at = pl.Series(numbers, dtype=pl.Int64)
        return Batch(
            source=self._stream.name,
            values=values,
            absent=self.fields.absent,
            lookups=self.fields.lookups,
            lines=at,
            line_ends=at,
            as_read=pl.DataFrame({"line": pl.Series(texts, dtype=pl.Binary)}),
            to_json=_as_read,
            faults=faults,
            read_to=self._stream.read_to,
        )

    def _batch(self, lines: list[tuple[int, bytes]]) -> Batch:
        records, broken, numbers, texts = [], [], [], []
        for number, line in lines:
            record = self._read(number, line)
            if isinstance(record, Broken):
                broken.append(record)
                continue
            records.append(record)
            numbers.append(number)
            texts.append(line)
        met = dict.fromkeys(chain.from_iterable(records))
        self._notice(met, records, numbers)
        values, faults = typed(self.fields, records, texts)
        batch = self._made(values, faults, numbers, texts)
        return replace(batch, broken=tuple(broken), supersedes=_supersedes(records) if REJECT in met else None)

    def _notice(self, met: Collection[str], records: list[dict[str, Any]], numbers: list[int]) -> None:
        if self._absent is None and records:
            self._settle(met)
        if late := sorted((self._absent or set()).intersection(met)):
            line = next(number for number, record in zip(numbers, records, strict=True) if late[0] in record)
            problem = f"has {late[0]!r}, which the records at the front have not; give it to one of those, or to none"
            raise SourceError(self._stream.name, problem, line)
        self._ignore(met)

    def _ignore(self, met: Collection[str]) -> None:
        self.ignored += [name for name in self.fields.ignored(list(met)) if name not in (*self.ignored, *MARKS)]

    def _settle(self, met: Collection[str]) -> None:
        """What the columns are called and which are absent, from what the records at the front have."""
        every = self.fields
        self.fields = every.of(met)
        if refusal := self.fields.refusal(met):
            raise SourceError(self._stream.name, refusal)
        if unmet := [name for name in self.fields.missing(met) if name in every.given_names]:
            problem = f"no record at the front has {', '.join(map(repr, unmet))}; name what it has"
            raise SourceError(self._stream.name, problem)
        self._absent = {every.names[name] for name in self.fields.absent if name in every.names}
        self._found = tuple(sorted({*every.names, *every.names.values()}.intersection(met)))

    def _decoded(self, lines: list[bytes]) -> pl.DataFrame | None:
        """The values of lines, without a look at what else they hold; None where that is not simple for one of them."""
        names = [self.fields.names[column.name] for column in self.fields.columns]
        decoder = decoder_of(names, self._real, alone=False)
        if decoder is None:
            return None
        try:
            objects = [decoder.decode(line) for line in lines]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        values = {}
        for place, (column, name) in enumerate(zip(self.fields.columns, names, strict=True)):
            read = [getattr(each, field_of(place)) for each in objects]
            values[column.name], _ = _column(column, read, _Lines(name, lines), self.fields.means_null)
        return self.fields.complete(values, len(objects))


def reading(fields: Fields) -> Callable[[int, bytes], dict[str, Any] | Broken]:
    """A function that reads the object on a line, given its number and its bytes."""
    is_exact = _is_exact(fields)
    decode = msgspec.json.Decoder(float_hook=_exact_real if is_exact else None).decode
    return partial(_read, decode=decode, real=_exact_real if is_exact else float)


def _is_exact(fields: Fields) -> bool:
    """Whether reals are to be decimals: else they would not show how many digits a decimal has."""
    return any(column.type is Type.DECIMAL for column in fields.columns)


def _read(
    number: int, line: bytes, *, decode: Callable[[bytes], Any], real: Callable[[str], Any]
) -> dict[str, Any] | Broken:
    """The object on a line. Every `:` outside text belongs to one key: as many as keys means that none comes twice."""
    if line.count(b"[") + line.count(b"{") > _MAX_DEPTH and _depth(line) > _MAX_DEPTH:
        return _broken(number, line, "invalid_json", f"nested more than {_MAX_DEPTH} deep")
    try:
        record = decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _read_slowly(number, line, real)
    if type(record) is not dict:
        return _broken(number, line, "invalid_json", "the line is not a JSON object")
    if line.count(b":") != len(record):
        return _read_slowly(number, line, real)
    return record


def typed(
    fields: Fields, records: list[dict[str, Any]], texts: list[bytes]
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The table's columns from n objects and the lines that they stand on, and the faults of those that have any."""
    found = {}
    for column in fields.columns:
        name = fields.names[column.name]
        read = [record.get(name) for record in records]
        values, fault = _column(column, read, _Lines(name, texts), fields.means_null)
        if not column.is_required:
            places = pl.Series([name not in record for record in records], dtype=pl.Boolean).arg_true()
            values, fault = _filled(column, places, values, fault)
        found[column.name] = values, fault
    return _completed(fields, found, len(records))


def _typed_at_once(
    fields: Fields, read: Mapping[str, list[Any]], lines: FlatLines
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """As `typed`, from the n values of each key."""
    names = {column: fields.names[column.name] for column in fields.columns}
    found = {
        column.name: _column(column, read[name], _Lines(name, lines), fields.means_null)
        for column, name in names.items()
    }
    return _completed(fields, found, len(lines))


def _completed(
    fields: Fields, found: Mapping[str, tuple[pl.Series, pl.DataFrame | None]], size: int
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    values = fields.complete({name: column for name, (column, _) in found.items()}, size)
    return values, {name: fault for name, (_, fault) in found.items() if fault is not None}


def _filled(
    column: Column, places: pl.Series, values: pl.Series, fault: pl.DataFrame | None
) -> tuple[pl.Series, pl.DataFrame | None]:
    """With the column's default at these places, where records go without its key."""
    if not len(places):
        return values, fault
    values = values.scatter(places, column.defaults(len(places)))
    if fault is not None:
        codes = fault["code"].scatter(places, pl.Series([None] * len(places), dtype=pl.String))
        fault = fault.with_columns(code=codes)
    return values, fault


def _supersedes(records: list[dict[str, Any]]) -> pl.Series:
    named = [record.get(REJECT) for record in records]
    return pl.Series([text if isinstance(text, str) else None for text in named], dtype=pl.String)


def _as_read(rows: pl.DataFrame) -> pl.Series:
    return rows["line"].cast(pl.String).str.strip_chars().rename("record")


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where values of one column were read: under which name, from which lines."""

    name: str
    texts: list[bytes] | FlatLines

    def written(self, place: int) -> str:
        """A number as it stands in its line."""
        return str(json.loads(self.texts[place], parse_float=str, parse_int=str)[self.name])


def _depth(line: bytes) -> int:
    steps = (_BRACKETS.get(byte, 0) for byte in _TEXT.sub(b"", line))
    return max(itertools.accumulate(steps), default=0)


def _read_slowly(number: int, line: bytes, real: Callable[[str], Any]) -> dict[str, Any] | Broken:
    """With the standard library, which takes numbers of any size and shows every key."""
    try:
        record = json.loads(
            line.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_integer, parse_float=real
        )
        json.dumps(record, ensure_ascii=False, default=str).encode()
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


def _exact_real(digits: str) -> Decimal | float:
    """A decimal; zero or infinity where the exponent is past all that one can have."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return float(digits)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MANY_DIGITS else float(digits)


def _broken(number: int, line: bytes, code: str, message: str) -> Broken:
    text = line.removesuffix(b"\r").decode(errors="backslashreplace")
    named = _NAMED.search(text)
    return Broken(number, number, json.dumps({RAW: text}), code, message, named[1] if named else None)


def _column(
    column: Column, read: list[Any], lines: _Lines, means_null: tuple[str, ...]
) -> tuple[pl.Series, pl.DataFrame | None]:
    """The column's values and faults."""
    if means_null:
        read = [None if type(value) is str and value in means_null else value for value in read]
    if column.type not in (Type.INTEGER, Type.REAL, Type.TEXT):
        return _spelled(column, read, lines)
    if column.type is Type.REAL:
        read = [float(value) if type(value) is Decimal else value for value in read]
    return _of_json(column, read, lines)


def _of_json(column: Column, read: list[Any], lines: _Lines) -> tuple[pl.Series, pl.DataFrame | None]:
    """Of a type that JSON has. All values of the one right type, the common case, go through at once."""
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
    values: pl.Series, codes: list[str | None], read: list[Any], lines: _Lines
) -> tuple[pl.Series, pl.DataFrame | None]:
    shown = [
        _shown(value, lines, place) if code else None
        for place, (code, value) in enumerate(zip(codes, read, strict=True))
    ]
    return with_faults(values, pl.Series(codes, dtype=pl.String), lambda: pl.Series(shown, dtype=pl.String))


def _spelled(column: Column, read: list[Any], lines: _Lines) -> tuple[pl.Series, pl.DataFrame | None]:
    """Of a type that JSON does not have: read from text, or from what stands for it in JSON."""
    texts = [_spelling(column.type, value) for value in read]
    values, faults = parse_text(pl.Series(texts, dtype=pl.String), replace(column, nullable=True))
    found = null_codes(len(read)) if faults is None else faults["code"]
    wrong = [_unspelled(column, value, text) for value, text in zip(read, texts, strict=True)]
    codes = pl.Series(wrong, dtype=pl.String).zip_with(found.is_null(), found).to_list()
    return _with_faults(values, codes, read, lines)


def _spelling(kind: Type, value: Any) -> str | None:
    """The text that says the same; None for null, and for what is no such value at all."""
    if kind is Type.JSON:
        return None if value is None else json.dumps(value, default=float)
    if kind is Type.BOOLEAN:
        return str(bool(value)) if type(value) is bool or (type(value) is int and value in (0, 1)) else None
    if kind is Type.DECIMAL and type(value) in (int, Decimal):
        return str(value)
    return value if type(value) is str else None


def _unspelled(column: Column, value: Any, text: str | None) -> str | None:
    """What is wrong with a value that has no spelling."""
    if value is None:
        return None if column.nullable else "missing"
    return _WRONG_TYPE[column.type] if text is None else None


def _needs_a_closer_look(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return bool(values.str.contains("\0", literal=True).any())
    return values.dtype == pl.Float64 and bool((values.is_infinite() | (values == 0)).any())


def _code(column: Column, value: Any, lines: _Lines, place: int) -> str | None:
    """What is wrong with one decoded value, if anything."""
    if value is None:
        return None if column.nullable else "missing"
    kind = type(value)
    if column.type is Type.REAL and kind is int:
        return None if abs(value) <= EXACT_REAL or _exact(value) else "out_of_range"
    if column.type is Type.INTEGER and kind is float and abs(value) == float("inf"):
        return "out_of_range" if lines.written(place).lstrip("-").isdigit() else "not_integer"
    if kind is not column.type.python:
        return _WRONG_TYPE[column.type]
    if kind is int:
        return None if -(2**63) <= value < 2**63 else "out_of_range"
    if kind is str:
        return "nul_character" if "\0" in value else None
    return real_code(lines.written(place), value) if value == 0 or abs(value) == float("inf") else None


def _exact(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _as_typed(column: Column, value: Any) -> Any:
    return float(value) if column.type is Type.REAL and value is not None else value


def _shown(value: Any, lines: _Lines, place: int) -> str:
    """As JSON, clipped; a number as it stands in the line where it is past all bounds."""
    if type(value) is Decimal or (isinstance(value, float) and math.isinf(value)):
        return clipped(lines.written(place))
    return clipped(json.dumps(value, ensure_ascii=False, default=str))
