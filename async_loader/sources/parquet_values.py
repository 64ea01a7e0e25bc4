"""Columns of Parquet as a table's values: which types fit, what is out of range, and how a reject keeps a row. Pure.

Times in the deprecated type INT96 count days and nanoseconds of the day, and reach further than 64 bits of nanoseconds.
They are read twice, in microseconds and in nanoseconds that may have run over: only both together are the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.types as kinds

from async_loader.columns import MOST_DIGITS, Column, Type
from async_loader.formats import Spellings
from async_loader.records.arrays import from_arrow, from_integers
from async_loader.records.batches import columns_as_json
from async_loader.records.lists import in_lists, places_of, read_lists
from async_loader.records.parsing import (
    EXACT_REAL,
    notes_of,
    nul_codes,
    null_codes,
    parse_text,
    shown_text,
    text_of_bytes,
    with_faults,
    with_notes,
)
from async_loader.records.respelling import is_respelled, read_text, trimmed
from async_loader.records.spellings import IN_GAP, MANY_PLACES, digits_fault
from async_loader.records.times import FINE, duration_texts, time_texts
from async_loader.records.zones import all_in_utc
from async_loader.sources.fields import Fields
from async_loader.sources.parquet_types import _is_uuid, is_binary, is_list

# The years 1 to 9999 in days from 1970, and a day in a time's units.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


# Of a time of INT96: microseconds, and nanoseconds besides.
_WHOLE, _REST = "us", "ns"
_NANOSECONDS = 1_000
# Up to here each whole number is a real, where those have fewer bits than 64.
_EXACT_REALS: Mapping[type[pl.DataType], float] = {pl.Float32: 2.0**24}
# In these years a time of any zone is one of UTC, unless it lies in a DST gap.
_NEVER_OUT_OF_UTC = (2, 9998)


def series_of(array: pa.Array, *, as_bytes: bool = False) -> tuple[pl.Series, pl.Series | None]:
    """Return the values, and where they are text of which some is not UTF-8, which ones. as_bytes: whether what may be
    the bytes of UUIDs is to stay as it is.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if is_list(array.type):
        return _lists_of(array)
    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
    if is_binary(array.type) and (as_bytes or not _is_uuid(array.type)):
        return from_arrow(array.cast(pa.large_binary())), None
    if _is_uuid(array.type):
        return from_arrow(array.cast(pa.binary())).bin.encode("hex"), None
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


def _lists_of(array: pa.Array) -> tuple[pl.Series, pl.Series | None]:
    """Return lists, and where they hold text of which some is not UTF-8, which ones hold such."""
    values, bad = series_of(array.flatten())
    lengths = from_arrow(array.value_lengths())
    lists = in_lists(values, lengths.fill_null(0).cast(pl.Int64).to_numpy(), is_null=lengths.is_null())
    if bad is None:
        return lists, None
    places = pl.Series(places_of(lists)).filter(bad)
    return lists, pl.int_range(len(lists), eager=True).is_in(places.unique().implode())


def instants(coarse: pa.Array, fine: pa.Array) -> pl.Series:
    """Return times of INT96 as structures: microseconds, and the nanoseconds besides.

    coarse, fine: the same times in microseconds, and in nanoseconds of which only the last 64 bits are left.
    """
    whole = from_arrow(coarse)
    counts = (
        from_arrow(fine).to_physical().fill_null(0).to_numpy()
        - _NANOSECONDS * whole.to_physical().fill_null(0).to_numpy()
    )
    rest = from_integers(counts.astype(np.int64))
    return pl.select(pl.struct(whole.alias(_WHOLE), rest.alias(_REST))).to_series()


def typed(
    fields: Fields, as_read: pl.DataFrame, undecodable: Mapping[str, pl.Series], size: int
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the table's columns, made of that many rows in the types of the file, and the faults of those that have
    any.

    undecodable: by the file's columns of texts, which of them are not UTF-8.
    """
    values, faults = {}, {}
    for column in fields.columns:
        name = fields.names[column.name]
        values[column.name], fault = _checked(column, as_read[name], undecodable.get(name), fields)
        if fault is not None:
            faults[column.name] = fault
    for column, _ in fields.list_columns:
        name = fields.names[column.name]
        values[column.name], fault = _checked_lists(column, as_read[name], undecodable.get(name), fields)
        if fault is not None:
            faults[column.name] = fault
    return fields.complete(values, size), faults


def _checked_lists(
    column: Column, read: pl.Series, undecodable: pl.Series | None, fields: Fields
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return lists of a column's values. One that is null has no values: the column is there."""
    kind = read.dtype if isinstance(read.dtype, pl.List) else pl.List(column.dtype)
    lists = pl.select(pl.coalesce(pl.lit(read.cast(kind)), pl.lit([], dtype=kind))).to_series()
    values, fault = read_lists(lists, lambda each: _checked(column, each, None, fields))
    if undecodable is None:
        return values, fault
    codes = (null_codes(len(read)) if fault is None else fault["code"]).zip_with(
        ~undecodable, pl.Series(["invalid_utf8"])
    )
    return with_faults(values, codes, lambda: shown_text(as_json(read.to_frame("list"))))


def _checked(
    column: Column, read: pl.Series, undecodable: pl.Series | None, fields: Fields
) -> tuple[pl.Series, pl.DataFrame | None]:
    written = read
    if read.dtype == pl.String:
        written = _meant(column, read, fields)
        if is_respelled(column, fields.spellings):
            return _respelled(column, written, undecodable, fields.spellings)
    return _as_it_is(column, written, undecodable)


def _meant(column: Column, text: pl.Series, fields: Fields) -> pl.Series:
    """Return text without blanks that are no part of it, and null for what stands for null."""
    if fields.spellings.trim and column.type is not Type.JSON:
        text = trimmed(text, column)
    if nulls := fields.nulls(column.name):
        text = pl.select(pl.when(~text.is_in(list(nulls)).fill_null(value=False)).then(text)).to_series()
    return text


def _respelled(
    column: Column, text: pl.Series, undecodable: pl.Series | None, spellings: Spellings
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return what text means that is spelled so."""
    spellings = replace(spellings, null=(), trim=False)
    values, fault = read_text(text, replace(column, nullable=True), spellings)
    codes, said = (null_codes(len(text)), text) if fault is None else (fault["code"], fault["shown"])
    if undecodable is not None:
        codes = codes.zip_with(~undecodable, pl.Series(["invalid_utf8"]))
        said = said.zip_with(~undecodable, shown_text(text))
    if not column.nullable:
        codes = codes.zip_with(text.is_not_null(), pl.Series(["missing"]))
    return with_faults(values, codes, lambda: said)


def _as_it_is(column: Column, read: pl.Series, undecodable: pl.Series | None) -> tuple[pl.Series, pl.DataFrame | None]:
    if column.convert is not None:
        return _converted(column, read, undecodable)
    values, codes = _valued(column, read)
    if undecodable is not None:
        codes = codes.zip_with(~undecodable, pl.Series(["invalid_utf8"]))
    if not column.nullable:
        codes = codes.zip_with(values.is_not_null() | codes.is_not_null(), pl.Series(["missing"]))
    return with_notes(values, codes, lambda: _shown_in_messages(column, read), column)


def _shown_in_messages(column: Column, read: pl.Series) -> pl.Series:
    if read.dtype.is_float() and column.type is Type.DECIMAL:
        faults = parse_text(_shortest(read), replace(column, nullable=True))[1]
        return read.cast(pl.String) + notes_of(faults, column, len(read))
    if read.dtype != pl.String:
        return _as_text(shown(read))
    # What is wrong with a text may show with it.
    faults = None if column.type is Type.TEXT else parse_text(read, replace(column, nullable=True))[1]
    return shown_text(read) if faults is None else faults["shown"]


def _converted(column: Column, read: pl.Series, undecodable: pl.Series | None) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return what the column's own function makes of values; of INT96, of their text."""
    from async_loader.records.conversion import converted

    readable = _as_text(read) if is_int96(read) else read
    values, fault = converted(column, readable.to_list())
    if undecodable is None:
        return values, fault
    codes, said = (null_codes(len(read)), read) if fault is None else (fault["code"], fault["shown"])
    codes = codes.zip_with(~undecodable, pl.Series(["invalid_utf8"]))
    return with_faults(values, codes, lambda: said.zip_with(~undecodable, shown_text(read)))


def shown(read: pl.Series) -> pl.Series:
    """Return values as a reject keeps them; dates and times of other years than Python's, which nothing can write, as
    the file counts them.
    """
    if (texts := _AS_TEXTS.get(type(read.dtype))) is not None:
        return texts(read)
    if not isinstance(read.dtype, pl.Date | pl.Datetime) or (known := _of_our_years(read)).all():
        return read
    whole = pl.select(pl.when(known).then(read)).to_series()
    return pl.select(pl.coalesce(whole.cast(pl.String), read.to_physical().cast(pl.String))).to_series()


def json_texts(read: pl.Series) -> pl.Series:
    """Return nested values as JSON; times of INT96 as they are."""
    if is_int96(read):
        return read
    texts = [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in read.to_list()]
    return pl.Series(read.name, texts, dtype=pl.String)


_AS_TEXTS: Mapping[type[pl.DataType], Callable[[pl.Series], pl.Series]] = {
    pl.Binary: lambda read: read.bin.encode("base64"),
    pl.Time: time_texts,
    pl.Duration: duration_texts,
    pl.Struct: json_texts,
}


def is_int96(read: pl.Series) -> bool:
    """Return whether values are times of INT96, as `instants` gives them."""
    return isinstance(read.dtype, pl.Struct) and read.struct.fields == [_WHOLE, _REST]


def _as_text(read: pl.Series) -> pl.Series:
    """Return values as text; a time of INT96 with as many digits of its second as it has."""
    if not isinstance(read.dtype, pl.Struct):
        return (time_texts(read) if isinstance(read.dtype, pl.Time) else read).cast(pl.String)
    whole, rest = read.struct.field(_WHOLE), read.struct.field(_REST)
    # With six digits of a second where nanoseconds follow.
    digits = pl.concat_str(whole.dt.to_string("%Y-%m-%d %H:%M:%S%.6f"), rest.cast(pl.String).str.zfill(3))
    return pl.select(pl.when(rest != 0).then(digits).otherwise(shown(whole).cast(pl.String))).to_series()


def _of_our_years(read: pl.Series) -> pl.Series:
    """Return which dates or times are of the years 1 to 9999; null for null."""
    day = _DAY[read.dtype.time_unit] if isinstance(read.dtype, pl.Datetime) else 1
    return read.to_physical().cast(pl.Int128).is_between(_FIRST_DAY * day, (_LAST_DAY + 1) * day - 1)


def _valued(column: Column, read: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the values, and codes for what is at fault."""
    match column.type:
        case Type.TEXT | Type.OTHER:
            values = read.cast(pl.String)
            return values, nul_codes(values)
        case Type.INTEGER if read.dtype.is_float():
            return _whole(read)
        case Type.INTEGER:
            values = read.cast(pl.Int64, strict=False)
        case Type.REAL:
            return _real(read)
        case _ if read.dtype == pl.String:
            values, faults = parse_text(read, replace(column, nullable=True))
            return values, null_codes(len(read)) if faults is None else faults["code"]
        case Type.DECIMAL if read.dtype.is_float():
            return _valued(column, _shortest(read))
        case Type.DECIMAL:
            return _decimal(read, column)
        case Type.DATETIME if read.dtype != pl.Null:
            return _datetime(read, column)
        case Type.TIME | Type.DURATION if read.dtype != pl.Null:
            return _counted(read, column)
        case _:
            known = _of_our_years(read) if isinstance(read.dtype, pl.Date) else read.is_not_null()
            values = pl.select(pl.when(known).then(read)).to_series().cast(column.dtype)
    return values, _codes(values.is_null() & read.is_not_null(), "out_of_range")


def _whole(read: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the integers that reals are, as far as each integer is a real."""
    is_near = read.abs() <= _EXACT_REALS.get(type(read.dtype), EXACT_REAL)
    is_whole = read.floor() == read
    code = pl.when(~read.is_finite()).then(pl.lit("not_finite")).when(~is_whole).then(pl.lit("not_integer"))
    codes = pl.select(code.when(~is_near).then(pl.lit("out_of_range"))).to_series()
    return pl.select(pl.when(is_near & is_whole).then(read)).to_series().cast(pl.Int64, strict=False), codes


def _shortest(read: pl.Series) -> pl.Series:
    """Return reals as text of the fewest digits that mean them: 0.1, and 3 for a whole number."""
    return read.cast(pl.String).str.strip_suffix(".0")


def _decimal(read: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    values = read.cast(column.dtype, strict=False)
    is_exact = values.cast(read.dtype, strict=False) == read
    codes = _codes(~is_exact.fill_null(value=False) & read.is_not_null(), MANY_PLACES)
    whole = min(column.digits, column.significant) - column.places
    # No value has more digits than the most.
    if whole < MOST_DIGITS and len(doubtful := (values.abs() >= Decimal(10) ** whole).arg_true()):
        judged = [
            digits_fault(value, column) or code
            for value, code in zip(values.gather(doubtful), codes.gather(doubtful), strict=True)
        ]
        codes = codes.scatter(doubtful, pl.Series(judged, dtype=pl.String))
    return values, codes


def _datetime(read: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    if isinstance(read.dtype, pl.Struct):
        values, codes = _datetime(read.struct.field(_WHOLE), column)
        return values, codes.zip_with((read.struct.field(_REST) == 0).fill_null(value=True), pl.Series([FINE]))
    assert isinstance(read.dtype, pl.Datetime)
    values = pl.select(pl.when(_of_our_years(read)).then(read)).to_series().dt.cast_time_unit("us")
    is_exact = values.dt.cast_time_unit(read.dtype.time_unit) == read
    is_fine = ~is_exact.fill_null(value=True)
    in_gap: pl.Series | None = None
    if column.zone is not None and read.dtype.time_zone is None:
        local = pl.select(pl.when(is_exact).then(values)).to_series()
        values = all_in_utc(local, column.zone)
        in_gap = values.is_null() & local.dt.year().is_between(*_NEVER_OUT_OF_UTC)
    elif column.zone is not None:
        values = values.dt.convert_time_zone("UTC")
    is_exact &= values.is_not_null()
    codes = _codes(~is_exact.fill_null(value=False) & read.is_not_null(), "out_of_range")
    codes = codes.zip_with(~is_fine, pl.Series([FINE]))
    return values, codes if in_gap is None else codes.zip_with(~in_gap.fill_null(value=False), pl.Series([IN_GAP]))


def _counted(read: pl.Series, column: Column) -> tuple[pl.Series, pl.Series]:
    """Return times of a day, or durations, which are whole microseconds."""
    values = read.cast(column.dtype, strict=False)
    is_exact = values.cast(read.dtype, strict=False) == read
    codes = _codes(~is_exact.fill_null(value=False) & read.is_not_null(), "out_of_range")
    if not _in_nanoseconds(read.dtype):
        return values, codes
    is_fine = read.to_physical() % _NANOSECONDS != 0
    return values, codes.zip_with(~is_fine.fill_null(value=False), pl.Series([FINE]))


def _in_nanoseconds(kind: pl.DataType) -> bool:
    """Return whether times of a day, or durations, are counted in nanoseconds."""
    return isinstance(kind, pl.Time) or (isinstance(kind, pl.Duration) and kind.time_unit == "ns")


def _real(read: pl.Series) -> tuple[pl.Series, pl.Series]:
    values = read.cast(pl.Float64)
    if read.dtype.is_integer():
        # Converting back is a fair test only while the real is within the integers' range.
        inexact = (values.abs() >= EXACT_REAL) & (values.cast(read.dtype, strict=False).ne_missing(read))
        return values, _codes(inexact, "out_of_range")
    return values, _codes(~values.is_finite(), "not_finite")


def _codes(wrong: pl.Series, code: str) -> pl.Series:
    return pl.select(pl.when(wrong).then(pl.lit(code))).to_series()


def as_json(rows: pl.DataFrame) -> pl.Series:
    """Return rows as JSON objects. JSON has no NaN or infinity, no decimals and no dates: those are shown as text, and
    other reals never, whatever else is in a batch.
    """
    as_text = [
        name
        for name, kind in rows.schema.items()
        if kind.is_temporal() or kind.is_decimal() or isinstance(kind, pl.Struct)
    ]
    rows = rows.with_columns(_as_text(rows[name]).alias(name) for name in as_text)
    rows = rows.with_columns(
        pl.col(name).list.eval(pl.element().cast(pl.String))
        for name, kind in rows.schema.items()
        if isinstance(kind, pl.List) and not (kind.inner == pl.String or kind.inner.is_integer())
    )
    reals = [name for name, kind in rows.schema.items() if kind.is_float()]
    if not reals or not len(rows):
        return columns_as_json(rows)
    # Rows by which of their reals are finite, each with its place.
    finite = rows.select(pl.col(name).is_finite().fill_null(value=True).alias(f"real {name}") for name in reals)
    groups = finite.with_columns(place=pl.int_range(len(rows))).group_by(finite.columns).agg("place")
    objects, places = [], []
    for *pattern, at in groups.rows():
        as_text = [name for name, is_finite in zip(reals, pattern, strict=True) if not is_finite]
        objects.append(columns_as_json(rows[at].with_columns(pl.col(as_text).cast(pl.String))))
        places += at
    return pl.DataFrame({"place": places, "record": pl.concat(objects)}).sort("place")["record"]
