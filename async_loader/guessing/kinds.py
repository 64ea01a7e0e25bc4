"""The base format of a file, by how it begins: what its name says may be wrong, or nothing."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from async_loader.errors import SourceError
from async_loader.sources.addresses import last_name

_PACKED: Mapping[bytes, str] = {b"\x1f\x8b\x08": ".gz", b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst"}
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ARROW = (b"ARROW1", b"\xff\xff\xff\xff")
_WORKBOOKS: Mapping[str, str] = {"xl/workbook.xml": "xlsx", "xl/workbook.bin": "xlsb", "content.xml": "ods"}
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|html|table)\b", re.IGNORECASE)
# Entries of an archive that a line names.
_LISTED = 5
_ONE_OBJECT = re.compile(rb"\s*\{.*\}[ \t]*\r?\n\s*\{")
_BEGINS_JSON = re.compile(rb"\s*(?:\[\s*[\[{\]]|\{\s*[\"}])")
_ONE_LINE = re.compile(rb"\s*\{[^\n]*\}\s*\Z")


def packing_of(front: bytes) -> str:
    """Return the suffix of the compression of a file that begins so; nothing where it is not packed."""
    return next((suffix for mark, suffix in _PACKED.items() if front.startswith(mark)), "")


def kind_of(name: str, front: bytes, archive: BinaryIO | None = None) -> str:
    """Return the base format of a file whose unpacked text begins so.

    archive: the file, to be asked for its entries, which say what it is; without it an archive is a zip. Raises
    SourceError for what cannot be loaded.
    """
    if front.startswith(b"PAR1"):
        return "parquet"
    if front.startswith(_ARROW):
        return "arrow"
    if front.startswith(_OLE):
        return "xls"
    if front.startswith(_ZIP):
        return "zip" if archive is None else _archive(name, archive)
    if front.startswith(b"%PDF"):
        raise SourceError(name, "is a PDF, which holds no records")
    if _MARKUP.match(front):
        raise SourceError(name, "is HTML or XML, whatever its name says: save it as CSV or as a spreadsheet")
    return _text_kind(front.removeprefix(b"\xef\xbb\xbf"), name)


def _archive(name: str, content: BinaryIO) -> str:
    entries: list[str] = []
    with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(content) as archive:
        entries = archive.namelist()
    for entry, kind in _WORKBOOKS.items():
        if entry in entries:
            return kind
    more = len(entries) - _LISTED
    listed = ", ".join(entries[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    of = f" of {listed}" if entries else ""
    raise SourceError(name, f"is a ZIP archive{of}, and its name does not end in .zip: rename it, or take out the file")


def _text_kind(front: bytes, name: str) -> str:
    is_json = _BEGINS_JSON.match(front) is not None
    if is_json and (_ONE_OBJECT.match(front) or (_ONE_LINE.match(front) and _is_called_lines(name))):
        return "jsonl"
    return "json" if is_json else "csv"


def _is_called_lines(name: str) -> bool:
    """Return whether a name says JSON Lines, which decides for one object on one line."""
    return re.search(r"\.(jsonl|ndjson)(\.|$)", last_name(name).lower()) is not None
