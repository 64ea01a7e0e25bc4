"""The text of a JSON object to the object, or to the reason why it is none. Pure.

It is read by `msgspec`, and once more by the standard library where anything about it is odd: that takes numbers of
any size, shows every key, and says what is wrong. The time is linear in the text, whatever stands in it.

A name with dots, such as `address.city`, is that of a member within others, unless the object has a member of the whole
name.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, TypeAlias

import msgspec

from async_loader.columns import Type
from async_loader.records.batches import RAW, REJECT, Broken
from async_loader.records.json_text import object_of, refuse_constant
from async_loader.sources.fields import Fields
from async_loader.sources.transcoding import decoded, escaped, undecoded

# What makes a value of the digits of a number with a fraction or an exponent.
Real: TypeAlias = Callable[[str], Any]

# Longer numbers cannot be a value of any column; Python would take time quadratic in their length to read them.
_MANY_DIGITS = 400

# Nesting that Python can take wherever the record is read, shown or written; no column holds more than text anyway.
_MAX_DEPTH = 64
_NOTHING = object()
# A text, or what is left of the line where it never ends.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)')
# How a line that cannot be decoded names the stored reject that it is mended from.
_NAMED = re.compile(rf'"{REJECT}"\s*:\s*"([^"\\]+)"')
_BRACKETS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def object_reader(fields: Fields) -> Callable[[int, bytes], dict[str, Any] | Broken]:
    """Return a function that reads an object, given the number of its record and its bytes."""
    real, nested = exact_reals(fields), nested_names(fields)
    read = partial(_read, decode=msgspec.json.Decoder(float_hook=real).decode, real=real or float)
    return partial(_read_nested, read=read, names=nested) if nested else read


def nested_names(fields: Fields) -> tuple[str, ...]:
    """Return the source's names of columns, as the user gave them, that may be those of members within others."""
    mapped = (name for column in fields.mapped for name in fields.candidates[column])
    looked_up = (name for columns in fields.lookups.values() for name in columns)
    return tuple(sorted(name for name in (*mapped, *looked_up) if "." in name))


def has_member(record: Mapping[str, Any], name: str) -> bool:
    """Return whether an object has a member of this name, which may be within others."""
    return name in record or _within(record, name) is not _NOTHING


def member(record: Mapping[str, Any], name: str) -> Any:
    """Return the value of a member that the object has, which may be within others."""
    return record[name] if name in record else _within(record, name)


def _within(record: Any, name: str) -> Any:
    """Return the value that stands within others; `_NOTHING` where there is none."""
    for part in name.split("."):
        if not isinstance(record, dict) or part not in record:
            return _NOTHING
        record = record[part]
    return record


def _read_nested(
    number: int, text: bytes, *, read: Callable[[int, bytes], dict[str, Any] | Broken], names: Sequence[str]
) -> dict[str, Any] | Broken:
    """Read an object, with members of these names beside those in which they stand."""
    record = read(number, text)
    if isinstance(record, Broken):
        return record
    return {name: member(record, name) for name in names if has_member(record, name)} | record


def exact_reals(fields: Fields) -> Real | None:
    """Return what makes decimals of reals; None where no column is a decimal, of which a float would not show how many
    digits it has.
    """
    return _exact_real if any(column.type is Type.DECIMAL for column in fields.columns) else None


def _read(number: int, line: bytes, *, decode: Callable[[bytes], Any], real: Real) -> dict[str, Any] | Broken:
    """Read the object on a line. Every `:` outside text belongs to one key: as many as keys means that none comes
    twice.
    """
    if line.count(b"[") + line.count(b"{") > _MAX_DEPTH and _depth(line) > _MAX_DEPTH:
        return _broken(number, line, "invalid_json", f"nested more than {_MAX_DEPTH} deep")
    try:
        record = decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _read_slowly(number, line, real)
    if type(record) is not dict:
        return _broken(number, line, "invalid_json", "the record is not a JSON object")
    if line.count(b":") != len(record):
        return _read_slowly(number, line, real)
    return record


def _depth(line: bytes) -> int:
    steps = (_BRACKETS.get(byte, 0) for byte in _TEXT.sub(b"", line))
    return max(itertools.accumulate(steps), default=0)


def _read_slowly(number: int, line: bytes, real: Real) -> dict[str, Any] | Broken:
    """Read the object on a line with the standard library."""
    try:
        record = json.loads(
            line.decode(),
            object_pairs_hook=object_of,
            parse_constant=refuse_constant,
            parse_int=_integer,
            parse_float=real,
        )
        json.dumps(record, ensure_ascii=False, default=str).encode()
    except UnicodeDecodeError as error:
        place = len(line[: error.start].decode()) + 1
        message = f"the record is not valid UTF-8: byte 0x{line[error.start]:02x} at character {place}"
        return _broken(number, line, "invalid_utf8", message)
    except UnicodeEncodeError:
        return _broken(number, line, "invalid_json", "text holds half of a surrogate pair")
    except json.JSONDecodeError as error:
        return _broken(
            number, line, "invalid_json", f"{error.msg.lower().removesuffix(' at')} at character {error.pos + 1}"
        )
    except ValueError as error:
        return _broken(number, line, "invalid_json", str(error))
    if not isinstance(record, dict):
        return _broken(number, line, "invalid_json", "the record is not a JSON object")
    return record


def _exact_real(digits: str) -> Decimal | float:
    """Return a decimal; zero or infinity where the exponent is past all that one can have."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return float(digits)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MANY_DIGITS else float(digits)


def transcoded(record: Broken, line: bytes) -> Broken:
    """Return a record that cannot be read with what it was before it was transcoded: bytes that are no text of their
    encoding are escapes, and the first of them is the reason.
    """
    text = decoded(line.removesuffix(b"\r"))
    bad = undecoded(text)
    code, message = record.code, record.message
    if bad is not None and code == "invalid_utf8":
        code = "invalid_encoding"
        message = f"the record is not text in its encoding: byte 0x{bad[0]:02x} at character {bad[1]}"
    return replace(record, record=json.dumps({RAW: escaped(text)}), code=code, message=message)


def _broken(number: int, line: bytes, code: str, message: str) -> Broken:
    text = line.removesuffix(b"\r").decode(errors="backslashreplace")
    named = _NAMED.search(text)
    return Broken(number, number, json.dumps({RAW: text}), code, message, named[1] if named else None)
