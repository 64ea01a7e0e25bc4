"""CSV: blocks of bytes to batches. `records` finds the records, pyarrow cuts the fields, `parsing` makes the values.

Columns are read as text, never typed by inference. pyarrow sees well-formed records only: what it would read wrongly
without a word is a reject before.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from async_loader.batches import EXTRA, LINE, RAW, REASONS, Batch, Broken, columns_as_json
from async_loader.errors import SourceError
from async_loader.parsing import nulls, parse_text, shown_text, with_faults
from async_loader.sources.records import Positions, Split, give_up_first_line, record_spans, split
from async_loader.sources.streams import Stream, without_bom
from async_loader.tables import Table

# Bytes read at a time: large enough that a block's fixed costs vanish, small enough that memory stays flat.
BLOCK = 1 << 20
# A record may span blocks up to this many bytes. A quoted field that has not closed by then is taken as never closing.
RECORD_LIMIT = 64 << 20

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}
# A file of rejects marks text that a spreadsheet would run as a formula with an apostrophe; see `rejects`.
_MARKED = r"^'('*[=+\-@\t\r])"


class CsvSource:
    """`columns` is the header; `ignored` what of it the table does not have. Raises SourceError for a header that does
    not fit the table.
    """

    def __init__(self, stream: Stream, table: Table, delimiter: str) -> None:
        self._stream = stream
        self._table = table
        self._delimiter = delimiter
        self._rest, self._final, self._line, header = self._read_header()
        self.columns = fields(header, delimiter)
        _check_header(stream.name, table, self.columns, delimiter)
        self._is_rejects = {LINE, REASONS} <= set(self.columns)
        self.ignored = [name for name in self.columns if name not in (*table.column_names, LINE, REASONS)]

    def batches(self) -> Iterator[Batch]:
        """Each block's records, in order."""
        while True:
            block, self._final = self._longer(self._rest, final=self._final)
            part = split(block, self._delimiter.encode(), final=self._final)
            if not (part.consumed or self._final):
                if len(block) <= RECORD_LIMIT:
                    self._rest = block
                    continue
                part = give_up_first_line(block)
                if not part.consumed:
                    raise _too_long(self._stream.name, self._line)
            yield self._batch(part)
            self._line += part.lines
            self._rest = block[part.consumed :]
            if self._final and not self._rest:
                return

    def _longer(self, block: bytes, *, final: bool) -> tuple[bytes, bool]:
        """Read on; a long record is read in ever larger steps, so that its length costs no more than once over."""
        if final:
            return block, True
        size = max(BLOCK, len(block))
        more = self._stream.read(size)
        return block + more, len(more) < size

    def _read_header(self) -> tuple[bytes, bool, int, str]:
        """What is behind the header in the first block, whether that is all, the next line's number, the header."""
        name = self._stream.name
        block, final = self._longer(b"", final=False)
        block = without_bom(name, block)
        while True:
            part = split(block, self._delimiter.encode(), final=final)
            if part.broken and not (len(part.ends) and part.ends[0] < part.broken[0][0]):
                raise SourceError(name, "the header has broken quoting", part.broken[0][0] + 1)
            if len(part.ends):
                break
            if final:
                raise SourceError(name, "is empty: not even a header")
            if len(block) > RECORD_LIMIT:
                raise _too_long(name, 1)
            block, final = self._longer(block, final=final)
        begins, stops = record_spans(part.good)
        begin, stop = int(begins[0]), int(stops[0])
        header = _text(name, block[begin:stop].removesuffix(b"\r"))
        return block[stop + 1 :], final, int(part.ends[0]) + 2, header

    def _batch(self, part: Split) -> Batch:
        table, misfits = self._cut_fields(part.good)
        starts, ends = part.starts + self._line, part.ends + self._line
        broken = [_broken_quoting(line + self._line, text) for line, text in part.broken]
        if misfits:
            broken += self._misfits(part.good, misfits, starts, ends)
            broken.sort(key=lambda record: record.line)
            starts, ends = np.delete(starts, misfits), np.delete(ends, misfits)
        as_read, undecodable = _decoded(table)
        if self._is_rejects:
            as_read = as_read.with_columns(pl.all().str.replace(_MARKED, "${1}"))
        values, faults = self._parsed(as_read, undecodable, nul=b"\0" in part.good)
        return Batch(
            source=self._stream.name,
            values=values,
            lines=pl.Series(starts, dtype=pl.Int64),
            line_ends=pl.Series(ends, dtype=pl.Int64),
            as_read=as_read.drop(LINE, REASONS, strict=False),
            to_json=self._to_json,
            faults=faults,
            broken=tuple(broken),
            read_to=self._stream.read_to,
        )

    def _parsed(
        self, as_read: pl.DataFrame, undecodable: dict[str, pl.Series], *, nul: bool
    ) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
        """The table's columns, typed, and the faults of those that have any."""
        values, faults = {}, {}
        for column in self._table.columns:
            name = column.name
            values[name], fault = parse_text(as_read[name], column, nul=nul)
            if name in undecodable:
                codes = nulls(len(as_read)) if fault is None else fault["code"]
                codes = codes.zip_with(~undecodable[name], pl.Series(["invalid_utf8"]))
                values[name], fault = with_faults(values[name], shown_text(as_read[name]), codes)
            if fault is not None:
                faults[name] = fault
        return pl.DataFrame(values), faults

    def _to_json(self, as_read: pl.DataFrame) -> pl.Series:
        """A field with nothing in it is empty text, but for columns that may be null."""
        nullable = [column.name for column in self._table.columns if column.nullable]
        return columns_as_json(as_read.with_columns(pl.exclude(nullable).fill_null("")))

    def _cut_fields(self, good: bytes) -> tuple[pa.Table, list[int]]:
        """The records as text columns (binary where some value is not UTF-8), and the places of those with too few or
        too many fields, which are left out.
        """
        misfits: list[int] = []

        def leave_out(row: pa.csv.InvalidRow) -> str:
            misfits.append(row.number - 1)
            return "skip"

        if not good:
            return pa.table({name: pa.array([], pa.large_string()) for name in self.columns}), []
        # pyarrow drops a byte order mark at the front of whatever it is given, and passes over an empty line.
        buffer = pa.py_buffer(b"\n" + good if good.startswith(codecs.BOM_UTF8) else good)
        for kind in (pa.large_string(), pa.large_binary()):
            misfits.clear()
            try:
                table = pa.csv.read_csv(
                    pa.BufferReader(buffer),
                    pa.csv.ReadOptions(use_threads=False, column_names=self.columns, block_size=buffer.size + 1),
                    pa.csv.ParseOptions(
                        delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=leave_out
                    ),
                    pa.csv.ConvertOptions(
                        column_types=dict.fromkeys(self.columns, kind),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
            except pa.ArrowInvalid:
                # The text has invalid UTF-8 somewhere: once more, as bytes, to find where.
                if kind == pa.large_binary():
                    raise
                continue
            return table, misfits
        raise AssertionError

    def _misfits(self, good: bytes, places: list[int], starts: Positions, ends: Positions) -> list[Broken]:
        begins, stops = record_spans(good)
        found = []
        for place in places:
            text = good[begins[place] : stops[place]].removesuffix(b"\r").decode(errors="backslashreplace")
            read = fields(text, self._delimiter)
            record: dict[str, object] = dict(zip(self.columns, read, strict=False))
            if len(read) > len(self.columns):
                record[EXTRA] = read[len(self.columns) :]
            message = f"{len(read)} fields where the header has {len(self.columns)}"
            line, line_end = int(starts[place]), int(ends[place])
            found.append(Broken(line, line_end, json.dumps(record), "wrong_field_count", message))
        return found


def _broken_quoting(line: int, text: bytes) -> Broken:
    record = json.dumps({RAW: text.decode(errors="backslashreplace")})
    message = "a quote stands inside an unquoted field, is not doubled, or never closes"
    return Broken(line, line, record, "invalid_quoting", message)


def _decoded(table: pa.Table) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """The text columns, and for those that hold invalid UTF-8 which values do."""
    columns, undecodable = {}, {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.type == pa.large_binary():
            columns[name], bad = text_of_bytes(column)
            if bad.any():
                undecodable[name] = bad
        else:
            columns[name] = pl.Series(name, pl.from_arrow(column), dtype=pl.String)
    return pl.DataFrame(columns), undecodable


def text_of_bytes(column: pa.ChunkedArray) -> tuple[pl.Series, pl.Series]:
    """Bytes as text, with escapes for invalid UTF-8, and for each value whether it was invalid."""
    texts: list[str | None] = []
    bad = []
    for value in column.to_pylist():
        text = None if value is None else value.decode(errors="backslashreplace")
        texts.append(text)
        bad.append(text is not None and text.encode() != value)
    return pl.Series(texts, dtype=pl.String), pl.Series(bad, dtype=pl.Boolean)


def fields(record: str, delimiter: str) -> list[str]:
    """The fields of one well-formed record, of any length; the standard library stops at 128 KiB a field."""
    edge = re.escape(delimiter)
    found = re.finditer(f'(?:^|{edge})(?:"((?:[^"]|"")*+)"|([^{edge}]*+))', record)
    return [match[2] if match[1] is None else match[1].replace('""', '"') for match in found]


def _text(name: str, header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError as error:
        raise SourceError(name, "the header is not valid UTF-8; convert the file first", 1) from error


def _too_long(name: str, line: int) -> SourceError:
    return SourceError(name, f"a record longer than {RECORD_LIMIT >> 20} MiB; is this CSV?", line)


def _check_header(name: str, table: Table, columns: list[str], delimiter: str) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    known = [column for column in table.column_names if column in columns]
    missing = [column for column in table.column_names if column not in columns]
    wanted = ", ".join(table.column_names)
    if not known:
        other = _likely_delimiter(columns, table, delimiter)
        if other:
            hint = f"the delimiter seems to be {_DELIMITERS[other]}: --delimiter '{_escaped(other)}' reads it"
        else:
            hint = f"the first line must name the columns {wanted}"
        raise SourceError(name, f"the header names no column of table {table.name}; {hint}", 1)
    if twice:
        raise SourceError(name, f"the header names {_listed(twice)} twice", 1)
    if missing:
        raise SourceError(name, f"the header lacks {_listed(missing)}; table {table.name} has {wanted}", 1)


def _likely_delimiter(columns: list[str], table: Table, delimiter: str) -> str | None:
    header = delimiter.join(columns)
    for other in _DELIMITERS:
        if other != delimiter and set(table.column_names) & set(fields(header, other)):
            return other
    return None


def _listed(columns: list[str]) -> str:
    return ", ".join(map(repr, columns))


def _escaped(delimiter: str) -> str:
    return "\\t" if delimiter == "\t" else delimiter
