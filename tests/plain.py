"""What becomes of whole files, in plain Python, one record after another: any load must agree with it.

Fields are cut by the `csv` module in its strict mode, JSON by `json`; numbers are Python's own. Where the loader is
stricter, or goes on where these give up, it is stated here: `_csv_records` and `_object` say how.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from async_loader import Column, Table, Type
from tests.integration.test_oracle import BROKEN

LINE_END = re.compile(r"\r\n|\r|\n")
INTEGER = re.compile(r"[+-]?[0-9]+")
REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
# Stands for a carriage return that ends no line; Latin-1 does not have it.
_RETURN = "\u0100"
MARKS_OF_OTHERS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


class Judged(NamedTuple):
    """One value as a column takes it, or the code of what is wrong with it."""

    value: Any
    code: str | None = None


@dataclass(frozen=True)
class Read:
    """A record as read: its lines, what a reject of it holds (a str: just this JSON text), and its values by column,
    or the code of why it has none.
    """

    line: int
    line_end: int
    kept: dict[str, Any] | str
    values: Mapping[str, Judged] = field(default_factory=dict)
    broken: str | None = None


@dataclass
class Outcome:
    """One table's rows by key, and its rejects: the source's number, the record, `column.code` of all its reasons."""

    given: int = 0
    rows: dict[Any, tuple[Any, ...]] = field(default_factory=dict)
    rejects: list[tuple[int, Read, list[str]]] = field(default_factory=list)


def outcomes(tables: Sequence[Table], reads: Mapping[str, Sequence[Sequence[Read]]]) -> dict[str, Outcome]:
    """Return what a load into empty tables makes of what was read of each table's sources. Targets come first."""
    by_table: dict[str, Outcome] = {}
    for table in tables:
        outcome = by_table[table.name] = Outcome()
        for number, source in enumerate(reads[table.name]):
            for record in source:
                outcome.given += 1
                reasons = [record.broken] if record.broken else _reasons(table, record, by_table)
                if reasons:
                    outcome.rejects.append((number, record, reasons))
                else:
                    row = tuple(record.values[name].value for name in table.column_names)
                    outcome.rows[record.values[table.key].value] = row
    return by_table


def _reasons(table: Table, record: Read, by_table: Mapping[str, Outcome]) -> list[str]:
    reasons = [f"{name}.{judged.code}" for name, judged in record.values.items() if judged.code]
    values = {name: judged.value for name, judged in record.values.items() if judged.value is not None}
    rules = [(rule.columns[0], rule.code) for rule in table.rules if rule.column in values]
    reasons += [f"{column}.{code}" for column, code in rules if BROKEN[code](values[column])]
    references = [reference for reference in table.references if reference.column in values]
    reasons += [f"{r.column}.exists_in" for r in references if values[r.column] not in by_table[r.table].rows]
    if values.get(table.key) in by_table[table.name].rows:
        reasons.append(f"{table.key}.duplicate")
    return reasons


def read_csv(content: bytes, table: Table, delimiter: str) -> list[Read] | None:
    """Return all records of a CSV file, or None if its header does not fit the table."""
    if _is_utf_16(content):
        return None
    # In Latin-1 all bytes are text; fields are UTF-8 or not, each by itself.
    text = content.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    first = re.match(r'(?:[^"\r\n]|"[^"]*")*(\r\n|\r|\n)', text)
    if first is None or first[1] != "\r":
        # Then a carriage return alone is a character like any other, which the `csv` module must not see.
        text = re.sub("\r(?!\n)", _RETURN, text)
    header, *records = [*_csv_records(text, delimiter)] or [_CsvRecord(1, 1, "", is_whole=False, fields=[], nothing=[])]
    columns = [_utf_8(name) for name in header.fields]
    while len(columns) > 1 and not columns[-1]:
        columns.pop()
    shaped = [_shaped(record, len(columns), len(header.fields)) for record in records]
    records = [record for record in shaped if len(record.fields) != len(columns) or not all(record.nothing)]
    is_twice = len(set(columns)) < len(columns)
    if is_twice or any(map(_is_not_utf_8, header.fields)) or not set(table.column_names) <= set(columns):
        return None
    return [_csv_read(record, columns, table) for record in records]


class _CsvRecord(NamedTuple):
    line: int
    line_end: int
    text: str
    is_whole: bool
    fields: list[str]
    nothing: list[bool]


def _csv_records(text: str, delimiter: str) -> Iterator[_CsvRecord]:
    """Yield the records of CSV text, except empty lines.

    By RFC 4180 a quote opens a field at its very beginning or breaks its record; the `csv` module takes one inside an
    unquoted field for a character like any other. Of a record that breaks, the first physical line is given up, and
    reading starts again at the next one; the `csv` module gives up.

    If no record breaks, that module reads the whole text, and divides it into just these records.
    """
    edge = re.escape(delimiter)
    one = rf'(?:"(?:[^"]|"")*+"|[^"{edge}\r\n]*+)'
    whole, cut = re.compile(rf"{one}(?:{edge}{one})*+(?=[\r\n]|\Z)"), re.compile(rf"({one}){edge}")
    records, at, line = [], 0, 1
    while at < len(text):
        match = whole.match(text, at)
        end = match.end() if match else next((each.start() for each in LINE_END.finditer(text, at)), len(text))
        raw = text[at:end]
        line_end = line + len(LINE_END.findall(raw))
        if raw:
            fields = next(_strict(raw, delimiter)) if match else []
            records.append(
                _CsvRecord(
                    line, line_end, raw, bool(match), fields, [not each for each in cut.findall(raw + delimiter)]
                )
            )
        line_ending = LINE_END.match(text, end)
        at, line = line_ending.end() if line_ending else end, line_end + 1
    if all(record.is_whole for record in records):
        reader = _strict(text, delimiter)
        ends = [(fields, reader.line_num) for fields in reader if fields]
        assert ends == [(record.fields, record.line_end) for record in records]
    return iter(records)


def _shaped(record: _CsvRecord, named: int, every: int) -> _CsvRecord:
    """Return a record without what it has of columns that have no name, and without fields beyond all columns, where
    these hold nothing.
    """
    fields, nothing = record.fields, record.nothing
    if len(fields) > every and all(nothing[every:]) and not (every == 1 and all(nothing)):
        fields, nothing = fields[:every], nothing[:every]
    if not named <= len(fields) <= every or not all(nothing[named:]):
        return record
    return record._replace(fields=fields[:named], nothing=nothing[:named])


def _strict(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _csv_read(record: _CsvRecord, columns: list[str], table: Table) -> Read:
    line, line_end, text, is_whole, fields, nothing = record
    if not is_whole:
        return Read(line, line_end, {"_raw": _utf_8(text)}, broken="invalid_quoting")
    shown = list(map(_utf_8, fields))
    kept: dict[str, Any] = dict(zip(columns, shown, strict=False))
    if len(columns) > 1 and shown == columns:
        return Read(line, line_end, kept, broken="repeated_header")
    if len(fields) != len(columns):
        if len(fields) > len(columns):
            kept["_extra"] = shown[len(columns) :]
        return Read(line, line_end, kept, broken="wrong_field_count")
    values = {}
    for column in table.columns:
        place = columns.index(column.name)
        if column.nullable and nothing[place]:
            kept[column.name] = None
            values[column.name] = Judged(None)
        elif _is_not_utf_8(fields[place]):
            values[column.name] = Judged(None, "invalid_utf8")
        else:
            values[column.name] = _TEXT_AS[column.type](shown[place])
    return Read(line, line_end, kept, values)


def _is_utf_16(content: bytes) -> bool:
    return content.startswith(MARKS_OF_OTHERS) or (len(content) > 1 and content[:2].count(0) == 1)


def _utf_8(latin_1: str) -> str:
    return _bytes(latin_1).decode(errors="backslashreplace")


def _is_not_utf_8(latin_1: str) -> bool:
    return _utf_8(latin_1).encode("utf-8") != _bytes(latin_1)


def _bytes(latin_1: str) -> bytes:
    return latin_1.replace(_RETURN, "\r").encode("latin-1")


class Whole(str):
    """A number without fraction or exponent, as written."""

    __slots__ = ()


class Fraction(str):
    """Any other number, as written."""

    __slots__ = ()


def _whole(digits: str) -> Judged:
    return Judged(int(Decimal(digits))) if -(2**63) <= Decimal(digits) < 2**63 else Judged(None, "out_of_range")


def _real(digits: str) -> Judged:
    value = float(digits)
    underflow = value == 0 and re.search("[1-9]", re.split("[eE]", digits)[0])
    inexact = INTEGER.fullmatch(digits) and Decimal(digits) != Decimal(value)
    return Judged(None, "out_of_range") if abs(value) == float("inf") or underflow or inexact else Judged(value)


def _text(read: str) -> Judged:
    return Judged(None, "nul_character") if "\0" in read else Judged(read)


def _not_a_number(read: str, code: str) -> Judged:
    return Judged(None, "nul_character" if "\0" in read else code if read else "missing")


def _whole_text(read: str) -> Judged:
    return _whole(read) if INTEGER.fullmatch(read) else _not_a_number(read, "not_integer")


def _real_text(read: str) -> Judged:
    if NOT_FINITE.fullmatch(read):
        return Judged(None, "not_finite")
    return _real(read) if REAL.fullmatch(read) else _not_a_number(read, "not_number")


_TEXT_AS: dict[Type, Callable[[str], Judged]] = {Type.INTEGER: _whole_text, Type.REAL: _real_text, Type.TEXT: _text}


def read_json_lines(content: bytes, table: Table) -> list[Read] | None:
    """Return all records of a JSON Lines file; None if it is UTF-16 or a JSON array, begins as packed files do, or has
    lines that end in carriage returns.
    """
    if _is_utf_16(content):
        return None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if re.match(rb"\s*\[\s*\{|\x1f\x8b\x08|PAR1", content) or (b"\n" not in content and b"}\r{" in content):
        return None
    lines = content.split(b"\n")
    return [_json_read(number, line, table) for number, line in enumerate(lines, 1) if line.strip()]


def _json_read(number: int, line: bytes, table: Table) -> Read:
    record = _object(line)
    if isinstance(record, str):
        raw = line.removesuffix(b"\r").decode(errors="backslashreplace")
        return Read(number, number, {"_raw": raw}, broken=record)
    values = {column.name: _json_value(column, record.get(column.name)) for column in table.columns}
    return Read(number, number, line.decode().strip(), values)


def _object(line: bytes) -> dict[str, Any] | str:
    """Return the object on a line, with numbers as they are written; or the code of what is wrong with it.

    It is stricter than the `json` module: no key comes twice in one object, NaN and Infinity are no numbers, and text
    can be written as UTF-8 again.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    try:
        record = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse, parse_int=Whole, parse_float=Fraction
        )
        json.dumps(record, ensure_ascii=False).encode()
    except ValueError:
        return "invalid_json"
    return record if isinstance(record, dict) else "invalid_json"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _refuse(_: str) -> None:
    raise ValueError


def _json_value(column: Column, value: Any) -> Judged:
    if value is None:
        return Judged(None, None if column.nullable else "missing")
    if column.type is Type.TEXT:
        return _text(value) if type(value) is str else Judged(None, "not_text")
    if column.type is Type.INTEGER:
        return _whole(value) if type(value) is Whole else Judged(None, "not_integer")
    return _real(value) if type(value) in (Whole, Fraction) else Judged(None, "not_number")
