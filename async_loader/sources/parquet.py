"""Parquet: row groups to batches. Columns are typed by the file, so a column of a wrong type is found before any row.

Only the table's columns are read. Page checksums are verified where the file has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pyarrow.types as kinds

from async_loader.batches import MARKS, REJECT, Batch, columns_as_json
from async_loader.errors import SourceError
from async_loader.parsing import EXACT_REAL, nul_codes, nulls, parse_text, shown_text, text_of_bytes, with_faults
from async_loader.sources.fields import Fields
from async_loader.sources.streams import Stream
from async_loader.tables import Column, Type

# Rows taken from a row group at a time.
ROWS = 100_000


class ParquetSource:
    """`columns` are those that are read. Raises SourceError where one is missing or of a type that does not fit."""

    def __init__(self, stream: Stream, fields: Fields) -> None:
        self._stream = stream
        try:
            with stream.failures():
                self._file = pa.parquet.ParquetFile(stream.seekable_file(), page_checksum_verification=True)
                schema = self._file.schema_arrow
            names = schema.names
        except UnicodeDecodeError as error:
            raise SourceError(stream.name, "the name of a column is not valid UTF-8") from error
        self.fields = fields.of(names)
        self.columns = list(dict.fromkeys(self.fields.names.values()))
        self.ignored = [name for name in self.fields.ignored(names) if name not in MARKS]
        self._marks = [REJECT] if _names_rejects(schema) else []
        for column in self.fields.columns:
            _check_column(stream.name, schema, column, self.fields.names[column.name])
        self.schema = pa.schema([schema.field(name) for name in self.columns])

    def batches(self) -> Iterator[Batch]:
        """The rows in order; lines are row numbers from 1."""
        row = 1
        for part in self._file.iter_batches(ROWS, columns=[*self.columns, *self._marks]):
            yield self._batch(part, row)
            row += len(part)

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
            lines=rows,
            line_ends=rows,
            as_read=as_read,
            to_json=_as_json,
            faults=faults,
            read_to=self._read_to(row + len(part) - 1),
            supersedes=_series(part.column(REJECT))[0].cast(pl.String) if self._marks else None,
        )

    def _read_to(self, rows: int) -> int:
        """Bytes on disk, as if each row had as many: where the file stands says nothing, as columns are read ahead."""
        of_all: int = max(rows, self._file.metadata.num_rows)
        return (self._stream.size or 0) * rows // of_all


def typed(
    fields: Fields, as_read: pl.DataFrame, undecodable: Mapping[str, pl.Series], size: int
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The table's columns from so many rows in the types of the file, and the faults of those that have any.

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
    """Whether there is one column, of text, for the stored rejects that rows are mended from."""
    return schema.names.count(REJECT) == 1 and _is_text(schema.field(REJECT).type)


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _check_column(name: str, schema: pa.Schema, column: Column, called: str) -> None:
    found = schema.names.count(called)
    if found != 1:
        problem = "lacks the column" if not found else f"has {found} columns"
        raise SourceError(name, f"{problem} {called!r}")
    kind = schema.field(called).type
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    if not (_fits(kind, column) or kinds.is_null(kind)):
        raise SourceError(name, f"column {called!r} is {kind}, and the table wants {column.type.value}; convert it")


def _fits(kind: pa.DataType, column: Column) -> bool:
    """Text is read for every type but those that Parquet's writers always have."""
    is_text = _is_text(kind)
    match column.type:
        case Type.INTEGER:
            return bool(kinds.is_integer(kind))
        case Type.REAL:
            return bool(kinds.is_floating(kind) or kinds.is_integer(kind))
        case Type.DECIMAL:
            return bool(is_text or kinds.is_decimal(kind) or kinds.is_integer(kind))
        case Type.BOOLEAN:
            return bool(is_text or kinds.is_boolean(kind))
        case Type.DATE:
            return bool(is_text or kinds.is_date(kind))
        case Type.DATETIME:
            return bool(is_text or (kinds.is_timestamp(kind) and (kind.tz is None or column.zone is not None)))
    return bool(is_text)


def _series(array: pa.Array) -> tuple[pl.Series, pl.Series | None]:
    """The values, and where they are text of which some is not UTF-8, which ones."""
    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return text_of_bytes(array.cast(pa.large_string(), safe=False).cast(pa.large_binary()).to_pylist())
    return pl.Series(pl.from_arrow(array)), None


def _checked(
    column: Column, read: pl.Series, undecodable: pl.Series | None, means_null: tuple[str, ...]
) -> tuple[pl.Series, pl.DataFrame | None]:
    if means_null and read.dtype == pl.String:
        read = pl.select(pl.when(~read.is_in(list(means_null)).fill_null(value=False)).then(read)).to_series()
    values, codes = _valued(column, read)
    if undecodable is not None:
        codes = codes.zip_with(~undecodable, pl.Series(["invalid_utf8"]))
    if not column.nullable:
        codes = codes.zip_with(read.is_not_null(), pl.Series(["missing"]))
    return with_faults(values, codes, lambda: shown_text(read) if read.dtype == pl.String else read.cast(pl.String))


def _valued(column: Column, read: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The values, and codes for what is at fault."""
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
            return values, nulls(len(read)) if faults is None else faults["code"]
        case Type.DECIMAL:
            return _decimal(read, column)
        case Type.DATETIME:
            return _datetime(read, column)
        case _:
            values = read.cast(column.dtype)
    return values, _codes(values.is_null() & read.is_not_null(), "out_of_range")


def _decimal(read: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    values = read.cast(column.dtype, strict=False)
    bound = Decimal(10) ** (column.digits - column.places)
    fits = (values.cast(read.dtype, strict=False) == read) & (values.abs() < bound)
    return values, _codes(~fits.fill_null(value=False) & read.is_not_null(), "too_many_digits")


def _datetime(read: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    if read.dtype == pl.Null:
        return read.cast(column.dtype), nulls(len(read))
    assert isinstance(read.dtype, pl.Datetime)
    values = read.dt.cast_time_unit("us")
    fits = (values.dt.cast_time_unit(read.dtype.time_unit) == read) & values.dt.year().is_between(1, 9999)
    if column.zone is not None and read.dtype.time_zone is None:
        values = values.dt.replace_time_zone(column.zone, ambiguous="earliest", non_existent="null")
        fits &= values.is_not_null()
    if column.zone is not None:
        values = values.dt.convert_time_zone("UTC")
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
    """JSON has no NaN or infinity, no decimals and no dates: those are shown as text."""
    as_text = [name for name, kind in rows.schema.items() if kind.is_temporal() or kind.is_decimal()]
    reals = [name for name, kind in rows.schema.items() if kind.is_float()]
    as_text += [name for name in reals if not rows[name].is_finite().fill_null(value=True).all()]
    return columns_as_json(rows.with_columns(pl.col(as_text).cast(pl.String)))
