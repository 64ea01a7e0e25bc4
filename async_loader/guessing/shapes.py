"""The punctuation of CSV, the lines before its header, and whether it has one. Pure.

A delimiter is the mark that cuts most lines into the same number of fields. Trial cuts are made by the standard
library; the records of the sample are read by the loader's own reader.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from async_loader.formats import Dialect
from async_loader.guessing.counting import count_of
from async_loader.guessing.moments import TIME, moments_of
from async_loader.guessing.numbers import has_leading_zero, is_number

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", "^": "caret", "~": "tilde"}
# Marks that are taken only where they cut far better than the usual ones.
_RARE, _HANDICAP = "^~", 0.5
# Lines that trial cuts are made of.
_LINES = 1_000
# The part of a header's columns that has names.
_NAMED = 0.6
# Lines of a preamble that are kept to be shown.
_SHOWN = 20
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_FIELD_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of some text: its punctuation, and the names of its columns.

    names: of the header, or made up where it has none. preamble: the lines before the header.
    """

    dialect: Dialect
    names: tuple[str, ...]
    has_header: bool
    preamble: tuple[str, ...]
    evidence: tuple[str, ...]
    ambiguous: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A trial cut: rows with the line on which each begins, from 0; how many fields most have, and how many have it."""

    dialect: Dialect
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    width: int
    fitting: int

    @property
    def score(self) -> float:
        if not self.rows or self.width <= 1:
            return 0.0
        rare = _HANDICAP if self.dialect.delimiter in _RARE else 1.0
        return rare * self.fitting / len(self.rows) * (1 + math.log2(self.width) / 4)

    @property
    def wide(self) -> list[tuple[int, tuple[str, ...]]]:
        """The rows of the usual width."""
        return [(line, row) for line, row in self.rows if len(row) == self.width]


def shape_of(text: str) -> Shape:
    """Return the shape of text, which begins as its file does and ends with a line."""
    lines = _lines(text)
    dialect, notes = _escape(text)
    said = next((match[1] for line in lines[:1] if (match := _SEPARATOR_LINE.fullmatch(line.strip()))), "")
    body = lines[1:] if said else lines
    plain = [re.sub(r"\\.", "", line) for line in body] if dialect.escape else body
    cuts = [_cut(body, replace(dialect, delimiter=each, quote=_quote(plain, each))) for each in said or _DELIMITERS]
    best = max(cuts, key=lambda cut: cut.score)
    if not best.score and not said:
        best = _cut(body, replace(dialect, delimiter=","))
        evidence = ["delimiter: none of the usual ones cuts the lines alike, so each line is one field"]
    else:
        evidence = [_why(best, said)]
    if best.dialect.quote == "'":
        evidence.append("quotes: apostrophes stand around fields, and no double quotes")
    elif not best.dialect.quote:
        evidence.append("quotes: double quotes stand within fields, not around them")
    return _with_header(best, lines, [*evidence, *notes], 1 if said else 0)


def _why(cut: _Cut, said: str) -> str:
    name = _DELIMITERS.get(cut.dialect.delimiter, cut.dialect.delimiter)
    if said:
        return f"delimiter: {name}, as the first line says, which is for Excel alone"
    lines, fields = count_of(len(cut.rows), "line"), count_of(cut.width, "field")
    return f"delimiter: {name}; {cut.fitting:,} of {lines} with {fields} by it"


def _lines(text: str) -> list[str]:
    """Return the first physical lines, without their ends."""
    return [line.rstrip("\r\n") for line in re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text[: _LINES * 1000])][
        :_LINES
    ]


def _escape(text: str) -> tuple[Dialect, list[str]]:
    """Return the escape character, if there is one, with the line that says why."""
    of_marks = len(re.findall(r'(?<!\\)\\["\',;\t|]', text))
    doubled = len(re.findall(r'[^,;\t|\n]""[^,;\t|\n]', text))
    nulls = len(re.findall(r"(?:^|[,;\t|])\\N(?=[,;\t|\r\n]|\Z)", text, re.MULTILINE))
    if of_marks > doubled:
        null = f", beside {count_of(nulls, 'field')} of \\N" if nulls else ""
        return Dialect(escape="\\"), [f"escape: backslash; before {count_of(of_marks, 'mark')}{null}"]
    return Dialect(), []


def _quote(lines: Sequence[str], delimiter: str) -> str:
    """Return the mark around fields: double quotes, unless apostrophes stand there, or the quotes are within fields."""
    edge = re.escape(delimiter)
    counts = Counter[str]()
    misplaced = 0
    for line in lines:
        for mark in "\"'":
            if mark in line:
                counts[mark] += len(re.findall(rf"(?:^|{edge}){mark}[^{mark}]*{mark}(?={edge}|$)", line))
        if '"' in line:
            misplaced += len(re.findall(rf'[^"{edge}]"[^"{edge}]|^[^"{edge}]+"$', line))
    if counts["'"] and not counts['"'] and counts["'"] >= len(lines) / 4:
        return "'"
    return "" if misplaced and not counts['"'] else '"'


def _cut(lines: Sequence[str], dialect: Dialect) -> _Cut:
    rows: list[tuple[int, tuple[str, ...]]] = []
    before = csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(
        (f"{line}\n" for line in lines),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape or None,
    )
    line = 0
    try:
        for row in reader:
            if row:
                rows.append((line, tuple(row)))
            line = reader.line_num
    except csv.Error:
        pass
    finally:
        csv.field_size_limit(before)
    widths = Counter(len(row) for _, row in rows)
    # Of widths that are nearly as frequent, the larger one: letterheads have few fields.
    width = max(widths, key=lambda each: (widths[each] * (1 if each > 1 else 0.5), each), default=0)
    return _Cut(dialect, tuple(rows), width, widths[width])


def cut_width(lines: Sequence[str], dialect: Dialect) -> int:
    """Return how many fields all of these lines have; 0 where they have different numbers of them."""
    cut = _cut([line for line in lines if line], dialect)
    return cut.width if cut.rows and cut.fitting == len(cut.rows) else 0


def _with_header(cut: _Cut, lines: Sequence[str], evidence: list[str], before: int) -> Shape:
    dialect, comment = cut.dialect, _comment(cut)
    rows = [(line, row) for line, row in cut.wide if not (comment and row[0].startswith(comment))]
    filled = [(line, row) for line, row in rows if sum(map(bool, map(str.strip, row))) >= _NAMED * cut.width]
    first_line, first = next(iter(filled or rows), (0, ("",)))
    skipped = [line for line in lines[: first_line + before] if line.strip()]
    body = [row for line, row in rows if line > first_line]
    has_header, why, doubt = _header(first, body)
    if comment:
        evidence.append(f"comments: lines that begin with {comment}")
        dialect = replace(dialect, comment=comment)
    if [line for line in skipped if not (comment and line.startswith(comment))]:
        dialect = replace(dialect, skip_lines=first_line + before)
        evidence.append(
            f"preamble: {count_of(first_line + before, 'line')} before the first of {count_of(cut.width, 'field')}"
        )
    else:
        skipped = []
    evidence.append(why)
    names = first if has_header else tuple(f"column_{number}" for number in range(1, len(first) + 1))
    if has_header and len(set(names)) < len(names):
        # Named twice, the header cannot be read: its line is passed over, and each column gets a name of its own.
        names = _numbered(names)
        dialect = replace(dialect, skip_lines=first_line + before + 1, header=names)
        evidence.append("header: names a column twice, so names of their own are given with --header")
    elif not has_header:
        dialect = replace(dialect, header=names)
    return Shape(dialect, names, has_header, tuple(skipped[:_SHOWN]), tuple(evidence), (doubt,) if doubt else ())


def _comment(cut: _Cut) -> str:
    """Return the number sign where lines begin with it, and none is cut as the others are: that may be a record."""
    marked = [row for _, row in cut.rows if row[0].startswith("#")]
    return "#" if marked and all(len(row) != cut.width for row in marked) else ""


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    seen = Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(numbered)


def _header(first: Sequence[str], body: Sequence[Sequence[str]]) -> tuple[bool, str, str]:
    """Return whether the first row is a header, the line that says why, and what is in doubt."""
    if not body:
        is_data = any(_typed(cell) for cell in first)
        if is_data:
            return False, "header: none; the only line has numbers or dates", ""
        return True, "header: the only line of its width, taken for the header", ""
    for_it, against = 0, 0
    for cell, column in zip(first, zip(*body, strict=True), strict=True):
        kinds = Counter(_typed(each) for each in column if each.strip())
        usual = kinds.most_common(1)[0][0] if kinds else ""
        if usual and cell.strip() and (not _typed(cell) or _is_year_over(cell, column)):
            for_it += 1
        elif (usual and _typed(cell) == usual) or (not usual and kinds.total() > 1 and cell in column[:200]):
            against += 1
    if against > for_it:
        return False, f"header: none; the first line has {count_of(against, 'field')} like those below", ""
    if for_it:
        return True, f"header: yes; {for_it:,} of {count_of(len(first), 'name')} over numbers, dates or the like", ""
    return (
        True,
        "header: the first line, as all columns are text",
        "whether the first line is a header: all columns are text, so nothing shows it; taken for one",
    )


def _is_year_over(cell: str, column: Sequence[str]) -> bool:
    """Return whether a field is a year, and those below it are none: names of columns may be years."""
    return _YEAR.fullmatch(cell.strip()) is not None and not any(_YEAR.fullmatch(each.strip()) for each in column)


def _typed(cell: str) -> str:
    """Return what a field looks like, if it looks like anything but text or a code."""
    bare = cell.strip()
    if is_number(bare):
        return "code" if has_leading_zero(bare) else "number"
    if TIME.fullmatch(bare):
        return "time"
    return "" if not bare[:1].isalnum() or moments_of({bare: 1}) is None else "moment"
