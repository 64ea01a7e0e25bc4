"""Numbers as they are written: which mark stands before decimals, and which between thousands. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from async_loader.guessing.counting import count_of

_SIGN = r"[+-]?"
# A space between thousands may be one that does not break.
_SPACES = " \u00a0\u202f"
# Any spelling of a number.
_ANY = re.compile(
    rf"{_SIGN}(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+|[0-9]{{1,3}}(?:([.,' \u2019\u00a0\u202f])[0-9]{{3}})"
    rf"(?:\1[0-9]{{3}})*(?:[.,][0-9]*)?)(?:[eE][+-]?[0-9]+)?"
)
# Spellings that only one reading explains, with that reading: the mark before decimals, and that between thousands.
_SURE = (
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:\.[0-9]{{3}})+,[0-9]+"), ",", "."),
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:,[0-9]{{3}})+\.[0-9]+"), ".", ","),
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:\.[0-9]{{3}}){{2,}}"), ",", "."),
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:,[0-9]{{3}}){{2,}}"), ".", ","),
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:['\u2019][0-9]{{3}})+(?:\.[0-9]+)?"), ".", "'"),
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:[ \u00a0\u202f][0-9]{{3}})+,[0-9]+"), ",", " "),
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:[ \u00a0\u202f][0-9]{{3}})+\.[0-9]+"), ".", " "),
    (re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:[ \u00a0\u202f][0-9]{{3}})+"), "", " "),
    (re.compile(rf"{_SIGN}(?:0|[0-9]{{4,}})?,[0-9]+|{_SIGN}[0-9]+,(?:[0-9]{{1,2}}|[0-9]{{4,}})"), ",", ""),
    (re.compile(rf"{_SIGN}(?:0|[0-9]{{4,}})?\.[0-9]+|{_SIGN}[0-9]+\.(?:[0-9]{{1,2}}|[0-9]{{4,}})"), ".", ""),
)
# One mark with three digits after it: a thousand and some, or one and a fraction.
_UNSURE = re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}([.,])[0-9]{{3}}")
_DOUBTS = {".": "a point", ",": "a comma"}
# A sign of a currency, or of percent, beside a number.
_WITH_UNIT = re.compile(r"(?:[€$£%]|EUR|USD|CHF)\s*[+-]?[0-9][0-9.,' ]*|[+-]?[0-9][0-9.,' ]*\s*(?:[€$£%]|EUR|USD|CHF)")


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks within numbers, with how many values each rests on.

    doubt: a value that may be read in two ways, where nothing decides between them; else empty.
    """

    decimal: str = "."
    thousands: str = ""
    seen: int = 0
    against: int = 0
    doubt: str = ""

    @property
    def reader(self) -> Reader:
        """The reader of numbers that are written so."""
        return Reader(self.decimal, self.thousands)

    @property
    def evidence(self) -> str:
        """The line that says what the marks rest on; empty where they are the usual ones."""
        if self.decimal == "." and not self.thousands:
            return ""
        between = f", {_named(self.thousands)} between thousands" if self.thousands else ""
        against = f"; {self.against:,} against it" if self.against else ""
        seen = count_of(self.seen, "value")
        return f"numbers: {_named(self.decimal)} before decimals{between} (seen in {seen}{against})"


@dataclass(frozen=True)
class Reader:
    """Reads numbers with these marks, as a load does: strictly."""

    decimal: str
    thousands: str

    @property
    def _separators(self) -> str:
        return _SPACES if self.thousands == " " else self.thousands

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        between = f"[{re.escape(self._separators)}]"
        grouped = rf"|[0-9]{{1,3}}(?:{between}[0-9]{{3}})+" if self.thousands else ""
        mark = re.escape(self.decimal)
        return re.compile(rf"{_SIGN}(?:(?:[0-9]+{grouped})(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?")

    def read(self, text: str) -> Decimal | None:
        """Return the number; None where the text is none."""
        if not self._pattern.fullmatch(text):
            return None
        bare = text
        for mark in self._separators:
            bare = bare.replace(mark, "")
        return Decimal(bare.replace(self.decimal, "."))


def is_number(text: str) -> bool:
    """Return whether a text is a number in any spelling."""
    return _ANY.fullmatch(text) is not None


def has_unit(text: str) -> bool:
    """Return whether a text is a number with a sign of a currency or of percent."""
    return _WITH_UNIT.fullmatch(text) is not None


def has_leading_zero(text: str) -> bool:
    """Return whether a text is digits after a zero, as codes are written and numbers are not."""
    return len(text) > 1 and text[0] == "0" and text.isdecimal()


def marks_of(columns: Iterable[Mapping[str, int]], delimiter: str) -> Marks:
    """Return the marks of the numbers in some columns of numbers, each given as its texts with how often they occur.

    Where nothing decides, a file with semicolons between its fields is taken to have decimal commas, as others are not.
    """
    decimals, thousands, unsure = Counter[str](), Counter[str](), Counter[str]()
    doubts: dict[str, str] = {}
    # Of columns in which nothing decides: a text by its mark.
    alone: dict[str, str] = {}
    for column in columns:
        marks = {match[1] if (match := _UNSURE.fullmatch(text)) else "" for text in column}
        if len(marks) == 1 and (mark := marks.pop()):
            alone.setdefault(mark, next(iter(column)))
        for text, count in column.items():
            if (match := _UNSURE.fullmatch(text)) is not None:
                unsure[match[1]] += count
                doubts.setdefault(match[1], text)
                continue
            decimal, between = _sure(text)
            decimals[decimal] += count
            thousands[between] += count
    del decimals[""], thousands[""]
    return _chosen(decimals, thousands, unsure, (doubts, alone), delimiter)


def _sure(text: str) -> tuple[str, str]:
    return next(((decimal, between) for each, decimal, between in _SURE if each.fullmatch(text)), ("", ""))


def _chosen(
    decimals: Counter[str],
    thousands: Counter[str],
    unsure: Counter[str],
    doubts: tuple[Mapping[str, str], Mapping[str, str]],
    delimiter: str,
) -> Marks:
    anywhere, alone = doubts
    if decimals:
        decimal = max(decimals, key=lambda mark: decimals[mark])
    else:
        decimal = "," if unsure and delimiter == ";" else "."
    between = next((mark for mark, _ in thousands.most_common() if mark != decimal), "")
    other = {",": ".", ".": ","}[decimal]
    if not between and unsure[other]:
        between = other
    doubt = alone.get(between, "") if decimals else next(iter(anywhere.values()), "")
    seen = decimals[decimal] + unsure[other] + (thousands[between] if not decimals else 0)
    return Marks(decimal, between, seen, decimals.total() - decimals[decimal], doubt)


def doubt_about(marks: Marks) -> str:
    """Return the line that says what nothing decides; empty where all is sure."""
    if not marks.doubt:
        return ""
    mark = "." if "." in marks.doubt else ","
    whole = Decimal(marks.doubt.replace(mark, ""))
    part = Decimal(marks.doubt.replace(mark, "."))
    taken = part if marks.decimal == mark else whole
    return (
        f"{marks.doubt} may be {whole} or {part}: no value like it shows whether {_DOUBTS[mark]} divides thousands or "
        f"begins decimals; taken for {taken}"
    )


def _named(mark: str) -> str:
    return {".": "a point", ",": "a comma", " ": "a space", "'": "an apostrophe"}.get(mark, mark)
