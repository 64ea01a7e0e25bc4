"""Text to typed values, exactly or not at all. Pure.

A value is taken where its text is exactly one (docs/pipes.md has the spellings); everything else is a fault with a
code. Nothing is trimmed, rounded to an integer or cut off. A column's values, its codes and what messages show of it
are series as long as the batch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from typing import Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.spellings import IN_GAP, MANY_PLACES, SPECIAL_CODES, SPELLINGS
from async_loader.records.times import FINE, duration_texts, time_texts

# Reals hold every integer up to here; above, an integer may fall between two of them.
EXACT_REAL = 2.0**53
# The least real above zero.
LEAST_REAL = math.ulp(0.0)

# Characters of a value that a message shows; the record as read has it whole.
_CLIPPED_TO = 60

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_NOT_ZERO = re.compile(r"[^eE]*[1-9]")


def parse_text(
    text: pl.Series, column: Column, *, nul: bool = True, means_null: Collection[str] = ()
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return the column's values, and its faults (as in `Batch`) or None where there are none.

    A null in `text` is a field with nothing in it, not even quotes: null for a nullable column, otherwise `""`. `nul`
    says whether there can be a NUL in it at all. Text that is one of `means_null` is null, or missing.
    """
    if means_null and (meant := text.is_in(list(means_null)).fill_null(value="" in means_null)).any():
        return _parsed_around(text, column, meant)
    if text.null_count() and not column.nullable:
        text = text.fill_null("")
    if column.convert is not None:
        from async_loader.records.conversion import converted

        return converted(column, text.to_list())
    if column.type in (Type.TEXT, Type.OTHER):
        return with_faults(text, nul_codes(text), lambda: shown_text(text)) if nul else (text, None)
    if column.type is Type.INTEGER:
        values = text.cast(pl.Int64, strict=False)
        if values.null_count() == text.null_count():
            return values, None
        return _coded(text, values, values.is_null(), _integer_code)
    if column.type is not Type.REAL:
        return _spelled(text, column)
    values = text.cast(pl.Float64, strict=False)
    # Neither zero, which may be an underflow, nor infinite or NaN, nor where not every integer is a real.
    certain = values.abs().is_between(LEAST_REAL, EXACT_REAL, closed="left")
    return _coded(text, values, ~certain.fill_null(value=False), real_code)


def _parsed_around(text: pl.Series, column: Column, meant: pl.Series) -> tuple[pl.Series, pl.DataFrame | None]:
    """Parse text as `parse_text` does, where some of it means null."""
    values, faults = parse_text(pl.select(pl.when(~meant).then(text)).to_series(), column)
    codes = null_codes(len(text)) if faults is None else faults["code"]
    codes = codes.zip_with(~meant, pl.Series([None if column.nullable else "missing"], dtype=pl.String))
    return with_faults(values, codes, lambda: shown_text(text) if faults is None else faults["shown"])


def _spelled(text: pl.Series, column: Column) -> tuple[pl.Series, pl.DataFrame | None]:
    """Parse a column of a type that has spellings of its own."""
    spelling = SPELLINGS[column.type]
    values = spelling.plain(text, column)
    places = (values.is_null() & text.is_not_null()).arg_true()
    if not len(places):
        return values, None
    odd, codes = [], []
    for written in text.gather(places):
        value, code = spelling.odd(written, column)
        odd.append(value)
        codes.append(code if code is None else _unreadable(written, code))
    values = values.scatter(places, pl.Series(odd, dtype=column.dtype))
    all_codes = null_codes(len(text)).scatter(places, pl.Series(codes, dtype=pl.String))
    return with_notes(values, all_codes, lambda: shown_text(text), column)


def with_notes(
    values: pl.Series, codes: pl.Series, shown: Callable[[], pl.Series], column: Column
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return values and faults as `with_faults` does, with the code of each special fault, and a note that says why."""
    special = codes.is_in(list(SPECIAL_CODES)).fill_null(value=False)
    if not special.any():
        return with_faults(values, codes, shown)
    notes = codes.replace_strict(_notes(column), default="", return_dtype=pl.String)
    codes = codes.replace(SPECIAL_CODES)
    return with_faults(values, codes, lambda: shown() + notes)


def _notes(column: Column) -> dict[str, str]:
    """Return what messages say after values with special faults."""
    places = f"{column.places} decimal place{'' if column.places == 1 else 's'}"
    return {
        IN_GAP: f", which does not exist in time zone {column.zone} (a DST gap)",
        FINE: " (finer than a microsecond)",
        MANY_PLACES: f" (at most {places})",
    }


def notes_of(fault: pl.DataFrame | None, column: Column, size: int) -> pl.Series:
    """Return the notes at the ends of what messages show of that many values; empty where there is none."""
    if fault is None:
        return pl.Series([""], dtype=pl.String).new_from_index(0, size)
    note = pl.lit("")
    for each in _notes(column).values():
        note = pl.when(fault["shown"].str.ends_with(each)).then(pl.lit(each)).otherwise(note)
    return pl.select(pl.when(fault["code"].is_not_null()).then(note).otherwise(pl.lit(""))).to_series()


def with_faults(
    values: pl.Series, codes: pl.Series, shown: Callable[[], pl.Series]
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return the values, made null where they have a code, and the faults. `shown` gives what messages show of the
    values; it is asked only where there is a fault.
    """
    if codes.null_count() == len(codes):
        return values, None
    kept = values.zip_with(codes.is_null(), pl.Series([None], dtype=values.dtype))
    return kept, pl.DataFrame({"code": codes.cast(pl.String), "shown": shown()})


def shown_text(text: pl.Series) -> pl.Series:
    """Return text as messages show it: in quotes, and no more than its beginning."""
    read = pl.col("text")
    long = read.str.len_chars() > _CLIPPED_TO
    beginning = pl.when(long).then(read.str.head(_CLIPPED_TO) + "…").otherwise(read)
    quote = pl.lit("'")
    return text.to_frame("text").select(pl.concat_str(quote, beginning, quote)).to_series()


def shown_values(values: pl.Series) -> pl.Series:
    """Return values of any type as messages show them."""
    match values.dtype:
        case pl.String():
            return shown_text(values)
        case pl.Binary():
            return shown_text(values.bin.encode("base64"))
        case pl.Duration():
            return duration_texts(values)
        case pl.Time():
            return time_texts(values)
    return values.cast(pl.String)


def clipped(text: str) -> str:
    """Return no more of one text than messages show."""
    return text if len(text) <= _CLIPPED_TO else text[:_CLIPPED_TO] + "…"


def nul_codes(text: pl.Series) -> pl.Series:
    """Return `nul_character` where the text has a NUL, at which programs that read the database cut it off."""
    has_nul = text.str.contains("\0", literal=True)
    return pl.select(pl.when(has_nul).then(pl.lit("nul_character"))).to_series()


def real_code(read: str, value: float | None) -> str | None:
    """Return the code of what is wrong with a real, read as `value` from the decimal number `read`, if anything."""
    if value is None:
        return _unreadable(read, "not_number")
    if _NOT_FINITE.fullmatch(read):
        return "not_finite"
    overflow = abs(value) == float("inf")
    underflow = value == 0 and _NOT_ZERO.match(read)
    if overflow or underflow or (_INTEGER.fullmatch(read) and Decimal(read) != Decimal(value)):
        return "out_of_range"
    return None


def _integer_code(read: str, value: int | None) -> str | None:
    if value is None and _INTEGER.fullmatch(read):
        return "out_of_range"
    return _unreadable(read, "not_integer")


def _unreadable(read: str, code: str) -> str:
    if not read:
        return "missing"
    return "nul_character" if "\0" in read else code


def _coded(
    text: pl.Series,
    values: pl.Series,
    doubtful: pl.Series,
    code_of: Callable[[str, Any], str | None],
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Ask `code_of` about the doubtful values alone: they are few, and to distinguish faults is slow."""
    places = (doubtful & text.is_not_null()).arg_true()
    if not len(places):
        return values, None
    codes = map(code_of, text.gather(places), values.gather(places))
    doubtful_codes = pl.Series(codes, dtype=pl.String)
    return with_faults(values, null_codes(len(text)).scatter(places, doubtful_codes), lambda: shown_text(text))


def null_codes(length: int) -> pl.Series:
    """Return that many codes of values with which nothing is wrong."""
    return pl.Series([None], dtype=pl.String).new_from_index(0, length)


def text_of_bytes(column: Iterable[bytes | None]) -> tuple[pl.Series, pl.Series]:
    """Return bytes as text, with escapes for invalid UTF-8, and for each value whether it was invalid."""
    texts: list[str | None] = []
    bad = []
    for value in column:
        text = None if value is None else value.decode(errors="backslashreplace")
        texts.append(text)
        bad.append(text is not None and text.encode() != value)
    return pl.Series(texts, dtype=pl.String), pl.Series(bad, dtype=pl.Boolean)
