"""Parquet: row groups to batches. Columns are typed by the file, so a column of a wrong type is found before any row.

Only the table's columns are read. Page checksums are verified where the file has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pyarrow.types as kinds

from async_loader.errors import SourceError
from async_loader.records.arrays import from_arrow
from async_loader.records.batches import MARKS, REJECT, Batch, columns_as_json
from async_loader.records.parsing import (
    EXACT_REAL,
    nul_codes,
    null_codes,
    parse_text,
    shown_text,
    text_of_bytes,
    with_faults,
)
from async_loader.records.spellings import digits_code
from async_loader.records.zones import all_in_utc
from async_loader.sources.fields import Fields
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import Stream
from async_loader.tables import MOST_DIGITS, Column, Type

# Rows taken from a row group at a time.
ROWS = 100_000
# The years 1 to 9999 in days from 1970, and a day in a time's units.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


class ParquetSource:
    """`columns` are those that are read. Raises SourceError where one is missing or of a type that does not fit."""

    def __init__(self, stream: Stream, fields: Fields, stretch: Stretch | None = None) -> None:
        self._stream = stream
        try:
            with stream.failures():
                self._file = pa.parquet.ParquetFile(stream.seekable_file(), page_checksum_verification=True)
                schema = self._file.schema_arrow
            names = schema.names
        except UnicodeDecodeError as error:
            raise SourceError(stream.name, "the name of a column is not valid UTF-8") from error
        self.fields = fields.of(names)
        if problem := self.fields.refusal(names):
            raise SourceError(stream.name, problem)
        self.columns = list(dict.fromkeys(self.fields.names.values()))
        self.ignored = [name for name in self.fields.ignored(names) if name not in MARKS]
        self._marks = [REJECT] if _names_rejects(schema) else []
        for column in self.fields.columns:
            _check_column(stream.name, schema, column, self.fields.names[column.name])
        self.schema = pa.schema([schema.field(name) for name in self.columns])
        self._groups = range(self._file.num_row_groups) if stretch is None else stretch.groups
        self._total = self._rows(self._groups)
        self._first = 1 if stretch is None else stretch.line

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order; lines are row numbers from 1."""
        row = self._first
        parts = self._file.iter_batches(ROWS, row_groups=list(self._groups), columns=[*self.columns, *self._marks])
        for part in parts:
            yield self._batch(part, row)
            row += len(part)

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each batch."""
        for batch in self.batches():
            yield batch.values

    def stretches(self, size: int) -> list[Stretch]:
        """Return stretches of neighbouring row groups, of some `size` bytes as they are unpacked."""
        found: list[list[int]] = []
        unpacked = size
        for group in self._groups:
            if unpacked >= size:
                found.append([])
                unpacked = 0
            found[-1].append(group)
            unpacked += self._file.metadata.row_group(group).total_byte_size
        row, stretches = 1, []
        for groups in found:
            rows = self._rows(groups)
            start, stop = self._share(row - 1), self._share(row - 1 + rows)
            stretches.append(Stretch(self._stream.version, start, stop, row, groups=tuple(groups)))
            row += rows
        return stretches

    def _rows(self, groups: Iterable[int]) -> int:
        return sum(self._file.metadata.row_group(group).num_rows for group in groups)

    def _share(self, rows: int) -> int:
        """Return bytes of the source for a number of rows, as if all rows had the same size."""
        of_all: int = max(1, self._file.metadata.num_rows)
        return (self._stream.size or 0) * rows // of_all

    def _batch(self, part: pa.RecordBatch, row: int) -> Batch:
        read, undecodable = {}, {}
        for name in self.columns:
            read[name], bad = _series(part.column(name))
            if bad is not None:
                undecodable[name] = bad
        as_read = pl.DataFrame(read)
        values, faults = typed(self.fields, as_read, undecodable, len(part))
        rows = pl.int_range(row, row + len(part), eager=True)
        return Batch(
            source=self._stream.name,
            values=values,
            absent=self.fields.absent,
            lookups=self.fields.lookups,
            lines=rows,
            line_ends=rows,
            as_read=as_read.select(map(_shown, as_read)),
            to_json=_as_json,
            faults=faults,
            read_to=self._read_to(row - self._first + len(part)),
            supersedes=_series(part.column(REJECT))[0].cast(pl.String) if self._marks else None,
        )

    def _read_to(self, rows: int) -> int:
        """Return bytes on disk, as if all rows had the same size: columns are read ahead, so positions say nothing."""
        of_all = max(rows, self._total)
        return (self._stream.size or 0) * rows // of_all


def typed(
    fields: Fields, as_read: pl.DataFrame, undecodable: Mapping[str, pl.Series], size: int
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the table's columns from rows in the types of the file, and the faults of columns that have any.

    undecodable: by the file's columns of texts, which of them are not UTF-8.
    """
    values, faults = {}, {}
    for column in fields.columns:
        name = fields.names[column.name]
        values[column.name], fault = _checked(column, as_read[name], undecodable.get(name), fields.means_null)
        if fault is not None:
            faults[column.name] = fault
    return fields.complete(values, size), faults


def _names_rejects(schema: pa.Schema) -> bool:
    """Return whether one column, of text, names the stored rejects that rows are mended from."""
    return schema.names.count(REJECT) == 1 and _is_text(schema.field(REJECT).type)


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _check_column(name: str, schema: pa.Schema, column: Column, source_name: str) -> None:
    found = schema.names.count(source_name)
    if found != 1:
        problem = "lacks the column" if not found else f"has {found} columns"
        raise SourceError(name, f"{problem} {source_name!r}")
    kind = schema.field(source_name).type
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    if not (_fits(kind, column) or kinds.is_null(kind)):
        raise SourceError(
            name, f"column {source_name!r} is {kind}, and the table wants {column.type.value}; convert it"
        )


def _fits(kind: pa.DataType, column: Column) -> bool:
    """Return whether a type is read: text for every type except those that Parquet's writers always have."""
    is_text = _is_text(kind)
    match column.type:
        case Type.INTEGER:
            return bool(kinds.is_integer(kind))
        case Type.REAL:
            return bool(kinds.is_floating(kind) or kinds.is_integer(kind))
        case Type.DECIMAL:
            is_decimal = kinds.is_decimal(kind) and not kinds.is_decimal256(kind)
            return bool(is_text or is_decimal or kinds.is_integer(kind))
        case Type.BOOLEAN:
            return bool(is_text or kinds.is_boolean(kind))
        case Type.DATE:
            return bool(is_text or kinds.is_date(kind))
        case Type.DATETIME:
            return bool(is_text or (kinds.is_timestamp(kind) and (kind.tz is None or column.zone is not None)))
    return bool(is_text)


def _series(array: pa.Array) -> tuple[pl.Series, pl.Series | None]:
    """Return the values, and, if some of them are text that is not UTF-8, which."""
    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kinds.is_date64(array.type):
        array = array.cast(pa.date32())
    if kinds.is_timestamp(array.type) and array.type.tz is not None:
        # The same instants; Polars knows no zones such as +05:30.
        array = array.cast(pa.timestamp(array.type.unit, "UTC"))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return text_of_bytes(array.cast(pa.large_string(), safe=False).cast(pa.large_binary()).to_pylist())
    return from_arrow(array), None


def _checked(
    column: Column, read: pl.Series, undecodable: pl.Series | None, means_null: tuple[str, ...]
) -> tuple[pl.Series, pl.DataFrame | None]:
    if means_null and read.dtype == pl.String:
        read = pl.select(pl.when(~read.is_in(list(means_null)).fill_null(value=False)).then(read)).to_series()
    values, codes = _valued(column, read)
    if undecodable is not None:
        codes = codes.zip_with(~undecodable, pl.Series(["invalid_utf8"]))
    if not column.nullable:
        codes = codes.zip_with(values.is_not_null() | codes.is_not_null(), pl.Series(["missing"]))
    return with_faults(
        values, codes, lambda: shown_text(read) if read.dtype == pl.String else _shown(read).cast(pl.String)
    )


def _shown(read: pl.Series) -> pl.Series:
    """Return values as read, except dates and times outside Python's years, which are shown as the file counts them."""
    if not read.dtype.is_temporal() or (known := _of_our_years(read)).all():
        return read
    whole = pl.select(pl.when(known).then(read)).to_series()
    return pl.select(pl.coalesce(whole.cast(pl.String), read.to_physical().cast(pl.String))).to_series()


def _of_our_years(read: pl.Series) -> pl.Series:
    """Return which dates or times are in the years 1 to 9999; null for null."""
    day = _DAY[read.dtype.time_unit] if isinstance(read.dtype, pl.Datetime) else 1
    return read.to_physical().cast(pl.Int128).is_between(_FIRST_DAY * day, (_LAST_DAY + 1) * day - 1)


def _valued(column: Column, read: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the values, and codes for those that are at fault."""
    match column.type:
        case Type.TEXT:
            values = read.cast(pl.String)
            return values, nul_codes(values)
        case Type.INTEGER:
            values = read.cast(pl.Int64, strict=False)
        case Type.REAL:
            return _real(read)
        case _ if read.dtype == pl.String:
            values, faults = parse_text(read, replace(column, nullable=True))
            return values, null_codes(len(read)) if faults is None else faults["code"]
        case Type.DECIMAL:
            return _decimal(read, column)
        case Type.DATETIME if read.dtype != pl.Null:
            return _datetime(read, column)
        case _:
            known = _of_our_years(read) if read.dtype.is_temporal() else read.is_not_null()
            values = pl.select(pl.when(known).then(read)).to_series().cast(column.dtype)
    return values, _codes(values.is_null() & read.is_not_null(), "out_of_range")


def _decimal(read: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    values = read.cast(column.dtype, strict=False)
    fits = values.cast(read.dtype, strict=False) == read
    codes = _codes(~fits.fill_null(value=False) & read.is_not_null(), "too_many_digits")
    whole = min(column.digits, column.significant) - column.places
    # No value has more digits than the most.
    if whole < MOST_DIGITS and len(doubtful := (values.abs() >= Decimal(10) ** whole).arg_true()):
        judged = [
            digits_code(value, column) or code
            for value, code in zip(values.gather(doubtful), codes.gather(doubtful), strict=True)
        ]
        codes = codes.scatter(doubtful, pl.Series(judged, dtype=pl.String))
    return values, codes


def _datetime(read: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    assert isinstance(read.dtype, pl.Datetime)
    values = pl.select(pl.when(_of_our_years(read)).then(read)).to_series().dt.cast_time_unit("us")
    fits = values.dt.cast_time_unit(read.dtype.time_unit) == read
    if column.zone is not None and read.dtype.time_zone is None:
        values = all_in_utc(pl.select(pl.when(fits).then(values)).to_series(), column.zone)
    elif column.zone is not None:
        values = values.dt.convert_time_zone("UTC")
    fits &= values.is_not_null()
    return values, _codes(~fits.fill_null(value=False) & read.is_not_null(), "out_of_range")


def _real(read: pl.Series) -> tuple[pl.Series, pl.Series]:
    values = read.cast(pl.Float64)
    if read.dtype.is_integer():
        # Converting back is a fair test only while the real is within the integers' range.
        inexact = (values.abs() >= EXACT_REAL) & (values.cast(read.dtype, strict=False).ne_missing(read))
        return values, _codes(inexact, "out_of_range")
    return values, _codes(~values.is_finite(), "not_finite")


def _codes(wrong: pl.Series, code: str) -> pl.Series:
    return pl.select(pl.when(wrong).then(pl.lit(code))).to_series()


def _as_json(rows: pl.DataFrame) -> pl.Series:
    """Return rows as JSON. It has no NaN or infinity, no decimals and no dates: those are shown as text.

    Other reals never are, whatever else is in a batch.
    """
    as_text = [name for name, kind in rows.schema.items() if kind.is_temporal() or kind.is_decimal()]
    rows = rows.with_columns(pl.col(as_text).cast(pl.String))
    reals = [name for name, kind in rows.schema.items() if kind.is_float()]
    found = columns_as_json(rows)
    finite = rows.select(pl.col(reals).is_finite().fill_null(value=True))
    for pattern in finite.unique().rows():
        if not all(pattern):
            alike = pl.all_horizontal(pl.col(name) == value for name, value in zip(reals, pattern, strict=True))
            places = finite.select(alike).to_series()
            named = [name for name, value in zip(reals, pattern, strict=True) if not value]
            shown = rows.filter(places).with_columns(pl.col(named).cast(pl.String))
            found = found.scatter(places.arg_true(), columns_as_json(shown))
    return found
