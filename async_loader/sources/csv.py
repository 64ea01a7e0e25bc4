"""CSV: blocks of bytes to batches. `records` finds the records, pyarrow cuts the fields, `parsing` makes the values.

Columns are read as text, never typed by inference. pyarrow sees well-formed records only: what it would read wrongly
without a word is a reject before.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from async_loader.errors import SourceError
from async_loader.records.arrays import from_arrow, from_integers
from async_loader.records.batches import (
    EXTRA,
    LINE,
    MARKS,
    RAW,
    RAW_MARK,
    REASONS,
    REJECT,
    Batch,
    Broken,
    columns_as_json,
)
from async_loader.records.parsing import null_codes, parse_text, shown_text, text_of_bytes, with_faults
from async_loader.sources.csv_records import Split, give_up_first_line, record_spans, split
from async_loader.sources.fields import Fields
from async_loader.sources.formula_guard import unguarded, unguarded_columns
from async_loader.sources.quoting import Positions
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}


class CsvSource:
    """`columns` is the header; `ignored` what of it the table does not have. Raises SourceError for a header that does
    not fit the table.
    """

    schema = None

    def __init__(self, stream: Stream, fields: Fields, delimiter: str, stretch: Stretch | None = None) -> None:
        self._stream = stream
        self._delimiter = delimiter
        # What has been read and not taken yet, which begins on this line; and whether that is all there is.
        self._rest, self._line, self._ended = b"", 1 if stretch is None else stretch.line, False
        # As it is read, whatever a file of rejects has made of it.
        self._header = cut(self._read_header(fields), delimiter) if stretch is None else stretch.columns or ()
        self.columns = list(self._header)
        # A source is divided only where all its quotes are in place.
        self._is_sound = stretch is not None
        self._is_rejects = REJECT in self.columns or {LINE, REASONS} <= set(self.columns)
        if self._is_rejects:
            self.columns = list(map(unguarded, self.columns))
        self.fields = fields.of(self.columns)
        if problem := self.fields.refusal(self.columns):
            raise SourceError(stream.name, problem)
        _check_header(stream.name, self.fields, self.columns, delimiter)
        self.ignored = [name for name in self.fields.ignored(self.columns) if name not in MARKS]
        # What is kept of each record.
        self._kept = self.columns

    def batches(self) -> Iterator[Batch]:
        """Each block's records, in order."""
        while self._rest or not self._ended:
            part = self._next()
            self._line += part.lines
            self._rest = self._rest[part.consumed :]
            yield self._batch(part, self._line - part.lines)

    def values(self) -> Iterator[pl.DataFrame]:
        """Those of each block, or of a whole stretch at once. Fields that are of no column are not kept."""
        needed = {*self.fields.names.values(), *((self.columns[0], REJECT) if self._is_rejects else ())}
        self._kept = [name for name in self.columns if name in needed]
        if self._is_sound and not self._is_rejects:
            good = self._stream.read(self._stream.size or 0)
            as_read, undecodable, _ = self._cut_fields(good)
            yield typed(self.fields, as_read, undecodable, nul=b"\0" in good)[0]
            return
        for batch in self.batches():
            yield batch.values

    def stretches(self, _: int) -> list[Stretch]:
        """All behind the header."""
        stream = self._stream
        start = stream.read_to - len(self._rest)
        return [Stretch(stream.version, start, stream.size or 0, self._line, tuple(self._header))]

    def _next(self) -> Split:
        """The records at the front of what is not taken yet, one at least while there is any.

        Looks at one block, and at twice as much each time where that holds no whole record.
        """
        size = BLOCK
        while True:
            self._fill(size)
            final = self._ended and len(self._rest) <= size
            part = split(self._rest[:size], self._delimiter.encode(), final=final)
            if part.consumed or final:
                return part
            if size >= RECORD_LIMIT:
                part = give_up_first_line(self._rest[:size])
                if not part.consumed:
                    problem = f"a record longer than {RECORD_LIMIT >> 20} MiB; is this CSV?"
                    raise SourceError(self._stream.name, problem, self._line)
                return part
            size *= 2

    def _fill(self, size: int) -> None:
        """Read on until that many bytes wait, or the source ends."""
        missing = size - len(self._rest)
        if missing > 0 and not self._ended:
            more = self._stream.read(missing)
            self._ended = len(more) < missing
            self._rest += more

    def _read_header(self, fields: Fields) -> str:
        """Take the header from the front, with the empty lines before it. fields: what it is to name."""
        name = self._stream.name
        self._fill(BLOCK)
        self._rest = without_bom(name, self._rest)
        part = self._next()
        while part.lines and not len(part.ends) and not part.broken:
            self._rest, self._line = self._rest[part.consumed :], self._line + part.lines
            part = self._next()
        if part.broken and not (len(part.ends) and part.ends[0] < part.broken[0][0]):
            line, header = part.broken[0]
            hint = _delimiter_hint(header.decode(errors="replace"), fields, self._delimiter)
            problem = "the header has broken quoting"
            raise SourceError(name, f"{problem}; {hint}" if hint else problem, line + self._line)
        if not len(part.ends):
            raise SourceError(name, "is empty: not even a header")
        begins, stops = record_spans(part.good)
        header = part.good[int(begins[0]) : int(stops[0])].removesuffix(b"\r")
        behind = self._rest[int(begins[0]) + len(header) :]
        self._rest = behind[2:] if behind.startswith(b"\r\n") else behind[1:]
        self._line += int(part.ends[0]) + 1
        return _text(name, header)

    def _batch(self, part: Split, first_line: int) -> Batch:
        as_read, undecodable, misfits = self._cut_fields(part.good)
        starts, ends = part.starts + first_line, part.ends + first_line
        broken = [_broken_quoting(line + first_line, text, self._named(text)) for line, text in part.broken]
        if misfits:
            broken += self._misfits(part.good, misfits, starts, ends)
            starts, ends = np.delete(starts, misfits), np.delete(ends, misfits)
        if self._is_rejects:
            kept = ~as_read[self.columns[0]].str.starts_with(RAW_MARK).fill_null(value=False)
            broken += _unmended(as_read, ~kept, starts, ends)
            as_read = as_read.filter(kept).with_columns(unguarded_columns())
            undecodable = {name: bad.filter(kept) for name, bad in undecodable.items()}
            starts, ends = starts[kept.to_numpy()], ends[kept.to_numpy()]
        broken.sort(key=lambda record: record.line)
        values, faults = typed(self.fields, as_read, undecodable, nul=b"\0" in part.good)
        return Batch(
            source=self._stream.name,
            values=values,
            absent=self.fields.absent,
            lookups=self.fields.lookups,
            lines=from_integers(starts),
            line_ends=from_integers(ends),
            as_read=as_read.drop(MARKS, strict=False),
            to_json=self._to_json,
            faults=faults,
            broken=tuple(broken),
            read_to=self._stream.read_to,
            supersedes=as_read[REJECT] if REJECT in as_read.columns else None,
        )

    def _to_json(self, as_read: pl.DataFrame) -> pl.Series:
        """A field with nothing in it is empty text, but for columns that may be null."""
        return columns_as_json(as_read.with_columns(pl.exclude(list(self.fields.nullable)).fill_null("")))

    def _cut_fields(self, good: bytes) -> tuple[pl.DataFrame, dict[str, pl.Series], list[int]]:
        """The records' fields as text; by column, which of them are not UTF-8 (only for columns that have such); and
        the places of the records with too few or too many fields, which are left out.
        """
        if not good:
            return pl.DataFrame(schema=dict.fromkeys(self._kept, pl.String)), {}, []
        if _is_utf_8(good):
            table, misfits = self._cut_text(good)
            return pl.DataFrame(table), {}, misfits
        # Taken for Latin-1, in which all bytes are text, it is cut in the same places.
        table, misfits = self._cut_text(good.decode("latin-1").encode())
        columns = {name: _from_latin_1(column) for name, column in table.items()}
        as_read = pl.DataFrame({name: texts for name, (texts, _) in columns.items()})
        return as_read, {name: bad for name, (_, bad) in columns.items() if bad.any()}, misfits

    def _cut_text(self, good: bytes) -> tuple[dict[str, pl.Series], list[int]]:
        misfits: list[int] = []

        def leave_out(row: pa.csv.InvalidRow) -> str:
            misfits.append(row.number - 1)
            return "skip"

        # pyarrow drops a byte order mark at the front of whatever it is given, and passes over an empty line.
        buffer = pa.py_buffer(b"\n" + good if good.startswith(codecs.BOM_UTF8) else good)
        table = pa.csv.read_csv(
            pa.BufferReader(buffer),
            pa.csv.ReadOptions(use_threads=False, column_names=self.columns, block_size=buffer.size + 1),
            pa.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=leave_out),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(self._kept, pa.large_string()),
                include_columns=self._kept,
                check_utf8=False,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        columns = map(from_arrow, table.columns)
        return dict(zip(table.column_names, columns, strict=True)), misfits

    def _misfits(self, good: bytes, places: list[int], starts: Positions, ends: Positions) -> list[Broken]:
        begins, stops = record_spans(good)
        found = []
        for place in places:
            text = good[begins[place] : stops[place]].removesuffix(b"\r")
            # Cut first, then decoded: an escape for invalid UTF-8 may hold the delimiter.
            read = [_shown(field.encode("latin-1")) for field in cut(text.decode("latin-1"), self._delimiter)]
            record: dict[str, object] = dict(zip(self.columns, read, strict=False))
            if len(read) > len(self.columns):
                record[EXTRA] = read[len(self.columns) :]
            if EXTRA in self.columns:
                record = {RAW: _shown(text)}
            found_fields = "1 field" if len(read) == 1 else f"{len(read)} fields"
            message = f"{found_fields} where the header has {len(self.columns)}"
            line, line_end = int(starts[place]), int(ends[place])
            named = self._named(text)
            found.append(Broken(line, line_end, json.dumps(record), "wrong_field_count", message, named))
        return found

    def _named(self, text: bytes) -> str | None:
        """The stored reject that a record names which cannot be cut into its columns: what stands last in it."""
        if self.columns[-1] != REJECT:
            return None
        return _shown(text).rpartition(self._delimiter)[2].strip('"')


def typed(
    fields: Fields, as_read: pl.DataFrame, undecodable: Mapping[str, pl.Series], *, nul: bool
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The table's columns from n records as text, and the faults of those that have any.

    undecodable: by the source's columns, which of its n texts are not UTF-8. nul: whether there can be a NUL in any.
    """
    values, faults = {}, {}
    for column in fields.columns:
        name, text = column.name, as_read[fields.names[column.name]]
        values[name], fault = parse_text(text, column, nul=nul, means_null=fields.means_null)
        if text.name in undecodable:
            codes = null_codes(len(as_read)) if fault is None else fault["code"]
            codes = codes.zip_with(~undecodable[text.name], pl.Series(["invalid_utf8"]))
            values[name], fault = with_faults(values[name], codes, partial(shown_text, text))
        if fault is not None:
            faults[name] = fault
    return fields.complete(values, len(as_read)), faults


def _shown(text: bytes) -> str:
    """With escapes for invalid UTF-8."""
    return text.decode(errors="backslashreplace")


def _broken_quoting(line: int, text: bytes, supersedes: str | None) -> Broken:
    record = json.dumps({RAW: _shown(text)})
    message = "a quote stands inside an unquoted field, is not doubled, or never closes"
    return Broken(line, line, record, "invalid_quoting", message, supersedes)


def _unmended(as_read: pl.DataFrame, marked: pl.Series, starts: Positions, ends: Positions) -> list[Broken]:
    """The records of a file of rejects that still stand whole in their first column."""
    message = "the record still stands whole in the first column: put its values into their columns"
    texts, named = as_read.to_series(), as_read[REJECT] if REJECT in as_read.columns else None
    return [
        Broken(
            int(starts[place]),
            int(ends[place]),
            json.dumps({RAW: texts[place].removeprefix(RAW_MARK)}),
            "wrong_field_count",
            message,
            None if named is None else named[place],
        )
        for place in marked.arg_true()
    ]


def _is_utf_8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _from_latin_1(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    return text_of_bytes([None if text is None else text.encode("latin-1") for text in column])


def cut(record: str, delimiter: str) -> list[str]:
    """The fields of one well-formed record, of any length; the standard library stops at 128 KiB a field."""
    edge = re.escape(delimiter)
    found = re.finditer(f'(?:^|{edge})(?:"((?:[^"]|"")*+)"|([^{edge}]*+))', record)
    return [match[2] if match[1] is None else match[1].replace('""', '"') for match in found]


def _text(name: str, header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError as error:
        raise SourceError(name, "the header is not valid UTF-8; convert the file first", 1) from error


def _check_header(name: str, fields: Fields, columns: list[str], delimiter: str) -> None:
    table = fields.table
    twice = sorted({column for column in columns if columns.count(column) > 1})
    missing = fields.missing(columns)
    wanted = ", ".join(fields.names.values())
    if not set(columns) & set(fields.names.values()):
        header = delimiter.join(columns)
        hint = (
            _excel_hint(header, delimiter)
            or _delimiter_hint(header, fields, delimiter)
            or f"the first line must name the columns {wanted}"
        )
        raise SourceError(name, f"the header names no column of table {table.name}; {hint}", 1)
    if twice:
        raise SourceError(name, f"the header names {_listed(twice)} twice", 1)
    if missing:
        raise SourceError(name, f"the header lacks {_listed(missing)}; table {table.name} has {wanted}", 1)


def _delimiter_hint(header: str, fields: Fields, delimiter: str) -> str | None:
    """Which other delimiter makes it name columns of the table."""
    for other, called in _DELIMITERS.items():
        if other != delimiter and set(fields.names.values()) & set(cut(header, other)):
            return f"the delimiter seems to be {called}: --delimiter '{_escaped(other)}' reads it"
    return None


def _excel_hint(header: str, delimiter: str) -> str | None:
    """Excel may be told the delimiter by a line before the header, which nobody else knows."""
    told = re.fullmatch(r'"?sep=(.)"?', header, re.IGNORECASE)
    if told is None:
        return None
    other = "" if told[1] == delimiter else f"; --delimiter '{_escaped(told[1])}' reads the rest"
    return f"this line is for Excel alone: take it away (tail -n +2){other}"


def _listed(columns: list[str]) -> str:
    return ", ".join(map(repr, columns))


def _escaped(delimiter: str) -> str:
    return "\\t" if delimiter == "\t" else delimiter
