"""Parquet: row groups to batches. Columns are typed by the file, so a column of a wrong type is found before any row.

Only the table's columns are read. Page checksums are verified where the file has them.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pyarrow.types as kinds

from async_loader.batches import Batch, columns_as_json
from async_loader.errors import SourceError
from async_loader.parsing import EXACT_REAL, nul_codes, shown_text, text_of_bytes, with_faults
from async_loader.sources.streams import Stream
from async_loader.tables import Column, Table, Type

# Rows taken from a row group at a time.
ROWS = 100_000


class ParquetSource:
    """`columns` are those that are read. Raises SourceError where one is missing or of a type that does not fit."""

    def __init__(self, stream: Stream, table: Table) -> None:
        self._stream = stream
        self._table = table
        try:
            with stream.failures():
                self._file = pa.parquet.ParquetFile(stream.seekable_file(), page_checksum_verification=True)
                schema = self._file.schema_arrow
            names = schema.names
        except UnicodeDecodeError as error:
            raise SourceError(stream.name, "the name of a column is not valid UTF-8") from error
        self.columns = list(table.column_names)
        self.ignored = [name for name in names if name not in self.columns]
        for column in table.columns:
            _check_column(stream.name, schema, column)
        self.schema = pa.schema([schema.field(name) for name in self.columns])

    def batches(self) -> Iterator[Batch]:
        """The rows in order; lines are row numbers from 1."""
        row = 1
        for part in self._file.iter_batches(ROWS, columns=self.columns):
            yield self._batch(part, row)
            row += len(part)

    def _batch(self, part: pa.RecordBatch, row: int) -> Batch:
        values, faults, read = {}, {}, {}
        for column in self._table.columns:
            series, undecodable = _series(part.column(column.name))
            read[column.name] = series
            values[column.name], fault = _checked(column, series, undecodable)
            if fault is not None:
                faults[column.name] = fault
        rows = pl.int_range(row, row + len(part), eager=True)
        return Batch(
            source=self._stream.name,
            values=pl.DataFrame(values),
            lines=rows,
            line_ends=rows,
            as_read=pl.DataFrame(read),
            to_json=_as_json,
            faults=faults,
            read_to=self._read_to(row + len(part) - 1),
        )

    def _read_to(self, rows: int) -> int:
        """Bytes on disk, as if each row had as many: where the file stands says nothing, as columns are read ahead."""
        of_all: int = max(rows, self._file.metadata.num_rows)
        return (self._stream.size or 0) * rows // of_all


def _check_column(name: str, schema: pa.Schema, column: Column) -> None:
    found = schema.names.count(column.name)
    if found != 1:
        problem = "lacks the column" if not found else f"has {found} columns"
        raise SourceError(name, f"{problem} {column.name!r}")
    kind = schema.field(column.name).type
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    fits = {
        Type.INTEGER: kinds.is_integer(kind),
        Type.REAL: kinds.is_floating(kind) or kinds.is_integer(kind),
        Type.TEXT: kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind),
    }
    if not (fits[column.type] or kinds.is_null(kind)):
        raise SourceError(
            name, f"column {column.name!r} is {kind}, and the table wants {column.type.value}; convert it"
        )


def _series(array: pa.Array) -> tuple[pl.Series, pl.Series | None]:
    """The values, and where they are text of which some is not UTF-8, which ones."""
    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return text_of_bytes(array.cast(pa.large_string(), safe=False).cast(pa.large_binary()).to_pylist())
    return pl.Series(pl.from_arrow(array)), None


def _checked(column: Column, read: pl.Series, undecodable: pl.Series | None) -> tuple[pl.Series, pl.DataFrame | None]:
    if column.type is Type.TEXT:
        values = read.cast(pl.String)
        codes = nul_codes(values)
    elif column.type is Type.INTEGER:
        values = read.cast(pl.Int64, strict=False)
        codes = _codes(values.is_null() & read.is_not_null(), "out_of_range")
    else:
        values, codes = _real(read)
    if undecodable is not None:
        codes = codes.zip_with(~undecodable, pl.Series(["invalid_utf8"]))
    if not column.nullable:
        codes = codes.zip_with(read.is_not_null(), pl.Series(["missing"]))
    return with_faults(values, codes, lambda: shown_text(values) if column.type is Type.TEXT else read.cast(pl.String))


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
    """JSON has no NaN or infinity: those are shown as text."""
    reals = [name for name, kind in rows.schema.items() if kind.is_float()]
    finite = [name for name in reals if rows[name].is_finite().fill_null(value=True).all()]
    return columns_as_json(rows.with_columns(pl.col(set(reals) - set(finite)).cast(pl.String)))
