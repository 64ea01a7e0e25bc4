"""CSV: records as bytes to batches. `csv_blocks` finds the records, pyarrow cuts the fields, `parsing` makes the
values.

Columns are read as text, never typed by inference. pyarrow sees well-formed records only: what it would read wrongly
without a word is a reject before.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from async_loader.errors import SourceError
from async_loader.formats import Dialect
from async_loader.records.arrays import from_arrow, from_integers
from async_loader.records.batches import (
    EXTRA,
    MARKS,
    RAW,
    RAW_MARK,
    REJECT,
    Batch,
    Broken,
    are_of_rejects,
    columns_as_json,
)
from async_loader.records.parsing import null_codes, shown_text, with_faults
from async_loader.sources.csv_blocks import CsvBlocks, delimiter_hint, excel_hint, title_hint
from async_loader.sources.csv_decoding import as_transcoded, as_utf_8, bytes_of, is_utf_8
from async_loader.sources.csv_records import Split, fields_of_record, record_spans
from async_loader.sources.csv_shapes import blank, fitted, nameless, repeated_headers, without_nameless
from async_loader.sources.fields import Fields
from async_loader.sources.formula_guard import unguarded, unguarded_columns, unguarded_within
from async_loader.sources.headers import distinct, names_no_column, problem_of
from async_loader.sources.quoting import Positions
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import Stream
from async_loader.sources.transcoding import Undecodable, decoded, escaped

# Columns that a header may have. Each costs some microseconds in each block, however few records there are in it.
MOST_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class _Records:
    """Some records of a block: n that could be cut into fields, as text, with their lines; and the broken ones.

    undecodable: by column that has such, which of its n texts could not be decoded.
    """

    as_read: pl.DataFrame
    undecodable: Mapping[str, Undecodable]
    starts: Positions
    ends: Positions
    broken: tuple[Broken, ...]

    def chosen(self, which: pl.Series) -> _Records:
        """Return these of the n records, and all that are broken."""
        places = which.to_numpy()
        return replace(
            self,
            as_read=self.as_read.filter(which),
            undecodable={name: bad._replace(shown=bad.shown.filter(which)) for name, bad in self.undecodable.items()},
            starts=self.starts[places],
            ends=self.ends[places],
        )


class CsvSource:
    """A source of CSV. `columns` is the header; `ignored` are the names in it that are not read and not mentioned.

    Raises SourceError for a header that does not fit the table.
    """

    schema = None
    part = ""

    def __init__(self, stream: Stream, fields: Fields, dialect: Dialect, stretch: Stretch | None = None) -> None:
        self._stream = stream
        self._dialect = dialect
        self._blocks = CsvBlocks(stream, dialect, None if stretch is None else stretch.line)
        # As it is read, whatever a file of rejects has made of it.
        self._header = self._read_header(fields) if stretch is None else stretch.columns or ()
        if len(self._header) > MOST_COLUMNS:
            problem = f"the header has more than {MOST_COLUMNS:,} columns; keep those that are to be loaded"
            raise SourceError(stream.name, problem, 1)
        # A source is divided only where all its quotes are in place.
        self._is_sound = stretch is not None
        self.is_rejects = are_of_rejects(self._header)
        named = without_nameless(self._header)
        self._names = [*map(unguarded, named)] if self.is_rejects else [*named]
        self._nameless = nameless(len(self._header) - len(named))
        self.blank = 0
        self.fields = fields.matched(dict.fromkeys(self._names))
        self.columns = distinct(self.fields, self._names)
        # Columns that are left out need not have names of their own.
        self.again = tuple(name for name in self.columns if name not in self._names)
        self._check_header()
        self.ignored = self.fields.unknown(name for name in self.columns if name not in (*MARKS, *self.again))
        # What is kept of each record.
        self._kept = self.columns

    def batches(self) -> Iterator[Batch]:
        """Yield each block's records, in order."""
        while (part := self._blocks.next()) is not None:
            yield self._batch(*part)

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each block, or of a whole stretch at once. Fields that are of no column are not kept."""
        needed = {*self.fields.names.values(), *((self.columns[0], REJECT) if self.is_rejects else ())}
        self._kept = [name for name in self.columns if name in needed]
        if self._is_sound and not self.is_rejects:
            good = self._stream.read(self._stream.size or 0)
            as_read, undecodable, _ = self._cut_fields(good)
            yield typed(self.fields, as_read, undecodable, nul=b"\0" in good)[0]
            return
        for batch in self.batches():
            yield batch.values

    def stretches(self, _: int) -> list[Stretch]:
        """Return everything after the header, as one; nothing where it cannot be divided."""
        stream, blocks = self._stream, self._blocks
        if not blocks.is_divisible:
            return []
        return [Stretch(stream.version, blocks.position, stream.size or 0, blocks.line, self._header)]

    def _read_header(self, fields: Fields) -> tuple[str, ...]:
        """Take the header, or the names that the user gave for it. A file of rejects has its own, on its first line."""
        if self._blocks.begins_with(REJECT):
            self._dialect = self._blocks.dialect = self._dialect.of_rejects
        self._blocks.begin()
        if self._dialect.header:
            return self._dialect.header
        names = fields_of_record(self._blocks.header(fields), self._dialect, MOST_COLUMNS + 1)
        names = [self._blocks.marks.show(name.encode()).decode() for name in names]
        return tuple(map(str.strip, names) if fields.spellings.trim else names)

    def _check_header(self) -> None:
        name, fields = self._stream.name, self.fields
        columns = [each for each in self.columns if each not in self.again]
        delimiter = self._dialect.delimiter
        header = delimiter.join(self._header)
        if names_no_column(fields, columns, "the header"):
            hint = excel_hint(header, delimiter) or delimiter_hint(header, fields, self._dialect)
            hint = hint or title_hint(self._blocks, fields, self._dialect)
            raise SourceError(name, names_no_column(fields, columns, "the header", hint) or "", 1)
        if refusal := fields.refusal(columns):
            raise SourceError(name, refusal)
        problem = problem_of(fields, fields.unmarked(columns))
        if problem is not None:
            raise SourceError(name, problem, 1)

    def _batch(self, part: Split, first_line: int) -> Batch:
        """Return a block's records as a batch; those of a file of rejects as they were before it was written."""
        records = self._records(part, first_line)
        if self.is_rejects:
            records = _mended(records)
        values, faults = typed(self.fields, records.as_read, records.undecodable, nul=b"\0" in part.good)
        return Batch(
            source=self._stream.name,
            values=values,
            absent=self.fields.absent,
            lookups=self.fields.lookups,
            links=self.fields.links,
            lines=from_integers(records.starts),
            line_ends=from_integers(records.ends),
            as_read=records.as_read[[name for name in self._kept if name not in MARKS]],
            to_json=self._to_json,
            faults=faults,
            broken=tuple(sorted(records.broken, key=lambda record: record.line)),
            read_to=self._stream.read_to,
            supersedes=records.as_read[REJECT] if REJECT in records.as_read.columns else None,
        )

    def _records(self, part: Split, first_line: int) -> _Records:
        """Return the block's records: broken are those whose quotes are out of place, or that do not fit the header."""
        as_read, undecodable, misfits = self._cut_fields(part.good)
        starts, ends = part.starts + first_line, part.ends + first_line
        broken = [
            _broken_quoting(line + first_line, self._text(text), self._named_reject(text)) for line, text in part.broken
        ]
        if misfits:
            broken += self._misfits(part.good, misfits, starts, ends)
            starts, ends = np.delete(starts, misfits), np.delete(ends, misfits)
        return self._without_others(_Records(as_read, undecodable, starts, ends, tuple(broken)))

    def _without_others(self, records: _Records) -> _Records:
        """Return the records without lines that hold nothing, which are counted, and without the header once more."""
        is_blank = blank(records.as_read, self.columns)
        self.blank += int(is_blank.sum())
        is_header = repeated_headers(records.as_read, self._names)
        is_other = is_blank | is_header
        if not is_other.any():
            return records
        places, headers = is_header.arg_true(), columns_as_json(records.as_read.filter(is_header))
        again = [
            Broken(int(records.starts[place]), int(records.ends[place]), record, "repeated_header", _AGAIN)
            for place, record in zip(places, headers, strict=True)
        ]
        kept = records.chosen(~is_other)
        return replace(kept, broken=(*kept.broken, *again))

    def _to_json(self, as_read: pl.DataFrame) -> pl.Series:
        """Return records as JSON. A field with nothing in it is empty text, but for columns that may be null."""
        return columns_as_json(as_read.with_columns(pl.exclude(list(self.fields.nullable)).fill_null("")))

    def _cut_fields(self, good: bytes) -> tuple[pl.DataFrame, dict[str, Undecodable], list[int]]:
        """Return the records' fields as text; by column, which of them could not be decoded (only for columns that have
        such); and the places of the records with too few or too many fields, which are left out.
        """
        if not good:
            return pl.DataFrame(schema=dict.fromkeys(self._kept, pl.String)), {}, []
        is_text = is_utf_8(good)
        # Taken for Latin-1, in which all bytes are text, it is cut in the same places.
        text = good if is_text else good.decode("latin-1").encode()
        table, misfits = self._cut_text(text)
        if misfits:
            width = len(self.columns), len(self._header)
            table, misfits = self._cut_text(fitted(text, misfits, width, self._dialect))
        if is_text:
            return self._shown(table, good), {}, misfits
        of_bytes = as_transcoded if self._stream.encoding else as_utf_8
        columns = {column.name: of_bytes(bytes_of(column)) for column in table.iter_columns()}
        as_read = self._shown(pl.DataFrame({name: texts for name, (texts, _) in columns.items()}), good)
        return as_read, {name: bad for name, (_, bad) in columns.items() if bad.shown.is_not_null().any()}, misfits

    def _shown(self, as_read: pl.DataFrame, good: bytes) -> pl.DataFrame:
        """Return fields with the characters that are hidden in this text."""
        marks = self._blocks.marks
        return as_read.select(map(marks.show_all, as_read.iter_columns())) if marks.are_in(good) else as_read

    def _cut_text(self, good: bytes) -> tuple[pl.DataFrame, list[int]]:
        misfits: list[int] = []

        def leave_out(row: pa.csv.InvalidRow) -> str:
            misfits.append(row.number - 1)
            return "skip"

        # pyarrow drops a byte order mark at the front of whatever it is given, and passes over an empty line.
        buffer = pa.py_buffer(b"\n" + good if good.startswith(codecs.BOM_UTF8) else good)
        names = [*self.columns, *self._nameless]
        table = pa.csv.read_csv(
            pa.BufferReader(buffer),
            pa.csv.ReadOptions(use_threads=False, column_names=names, block_size=buffer.size + 1),
            pa.csv.ParseOptions(
                delimiter=self._dialect.delimiter,
                quote_char=self._dialect.quote or False,
                newlines_in_values=True,
                invalid_row_handler=leave_out,
            ),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys([*self._kept, *self._nameless], pa.large_string()),
                include_columns=[*self._kept, *self._nameless],
                check_utf8=False,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        columns = dict(zip(table.column_names, map(from_arrow, table.columns), strict=True))
        return self._named(pl.DataFrame(columns), misfits) if self._nameless else (pl.DataFrame(columns), misfits)

    def _named(self, read: pl.DataFrame, misfits: list[int]) -> tuple[pl.DataFrame, list[int]]:
        """Return the columns that have names; a record with a value in another one does not fit."""
        is_more = read.select(pl.any_horizontal(pl.col(self._nameless).is_not_null())).to_series()
        places = np.delete(np.arange(len(read) + len(misfits)), misfits)[is_more.to_numpy()]
        return read.drop(self._nameless).filter(~is_more), sorted([*misfits, *places.tolist()])

    def _misfits(self, good: bytes, places: list[int], starts: Positions, ends: Positions) -> list[Broken]:
        """Return the records at these places, whose fields are too few or too many, as broken ones."""
        begins, stops = record_spans(good, self._dialect)
        misfits = []
        for place in places:
            text = good[begins[place] : stops[place]].removesuffix(b"\r")
            # Cut first, then decoded: an escape for invalid UTF-8 may hold the delimiter.
            fields = fields_of_record(text.decode("latin-1"), self._dialect, MOST_COLUMNS + 1)
            record = self._misfit([self._text(field.encode("latin-1")) for field in fields], text)
            message = f"{_count_of(fields)} where the header has {len(self.columns)}"
            line, line_end, named = int(starts[place]), int(ends[place]), self._named_reject(text)
            misfits.append(Broken(line, line_end, json.dumps(record), "wrong_field_count", message, named))
        return misfits

    def _misfit(self, fields: list[str], text: bytes) -> dict[str, object]:
        """Return a record that does not fit the header, as a reject keeps it: surplus fields apart, if they can be."""
        if EXTRA in self.columns or len(fields) > MOST_COLUMNS:
            return {RAW: self._text(text)}
        record: dict[str, object] = dict(zip(self.columns, fields, strict=False))
        if len(fields) > len(self.columns):
            record[EXTRA] = fields[len(self.columns) :]
        return record

    def _text(self, text: bytes) -> str:
        """Return bytes as text, with escapes for those that are none."""
        text = self._blocks.marks.show(text)
        return escaped(decoded(text)) if self._stream.encoding else text.decode(errors="backslashreplace")

    def _named_reject(self, text: bytes) -> str | None:
        """Return the stored reject that a record names which cannot be cut into its columns: the last field of it."""
        if self.columns[-1] != REJECT:
            return None
        return self._text(text).rpartition(self._dialect.delimiter)[2].strip(self._dialect.quote)


def typed(
    fields: Fields, as_read: pl.DataFrame, undecodable: Mapping[str, Undecodable], *, nul: bool
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the table's columns, made of n records as text, and the faults of those that have any.

    undecodable: by the source's columns, which of its n texts could not be decoded.
    nul: whether there can be a NUL in any.
    """
    values, faults = {}, {}
    for name, (read, found) in _read(fields, as_read, nul=nul):
        text, values[name], fault = as_read[fields.names[name]], read, found
        if (bad := undecodable.get(text.name)) is not None:
            codes = null_codes(len(as_read)) if fault is None else fault["code"]
            shown = shown_text(text) if fault is None else fault["shown"]
            codes = codes.zip_with(bad.shown.is_null(), pl.Series([bad.code]))
            shown = shown.zip_with(bad.shown.is_null(), bad.shown)
            values[name], fault = with_faults(values[name], codes, partial(pl.Series.clone, shown))
        if fault is not None:
            faults[name] = fault
    return fields.complete(values, len(as_read)), faults


def _read(
    fields: Fields, as_read: pl.DataFrame, *, nul: bool
) -> Iterator[tuple[str, tuple[pl.Series, pl.DataFrame | None]]]:
    """Yield the values and faults of each column that is read, and then of each column of lists."""
    for column in fields.columns:
        text = as_read[fields.names[column.name]]
        yield column.name, fields.read_text(text, column, nul=nul)
    for column, separator in fields.list_columns:
        from async_loader.records import lists

        texts = lists.split(as_read[fields.names[column.name]], separator, fields.nulls(column.name))
        yield column.name, lists.read_lists(texts, partial(fields.read_text, column=column, nul=nul))


_AGAIN = "the record is the header once more"


def _mended(records: _Records) -> _Records:
    """Return records of a file of rejects as they were before it was written; those that still stand whole in their
    first column are broken.
    """
    is_whole = records.as_read.to_series().str.starts_with(RAW_MARK).fill_null(value=False)
    kept = records.chosen(~is_whole)
    return replace(
        kept,
        as_read=kept.as_read.with_columns(unguarded_columns()),
        broken=(*kept.broken, *_unmended(records, is_whole)),
    )


def _unmended(records: _Records, is_whole: pl.Series) -> Iterator[Broken]:
    message = "the record still stands whole in the first column: put its values into their columns"
    texts = records.as_read.to_series()
    named = records.as_read[REJECT] if REJECT in records.as_read.columns else None
    for place in is_whole.arg_true():
        record = json.dumps({RAW: unguarded_within(texts[place].removeprefix(RAW_MARK))})
        line, line_end = int(records.starts[place]), int(records.ends[place])
        yield Broken(line, line_end, record, "wrong_field_count", message, None if named is None else named[place])


def _count_of(fields: list[str]) -> str:
    if len(fields) > MOST_COLUMNS:
        return f"more than {MOST_COLUMNS:,} fields"
    return "1 field" if len(fields) == 1 else f"{len(fields)} fields"


def _broken_quoting(line: int, text: str, supersedes: str | None) -> Broken:
    record = json.dumps({RAW: text})
    message = "a quote stands inside an unquoted field, is not doubled, or never closes"
    return Broken(line, line, record, "invalid_quoting", message, supersedes)
