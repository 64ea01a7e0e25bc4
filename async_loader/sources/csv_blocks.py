"""CSV as bytes: blocks of a stream, cut between records, and the header at the front of it.

A block is as large as it must be for one whole record, and no larger than a record may be.
"""

from __future__ import annotations

import re
from dataclasses import replace

from async_loader.errors import SourceError
from async_loader.formats import Dialect
from async_loader.sources.csv_marks import Comments, Marks
from async_loader.sources.csv_records import (
    Split,
    fields_of_record,
    first_line,
    give_up_first_line,
    long_record,
    record_spans,
    split,
)
from async_loader.sources.fields import Fields
from async_loader.sources.headers import ROWS_LOOKED_AT, header_below
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom
from async_loader.sources.transcoding import decoded, undecoded

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}


class CsvBlocks:
    """The records of a stream, in blocks; `line` is that of the first record not taken yet.

    What is no mark there is hidden in them: `marks` shows it. line: where a stretch begins.
    """

    def __init__(self, stream: Stream, dialect: Dialect, line: int | None = None) -> None:
        self._stream = stream
        self.dialect = dialect
        self.line = line or 1
        # A source is divided only where line feeds end its lines.
        self.marks = Marks(dialect, returns=None if line is None else False)
        self._comments: Comments | None = None
        # What has been read and not taken yet, and whether that is all there is.
        self._rest, self._ended = b"", False
        # The offset in the source of the first byte after the header, in which nothing is escaped.
        self.position = 0

    @property
    def is_divisible(self) -> bool:
        """Whether records can be found from anywhere in the source: asked when the header has been taken."""
        return not (self.marks.returns or self.dialect.escape or self.dialect.comment)

    def next(self) -> tuple[Split, int] | None:
        """Take the next records, at least one, with the line on which they begin; None at the end."""
        if self._ended and not self._rest:
            return None
        part, line = self._look(), self.line
        if self.dialect.escape:
            part = self._with_hidden_lines(part)
        self._take(part.consumed, part.lines)
        return part, line

    def _with_hidden_lines(self, part: Split) -> Split:
        """Return the records with lines that count the line ends which are escaped."""
        before = self.marks.hidden_lines(self._rest[: part.consumed], part.lines)
        return replace(
            part,
            starts=part.starts + before[part.starts],
            ends=part.ends + before[part.ends + 1],
            broken=tuple((line + int(before[line]), text) for line, text in part.broken),
            lines=part.lines + int(before[-1]),
        )

    def begins_with(self, name: str) -> bool:
        """Return whether the first line is a header with this name. To be asked before anything is taken."""
        self._fill(BLOCK)
        before, self._rest = len(self._rest), without_bom(self._stream.name, self._rest)
        self.position = before - len(self._rest)
        end = first_line(self._rest, final=self._ended)
        header = self._rest[:end].decode(errors="replace").rstrip("\r\n")
        return name in header and name in fields_of_record(header, self.dialect.of_rejects)

    def begin(self) -> None:
        """Take the lines that are to be skipped before the header."""
        for _ in range(self.dialect.skip_lines):
            self._skip_line()
        if self.dialect.comment:
            self._comments = Comments(self.dialect)
            self._rest = self._comments.blank(self._rest, final=self._ended, limit=RECORD_LIMIT)

    def _skip_line(self) -> None:
        size = BLOCK
        while not (part := first_line(self._rest[:size], final=self._is_all(size))):
            if not self._rest or size >= RECORD_LIMIT:
                problem = f"has no {self.dialect.skip_lines:,} lines to skip before its header"
                raise SourceError(self._stream.name, problem)
            size *= 2
            self._fill(size)
        self._pass_over(part, 1)
        self._fill(BLOCK)

    def header(self, fields: Fields) -> str:
        """Take the header, with the empty lines before it. fields: the columns that it is to name."""
        name = self._stream.name
        part = self._look()
        while part.lines and not len(part.ends) and not part.broken:
            self._pass_over(part.consumed, part.lines)
            part = self._look()
        if part.broken and not (len(part.ends) and part.ends[0] < part.broken[0][0]):
            line, header = part.broken[0]
            text = header.decode(errors="replace")
            hint = delimiter_hint(text, fields, self.dialect) or _edge_hint(text, self.dialect)
            problem = "the header has broken quoting"
            raise SourceError(name, f"{problem}; {hint}" if hint else problem, line + self.line)
        if not len(part.ends):
            raise SourceError(name, "is empty: not even a header")
        begins, stops = record_spans(part.good, self.dialect)
        header = part.good[int(begins[0]) : int(stops[0])].removesuffix(b"\r")
        end = int(begins[0]) + len(header)
        line_end = b"\r\n" if self._rest[end : end + 2] == b"\r\n" else self._rest[end : end + 1]
        line = self.line + int(part.starts[0])
        self._pass_over(end + len(line_end), int(part.ends[0]) + 1)
        return self._text(header, line)

    def next_lines(self) -> list[tuple[int, str]]:
        """Return some of the lines that are not taken yet, and how many stand before each. Nothing is taken."""
        self._fill(BLOCK)
        lines = re.split(rb"\r\n?|\n", self._rest[:BLOCK], maxsplit=ROWS_LOOKED_AT)[:ROWS_LOOKED_AT]
        texts = (self.marks.show(line).decode(errors="replace") for line in lines)
        return list(enumerate(texts, self.line - 1))

    def _text(self, header: bytes, line: int) -> str:
        if self._stream.encoding and (byte := undecoded(decoded(header))) is not None:
            problem = (
                f"the header has a byte 0x{byte[0]:02x} at character {byte[1]}, which is no {self._stream.encoding}"
            )
            raise SourceError(self._stream.name, problem, line)
        try:
            return header.decode()
        except UnicodeDecodeError as error:
            problem = "the header is not valid UTF-8; name its encoding, as in --encoding cp1252"
            raise SourceError(self._stream.name, problem, line) from error

    def _pass_over(self, size: int, lines: int) -> None:
        """Take what stands before the records, and count its bytes as the source has them."""
        self.position += len(self.marks.show(self._rest[:size]))
        self._take(size, lines)

    def _take(self, size: int, lines: int) -> None:
        self._rest = self._rest[size:]
        self.line += lines

    def _look(self) -> Split:
        """Return the records at the front of what is not taken yet, one at least while there is any.

        Where a block holds no whole record, that record is looked for in twice as much each time, and taken alone.
        """
        size, dialect = BLOCK, self.dialect
        self._fill(size)
        part = split(self._rest[:size], dialect, final=self._is_all(size))
        while self._rest and not part.consumed:
            if size >= RECORD_LIMIT:
                return self._given_up(self._rest[:size])
            size *= 2
            self._fill(size)
            part = long_record(self._rest[:size], dialect, final=self._is_all(size))
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
        while (missing := size - len(self._rest)) > 0 and not self._ended:
            more = self._stream.read(missing)
            self._ended = len(more) < missing
            more = self.marks.hide(more, final=self._ended)
            if self._comments is not None:
                more = self._comments.blank(more, final=self._ended, limit=RECORD_LIMIT)
            self._rest += more


def delimiter_hint(header: str, fields: Fields, dialect: Dialect) -> str | None:
    """Say with which other delimiter the header names columns of the table; None where none makes it do so."""
    for other, description in _DELIMITERS.items():
        if other in dialect.marks:
            continue
        if set(fields.names.values()) & set(fields_of_record(header, replace(dialect, delimiter=other))):
            return _seems(other, description)
    return None


def _edge_hint(header: str, dialect: Dialect) -> str | None:
    """Say which other delimiter stands between quotes of the header; None where none does."""
    for other, description in _DELIMITERS.items():
        if dialect.quote and other not in dialect.marks and dialect.quote + other + dialect.quote in header:
            return _seems(other, description)
    return None


def _seems(delimiter: str, description: str) -> str:
    return f"the delimiter seems to be {description}: --delimiter '{_escaped(delimiter)}' reads it"


def excel_hint(header: str, delimiter: str) -> str | None:
    """Say what to do with a line before the header that names the delimiter, as only Excel does; None for others."""
    line = re.fullmatch(r'"?sep=(.)"?', header, re.IGNORECASE)
    if line is None:
        return None
    other = "" if line[1] == delimiter else f" --delimiter '{_escaped(line[1])}'"
    return f"this line is for Excel alone: --skip-lines 1{other} reads the rest"


def _escaped(delimiter: str) -> str:
    return "\\t" if delimiter == "\t" else delimiter


def title_hint(blocks: CsvBlocks, fields: Fields, dialect: Dialect) -> str | None:
    """Say with how many lines skipped, and which delimiter, the header names columns of the table: a title may stand
    before it. None where no line below does.
    """
    if dialect.header:
        return None
    lines = blocks.next_lines()
    others = [other for other in _DELIMITERS if other not in dialect.marks]
    for delimiter in (dialect.delimiter, *others):
        split_so = replace(dialect, delimiter=delimiter)
        before = header_below(fields, ((number, fields_of_record(line, split_so)) for number, line in lines))
        if before is not None:
            other = "" if delimiter == dialect.delimiter else f" --delimiter '{_escaped(delimiter)}'"
            return f"line {before + 1} does: --skip-lines {before}{other} reads from there"
    return None
