"""Values as a source spells them, in the spelling that `parsing` reads: exactly or not at all. Pure.

What cannot be respelled is a fault. Numbers and booleans are respelled by whole columns, dates once for each distinct
text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from async_loader.columns import Column, Type
from async_loader.formats import STANDARD_SPELLINGS, Spellings
from async_loader.records.parsing import notes_of, null_codes, parse_text, shown_text, with_faults

_NUMBERS = (Type.INTEGER, Type.REAL, Type.DECIMAL)
# The types that formats of dates are about: the code of what is not of one, and how a value is written that is read.
_NOT_OF_FORMAT = {Type.DATE: "not_date", Type.DATETIME: "not_datetime", Type.TIME: "not_time"}
_WRITTEN: Mapping[Type, Callable[[datetime], str]] = {
    Type.DATE: lambda value: value.date().isoformat(),
    Type.DATETIME: lambda value: value.isoformat(" "),
    Type.TIME: lambda value: value.time().isoformat(),
}
_STANDARD_BOOLEANS = {True: ("true", "t", "1"), False: ("false", "f", "0")}
# Directives of `strptime` that say a time, and those that say a date.
_TIME = re.compile(r"%[HIMSfpXc]")
_DATE = re.compile(r"%[aAbBdjmUuVwWxYyGc]")


class Respelled(NamedTuple):
    """A column's text in the spelling that is read. Where it `is_fault`, it is null; `hint` follows what messages show
    of it.
    """

    text: pl.Series
    is_fault: pl.Series | None = None
    code: str = ""
    hint: str = ""


def read_text(
    text: pl.Series,
    column: Column,
    spellings: Spellings = STANDARD_SPELLINGS,
    *,
    nul: bool = True,
    means_null: Collection[str] = (),
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return what `parse_text` does, of values that are spelled in these ways."""
    if spellings == STANDARD_SPELLINGS:
        return parse_text(text, column, nul=nul, means_null=means_null)
    if spellings.trim:
        text = _trimmed(text)
    means_null = [*means_null, *spellings.nulls(column.name)]
    is_null = text.is_in(means_null).fill_null(value="" in means_null)
    read = _respelled(pl.select(pl.when(~is_null).then(text)).to_series(), column, spellings)
    values, faults = parse_text(read.text, column, nul=nul)
    codes = null_codes(len(text)) if faults is None else faults["code"]
    written = shown_text(text)
    shown = (
        written + notes_of(faults, column, len(text)) if column.convert is None or faults is None else faults["shown"]
    )
    if read.is_fault is not None:
        codes = codes.zip_with(~read.is_fault, pl.Series([read.code]))
        shown = shown.zip_with(~read.is_fault, written + read.hint)
    if is_null.any():
        codes = codes.zip_with(~is_null, pl.Series([None if column.nullable else "missing"], dtype=pl.String))
    return with_faults(values, codes, lambda: shown)


def _trimmed(text: pl.Series) -> pl.Series:
    """Return the text without blanks around it; null where nothing else is there."""
    bare = text.str.strip_chars()
    return pl.select(pl.when(bare != "").then(bare)).to_series()


def trimmed(text: pl.Series, column: Column) -> pl.Series:
    """Return text of a source that knows null, without blanks around it. Where nothing else is there it is what a field
    of CSV with nothing in it is: null, but for texts that may not be null.
    """
    bare = text.str.strip_chars()
    if column.type in (Type.TEXT, Type.OTHER) and not column.nullable:
        return bare
    return pl.select(pl.when(bare != "").then(bare)).to_series()


def is_respelled(column: Column, spellings: Spellings) -> bool:
    """Return whether text of a column is spelled in another way than everywhere."""
    if column.type in _NUMBERS:
        return spellings.decimal != "." or bool(spellings.thousands)
    if column.type is Type.BOOLEAN:
        return bool(spellings.true or spellings.false)
    return bool(date_formats(column, spellings))


def _respelled(text: pl.Series, column: Column, spellings: Spellings) -> Respelled:
    """Return the column's text as `parse_text` reads it."""
    if not is_respelled(column, spellings):
        return Respelled(text)
    if column.type in _NUMBERS:
        return _kept(text, _number(text, spellings), "not_number")
    if column.type is Type.BOOLEAN:
        return _kept(text, _boolean(text, spellings), "not_boolean")
    formats = date_formats(column, spellings)
    hint = f", written as {' or '.join(formats)}"
    return _kept(text, _by_distinct(text, _reader(column.type, formats)), _NOT_OF_FORMAT[column.type], hint)


def has_date_formats(kind: Type) -> bool:
    """Return whether columns of this type hold what formats of dates are about."""
    return kind in _NOT_OF_FORMAT


def date_formats(column: Column, spellings: Spellings) -> tuple[str, ...]:
    """Return how the column's dates or times are written; nothing where that is as everywhere, or it has none."""
    if column.type not in _NOT_OF_FORMAT:
        return ()
    own = spellings.date_formats(column.name)
    if own or not spellings.general_date_formats:
        return own
    return _fitting(column.type, spellings.general_date_formats)


@lru_cache
def _fitting(kind: Type, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the formats that are said of all columns which are about what this type holds."""
    dates = tuple(each for each in formats if not _TIME.search(each))
    match kind:
        case Type.DATE:
            return dates
        case Type.DATETIME:
            return tuple(each for each in formats if _TIME.search(each) and _DATE.search(each)) or dates
    return tuple(each for each in formats if not _DATE.search(each))


def _kept(text: pl.Series, read: pl.Series, code: str, hint: str = "") -> Respelled:
    """Return what was read; a fault is what was something, and became nothing."""
    lost = pl.select(read.is_null() & (text != "").fill_null(value=False)).to_series()
    is_empty = pl.select(read.is_null() & (text == "").fill_null(value=False)).to_series()
    if is_empty.any():
        read = read.zip_with(~is_empty, pl.Series([""]))
    return Respelled(read, lost if lost.any() else None, code, hint)


def _number(text: pl.Series, spellings: Spellings) -> pl.Series:
    """Return numbers with a point before the decimals and nothing between thousands."""
    between = f"[{re.escape(spellings.separators)}]" if spellings.thousands else ""
    whole = rf"(?:[0-9]+|[0-9]{{1,3}}(?:{between}[0-9]{{3}})+)" if between else "[0-9]+"
    mark = re.escape(spellings.decimal)
    pattern = rf"^[+-]?(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?$"
    read = pl.select(pl.when(text.str.contains(pattern)).then(text)).to_series()
    if between:
        read = read.str.replace_all(between, "")
    return read.str.replace(spellings.decimal, ".", literal=True)


def _boolean(text: pl.Series, spellings: Spellings) -> pl.Series:
    """Return booleans as they are spelled elsewhere. What is not said of one of the two stays as it is there."""
    meant = {True: spellings.true, False: spellings.false}
    known = {each: str(value).lower() for value, texts in meant.items() for each in texts}
    read = text.replace_strict(known, default=None, return_dtype=pl.String)
    if "" in known:
        read = read.zip_with(text.is_not_null(), pl.Series([known[""]]))
    kept = [each for value, texts in meant.items() if not texts for each in _STANDARD_BOOLEANS[value]]
    if kept:
        is_standard = text.str.to_lowercase().is_in(kept).fill_null(value=False)
        read = read.zip_with(read.is_not_null() | ~is_standard, text)
    return read


def _by_distinct(text: pl.Series, read: Callable[[str], str | None]) -> pl.Series:
    """Return what is read from each text, which is done once for each distinct one."""
    distinct = text.drop_nulls().unique()
    values = pl.Series([read(each) for each in distinct], dtype=pl.String)
    return text.replace_strict(distinct, values, default=None, return_dtype=pl.String)


def _reader(kind: Type, formats: Sequence[str]) -> Callable[[str], str | None]:
    def read(text: str) -> str | None:
        for each in formats:
            try:
                value = datetime.strptime(text, each)  # noqa: DTZ007 - a zone is the column's, unless the text has one
            except ValueError:
                continue
            return _WRITTEN[kind](value)
        return None

    return read
