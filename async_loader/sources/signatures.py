"""The looks of a source that cannot be read, for the line that says so. Pure.

Nothing is ever read in another way than its user said: this is advice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Bytes at the front that are looked at.
FRONT = 64

# How files of each kind begin, by their formats' own descriptions.
_GZIP, _BZIP2, _ZSTANDARD = rb"\x1f\x8b\x08", rb"BZh[1-9]1AY&SY", rb"\x28\xb5\x2f\xfd"
_SUFFIXES = {_GZIP: ".gz", _BZIP2: ".bz2", _ZSTANDARD: ".zst"}
_ARCHIVES = {
    rb"PK\x03\x04": "a ZIP archive, as spreadsheets are: say so if it is one (TABLE:xlsx=), or end its name in .zip",
    rb"\xfd7zXZ\x00": "packed with xz: unpack it",
}
_PARQUET, _ARRAY, _OBJECT = rb"PAR1", rb"\s*\[\s*\{", rb'\s*\{\s*"'
# An object that goes on after its first line.
_LAID_OUT = rb'\s*\{(?:[ \t\r]*|[^\r\n]*[^}\r\n],[ \t\r]*)\n\s*"'
_ONE_LINE = "one after another, can be read when each is on one line (jq -c .)"
_NO_LINES = (*_SUFFIXES, *_ARCHIVES, _PARQUET, _ARRAY, _LAID_OUT)


def is_no_json_lines(front: bytes) -> bool:
    """Return whether a source with this front cannot be JSON Lines, not even broken ones."""
    return _begins(front, _NO_LINES) is not None


def advice(front: bytes, table: str, kind: str, codec: str, path: str) -> str | None:
    """Return what a source looks like, and what to do; None where its front says nothing.

    front: unpacked, where the user said that it is packed. kind, codec: the format as which it was read, and the suffix
    of the compression that the user named, or nothing.
    """
    front = front.removeprefix(b"\xef\xbb\xbf")
    if (packed := _begins(front, tuple(_SUFFIXES))) is not None:
        if codec:
            return "is packed twice: unpack it once"
        return f"is packed: name it {table}:{kind}{_SUFFIXES[packed]}={path}"
    if (archive := _begins(front, tuple(_ARCHIVES))) is not None:
        return f"is {_ARCHIVES[archive]}"
    if _begins(front, (_PARQUET,)):
        return f"is Parquet: {'unpack it' if codec else f'name it {table}:parquet={path}'}"
    if kind != "json" and _begins(front, (_ARRAY, _LAID_OUT)):
        document = f"is a JSON document: name it {table}:json{codec}={path}"
        return (
            document if _begins(front, (_ARRAY,)) else f"{document}; objects laid out over several lines, {_ONE_LINE}"
        )
    if kind == "csv" and _begins(front, (_OBJECT,)):
        return f"seems to be JSON Lines: name it {table}:jsonl{codec}={path}"
    return None


def _begins(front: bytes, patterns: Sequence[bytes]) -> bytes | None:
    """Return the first of the patterns with which it begins."""
    return next((pattern for pattern in patterns if re.match(pattern, front, re.DOTALL)), None)
