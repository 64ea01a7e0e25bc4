"""How sources are read: encoding, punctuation of CSV, spellings of values, names. Declarations; nothing is guessed."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

from async_loader.errors import ConfigurationError

# Texts for all columns, or for some: by column, and under EVERY_COLUMN for all others.
Texts: TypeAlias = Sequence[str] | Mapping[str, Sequence[str]]
EVERY_COLUMN = ""
# Blanks that stand between thousands where a space is named: no editor shows which of them it is.
_SPACES = " \u00a0\u202f"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The punctuation of CSV. Each mark is one ASCII character.

    quote: encloses fields, and is doubled inside them; empty where nothing is quoted.
    escape: stands before a character that is to be no mark; empty where there is none.
    comment: begins a line that is no record; empty where there is none.
    skip_lines: lines before the header; of a spreadsheet, rows.
    header: the names of the columns, of a source that has no header.

    Raises ConfigurationError where two marks are the same character.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    comment: str = ""
    skip_lines: int = 0
    header: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        marks = {name: getattr(self, name) for name in ("delimiter", "quote", "escape", "comment")}
        for name, mark in marks.items():
            if len(mark) > 1 or mark in ("\r", "\n", "\0") or not mark.isascii() or not (mark or name != "delimiter"):
                raise ConfigurationError(f"{_an(name)} is one ASCII character, not {mark!r}")
        if len({*self.marks}) < len(self.marks):
            listed = ", ".join(f"{name} {mark!r}" for name, mark in marks.items() if mark)
            raise ConfigurationError(f"each mark of CSV is another character, not {listed}")
        if self.skip_lines < 0:
            raise ConfigurationError(f"lines to skip are 0 or more, not {self.skip_lines}")

    @property
    def marks(self) -> str:
        """The characters that have a meaning."""
        return self.delimiter + self.quote + self.escape + self.comment

    @property
    def of_rejects(self) -> Dialect:
        """The punctuation of a file of rejects, whose first line is its header, and which may quote any value."""
        return Dialect(self.delimiter, self.quote or ("'" if self.delimiter == '"' else '"'))

    def quoted(self, text: str) -> str:
        """Return a field in quotes."""
        return self.quote + text.replace(self.quote, self.quote * 2) + self.quote

    def may_quote(self, text: bytes) -> bool:
        """Return whether there is a quote in the text."""
        return bool(self.quote) and self.quote.encode() in text


@dataclass(frozen=True, slots=True)
class Spellings:
    """How values are spelled, where that is otherwise than docs/pipes.md says.

    null: by column, texts that stand for null, as in `Format`; the texts for every column are the source's own.
    true, false: texts of a boolean.
    decimal: the mark before the decimals of a number. thousands: the mark between groups of three of its digits.
    date_format: by column, how its dates or times are written, as `strptime` has it.
    trim: whether blanks around a value are taken away.

    Raises ConfigurationError for what says nothing sure.
    """

    null: tuple[tuple[str, tuple[str, ...]], ...] = ()
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""
    date_format: tuple[tuple[str, tuple[str, ...]], ...] = ()
    trim: bool = False

    def __post_init__(self) -> None:
        for name, mark in {"decimal mark": self.decimal, "thousands separator": self.thousands}.items():
            if len(mark) > 1 or mark.isdigit() or mark in ("+", "-", "e", "E") or not (mark or "t" in name[:1]):
                raise ConfigurationError(f"a {name} is one character, and no digit or sign, not {mark!r}")
        if self.decimal == self.thousands:
            raise ConfigurationError(f"decimal mark and thousands separator are both {self.decimal!r}")
        if both := sorted({*self.true} & {*self.false}):
            raise ConfigurationError(f"{both[0]!r} cannot mean both true and false")

    @property
    def separators(self) -> str:
        """The characters that may stand between thousands."""
        return _SPACES if self.thousands and self.thousands in _SPACES else self.thousands

    def nulls(self, column: str) -> tuple[str, ...]:
        """Return the texts that stand for null in a column, beside those for every column."""
        return dict(self.null).get(column, ())

    def date_formats(self, column: str) -> tuple[str, ...]:
        """Return how the dates or times of a column are written; nothing where that is as everywhere."""
        return dict(self.date_format).get(column, ())

    @property
    def general_date_formats(self) -> tuple[str, ...]:
        """How dates and times are written in columns for which nothing else is said."""
        return self.date_formats(EVERY_COLUMN)


# Strict RFC 4180, and what docs/pipes.md says.
STANDARD_DIALECT, STANDARD_SPELLINGS = Dialect(), Spellings()
_BY_COLUMN = ("null", "date_format")
_Part = TypeVar("_Part", Dialect, Spellings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a source is read, under a name by which commands call it (`TABLE:bank=FILE`).

    base: csv, jsonl, json, parquet, arrow, xlsx, xlsm, xlsb, xls or ods; the first five may be followed by .gz, .bz2
        or .zst. By default the suffixes of the source's path say it; how it is packed need not be repeated.
    encoding: of text, as Python names it; by default UTF-8, or UTF-16 where its byte order mark stands at the front.
    delimiter, quote, escape, comment, skip_lines, header: of CSV, as in `Dialect`; the last two also of spreadsheets.
    null: texts that stand for null.
    true, false, decimal, thousands, date_format, trim: as in `Spellings`. Where only the thousands separator is said
        to be a point, the decimal mark is a comma.
    names: by column of the table, the name that the source has for it.
    ignore: names of the source that are not read; `*` is every name that the table does not know.

    null and date_format are texts for all columns, or by column. Raises ConfigurationError for what cannot be.
    """

    name: str = field(default="", kw_only=False)
    base: str = field(default="", kw_only=False)
    encoding: str = ""
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    comment: str = ""
    skip_lines: int = 0
    header: Sequence[str] = ()
    null: Texts = ()
    true: Sequence[str] = ()
    false: Sequence[str] = ()
    decimal: str = ""
    thousands: str = ""
    date_format: Texts = ()
    trim: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        try:
            self.dialect  # noqa: B018 - it is made to be checked
            self.spellings  # noqa: B018
            known_encoding(self.encoding)
        except ConfigurationError as error:
            if not self.name:
                raise
            raise ConfigurationError(f"format {self.name}: {error}") from error

    @classmethod
    def of_parts(cls, base: str, encoding: str, dialect: Dialect, spellings: Spellings) -> Format:
        """Return a format without names."""
        parts = {each.name: getattr(part, each.name) for part in (dialect, spellings) for each in fields(part)}
        return cls("", base, encoding=encoding, **parts | {name: dict(parts[name]) for name in _BY_COLUMN})

    @property
    def dialect(self) -> Dialect:
        """How the text is punctuated, if it is CSV."""
        return Dialect(
            self.delimiter, self.quote, self.escape, self.comment, self.skip_lines, _texts("header", self.header)
        )

    @property
    def spellings(self) -> Spellings:
        """The spellings; texts for null in every column are not among them."""
        return Spellings(
            null=tuple((name, texts) for name, texts in _by_column("null", self.null) if name != EVERY_COLUMN),
            true=_texts("true", self.true),
            false=_texts("false", self.false),
            decimal=self.decimal or ("," if self.thousands == "." else "."),
            thousands=self.thousands,
            date_format=_by_column("date_format", self.date_format),
            trim=self.trim,
        )

    @property
    def means_null(self) -> tuple[str, ...]:
        """The texts that stand for null in every column."""
        return dict(_by_column("null", self.null)).get(EVERY_COLUMN, ())


def known_encoding(name: str) -> str:
    """Return Python's own name of an encoding of text; nothing for nothing. ConfigurationError for what is none."""
    if not name:
        return ""
    try:
        found = codecs.lookup(name)
        codecs.getincrementaldecoder(name)
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise ConfigurationError(f"{name!r} is no encoding of text that Python knows, as cp1252 is one") from error
    return found.name


def as_facts(part: Dialect | Spellings) -> dict[str, Any]:
    """Return what it says otherwise than by default, as JSON has it: texts by column are an object."""
    facts = {}
    for each in fields(part):
        if (value := getattr(part, each.name)) != each.default:
            facts[each.name] = dict(value) if each.name in _BY_COLUMN else value
    return facts


def dialect_from(facts: Mapping[str, Any]) -> Dialect:
    """Return the dialect among facts that were JSON; as by default what they do not say."""
    return _from(Dialect, facts)


def spellings_from(facts: Mapping[str, Any]) -> Spellings:
    """Return the spellings among facts that were JSON; as by default what they do not say."""
    return _from(Spellings, facts)


def _from(kind: type[_Part], facts: Mapping[str, Any]) -> _Part:
    known: dict[str, Any] = {}
    for each in fields(kind):
        value = facts.get(each.name)
        if each.name in _BY_COLUMN and isinstance(value, dict):
            known[each.name] = _by_column(each.name, value)
        elif isinstance(each.default, tuple) and isinstance(value, list):
            known[each.name] = tuple(map(str, value))
        elif type(value) is type(each.default):
            known[each.name] = value
    try:
        return kind(**known)
    except ConfigurationError:
        # No version of the loader has written these.
        return kind()


def _texts(name: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ConfigurationError(f"{name} is a list of texts, not one text: [{given!r}]")
    return tuple(given)


def _by_column(name: str, given: Texts) -> tuple[tuple[str, tuple[str, ...]], ...]:
    texts = given if isinstance(given, Mapping) else {EVERY_COLUMN: given}
    return tuple(sorted((column, _texts(name, each)) for column, each in texts.items() if each))


def _an(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
