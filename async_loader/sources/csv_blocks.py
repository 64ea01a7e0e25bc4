"""CSV as bytes: blocks of a stream, cut between records, and the header at the front of it.

A block is as large as it must be for one whole record, and no larger than a record may be.
"""

from __future__ import annotations

import re

from async_loader.errors import SourceError
from async_loader.sources.csv_records import (
    Split,
    fields_of_record,
    give_up_first_line,
    long_record,
    record_spans,
    split,
)
from async_loader.sources.fields import Fields
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}


class CsvBlocks:
    """The records of a stream, in blocks, from a line on; `line` is that of the first record not taken yet."""

    def __init__(self, stream: Stream, delimiter: str, line: int = 1) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self.line = line
        # What has been read and not taken yet, and whether that is all there is.
        self._rest, self._ended = b"", False

    @property
    def position(self) -> int:
        """The offset in the source of the first byte not taken yet."""
        return self._stream.read_to - len(self._rest)

    def next(self) -> tuple[Split, int] | None:
        """Take the next records, at least one, with the line on which they begin; None at the end."""
        if self._ended and not self._rest:
            return None
        part, line = self._look(), self.line
        self._take(part.consumed, part.lines)
        return part, line

    def header(self, fields: Fields) -> str:
        """Take the header from the front, with the empty lines before it. fields: the columns that it is to name."""
        name = self._stream.name
        self._fill(BLOCK)
        self._rest = without_bom(name, self._rest)
        part = self._look()
        while part.lines and not len(part.ends) and not part.broken:
            self._take(part.consumed, part.lines)
            part = self._look()
        if part.broken and not (len(part.ends) and part.ends[0] < part.broken[0][0]):
            line, header = part.broken[0]
            hint = delimiter_hint(header.decode(errors="replace"), fields, self._delimiter)
            problem = "the header has broken quoting"
            raise SourceError(name, f"{problem}; {hint}" if hint else problem, line + self.line)
        if not len(part.ends):
            raise SourceError(name, "is empty: not even a header")
        begins, stops = record_spans(part.good)
        header = part.good[int(begins[0]) : int(stops[0])].removesuffix(b"\r")
        end = int(begins[0]) + len(header)
        line_end = b"\r\n" if self._rest[end : end + 2] == b"\r\n" else self._rest[end : end + 1]
        self._take(end + len(line_end), int(part.ends[0]) + 1)
        return _text(name, header)

    def _take(self, size: int, lines: int) -> None:
        self._rest = self._rest[size:]
        self.line += lines

    def _look(self) -> Split:
        """Return the records at the front of what is not taken yet, one at least while there is any.

        Where a block holds no whole record, that record is looked for in twice as much each time, and taken alone.
        """
        size, delimiter = BLOCK, self._delimiter.encode()
        self._fill(size)
        part = split(self._rest[:size], delimiter, final=self._is_all(size))
        while self._rest and not part.consumed:
            if size >= RECORD_LIMIT:
                return self._given_up(self._rest[:size])
            size *= 2
            self._fill(size)
            part = long_record(self._rest[:size], delimiter, final=self._is_all(size))
        return part

    def _is_all(self, size: int) -> bool:
        """Return whether that many bytes of what is not taken yet are all that there is."""
        return self._ended and len(self._rest) <= size

    def _given_up(self, block: bytes) -> Split:
        """Return the first line as a broken record: the record that it begins has no end in sight."""
        part = give_up_first_line(block)
        if not part.consumed:
            problem = f"a record longer than {RECORD_LIMIT >> 20} MiB; is this CSV?"
            raise SourceError(self._stream.name, problem, self.line)
        return part

    def _fill(self, size: int) -> None:
        """Read on until that many bytes wait, or the source ends."""
        missing = size - len(self._rest)
        if missing > 0 and not self._ended:
            more = self._stream.read(missing)
            self._ended = len(more) < missing
            self._rest += more


def delimiter_hint(header: str, fields: Fields, delimiter: str) -> str | None:
    """Say with which other delimiter the header names columns of the table; None where none makes it do so."""
    for other, description in _DELIMITERS.items():
        if other != delimiter and set(fields.names.values()) & set(fields_of_record(header, other)):
            return f"the delimiter seems to be {description}: --delimiter '{_escaped(other)}' reads it"
    return None


def excel_hint(header: str, delimiter: str) -> str | None:
    """Say what to do with a line before the header that names the delimiter, as only Excel does; None for others."""
    line = re.fullmatch(r'"?sep=(.)"?', header, re.IGNORECASE)
    if line is None:
        return None
    other = "" if line[1] == delimiter else f"; --delimiter '{_escaped(line[1])}' reads the rest"
    return f"this line is for Excel alone: take it away (tail -n +2){other}"


def _text(name: str, header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError as error:
        raise SourceError(name, "the header is not valid UTF-8; convert the file first", 1) from error


def _escaped(delimiter: str) -> str:
    return "\\t" if delimiter == "\t" else delimiter
