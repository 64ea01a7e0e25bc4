"""What the columns of a sample hold: types, nulls, spellings. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from async_loader.columns import Type
from async_loader.guessing import moments
from async_loader.guessing.counting import count_of
from async_loader.guessing.inspected import InspectedColumn
from async_loader.guessing.moments import DURATION, TIME, Moments, moments_of
from async_loader.guessing.numbers import Marks, Reader, doubt_about, has_leading_zero, has_unit, is_number, marks_of

# The part of the values that a type must fit; and that numbers must, where others are numbers in another spelling.
_MOST, _HALF = 0.8, 0.5
# Values that are shown, and misfits that are kept.
_EXAMPLES, _MISFITS = 3, 20
# Characters of a value that is shown.
_SHOWN = 60
# Texts that often stand for null, in lower case; the first ones are never words.
_SURE_NULLS = ("\\n",)
_NULLS = frozenset(
    (
        *_SURE_NULLS,
        *(
            "null",
            "(null)",
            "<null>",
            "none",
            "nil",
            "nan",
            "n/a",
            "na",
            "#n/a",
            "#nv",
            "k.a.",
            "k. a.",
            "-",
            "--",
            "---",
        ),
        *("?", ".", "unknown", "unbekannt", "n.a.", "n. a.", "keine angabe", "nicht vorhanden", "leer", "void", "s.o."),
    )
)
_BOOLEANS = (
    ("true", "false"),
    ("ja", "nein"),
    ("yes", "no"),
    ("wahr", "falsch"),
    ("vrai", "faux"),
    ("oui", "non"),
    ("si", "no"),
    ("sí", "no"),
    ("on", "off"),
    ("t", "f"),
    ("y", "n"),
    ("j", "n"),
)
# Words that are booleans even where only one of the pair occurs.
_WORDS = frozenset({"true", "false", "ja", "nein", "yes", "wahr", "falsch", "vrai", "faux"})
_STANDARD = frozenset({"true", "false", "t", "f", "1", "0"})
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\}?")
# Names of columns that hold dates, of which digits alone may be some.
_OF_DATES = re.compile(r"date|datum|day|tag|stichtag|valuta|since|until|from|_at$", re.IGNORECASE)
_LARGEST = 2**63 - 1
# Digits up to which a number that a file has as a float is exact enough for a decimal.
_FLOAT_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Look:
    """A column as it was read: its distinct texts with how often they occur, blanks around them taken away.

    nulls: records without a value. native: the types of Python, for a format that has types. padded: values with blanks
    around them.
    """

    name: str
    texts: Counter[str]
    nulls: int
    native: frozenset[type] = frozenset()
    padded: int = 0
    longest: int = 0
    moments: Moments | None = field(default=None)


def look_at(name: str, values: Sequence[Any]) -> Look:
    """Return a column as its values look."""
    texts, nulls, padded, longest, native = Counter[str](), 0, 0, 0, set[type]()
    for value, count in Counter(value if isinstance(value, str) else _Plain(value) for value in values).items():
        text = value if isinstance(value, str) else value.text
        if text is None or not text.strip():
            nulls += count
            continue
        native.add(str if isinstance(value, str) else value.type)
        bare = text.strip()
        padded += count * (bare != text)
        longest = max(longest, len(text))
        texts[bare] += count
    return Look(name, texts, nulls, frozenset(native), padded, longest)


class _Plain:
    """A value that is no text, as one that can be counted."""

    def __init__(self, value: Any) -> None:
        self.type = type(value)
        self.text = None if value is None else _shown(value)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Plain) and (self.type, self.text) == (other.type, other.text)


def _shown(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**_FLOAT_DIGITS:
        return str(int(value))
    return str(value) if isinstance(value, Decimal) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def inspect_columns(
    looks: Sequence[Look], delimiter: str, *, is_json: bool
) -> tuple[list[InspectedColumn], Marks, list[str]]:
    """Return the columns, the marks of their numbers, and what is ambiguous about them.

    is_json: whether an integer is no text, as JSON has it.
    """
    dated = _with_moments(looks)
    numeric = [_values(look) for look in dated if look.moments is None and str in look.native and _is_numeric(look)]
    marks = marks_of(numeric, delimiter)
    columns = [_column(look, marks) for look in dated]
    if is_json:
        texts = {look.name for look in looks if str in look.native}
        columns = [_without_integers_in_quotes(column) if column.name in texts else column for column in columns]
    doubts = [doubt for doubt in (doubt_about(marks), _doubt_about_dates(dated), _doubt_about_years(dated)) if doubt]
    return columns, marks, doubts


def _values(look: Look) -> dict[str, int]:
    """Return the texts of a column but for those that may stand for null."""
    return {text: count for text, count in look.texts.items() if text.lower() not in _NULLS}


def _is_numeric(look: Look) -> bool:
    values = _values(look)
    numbers = sum(count for text, count in values.items() if is_number(text))
    return numbers >= _MOST * sum(values.values()) > 0


def _with_moments(looks: Sequence[Look]) -> list[Look]:
    """Return the columns with their dates. Where day and month cannot be distinguished, another column may decide."""
    dated = []
    for look in looks:
        values = _values(look)
        is_text = str in look.native
        dated.append(replace(look, moments=moments_of(values) if values and is_text else None))
    orders = {moments.day_comes_first(each.formats[0]) for look in dated if _is_sure(each := look.moments) and each}
    if orders != {False}:
        return dated
    return [
        replace(look, moments=moments.swapped(look.moments))
        if look.moments is not None and look.moments.doubt and "." not in look.moments.doubt
        else look
        for look in dated
    ]


def _is_sure(dates: Moments | None) -> bool:
    return (
        dates is not None
        and bool(dates.formats)
        and not dates.doubt
        and moments.day_comes_first(dates.formats[0]) is not None
        and not moments.has_year_first(dates.formats[0])
    )


def _doubt_about_years(looks: Sequence[Look]) -> str:
    """Return the line about years of two digits, whose century `strptime` chooses."""
    names = [
        look.name for look in looks if look.moments is not None and any("%y" in each for each in look.moments.formats)
    ]
    return (
        f"years of two digits in {', '.join(names)}: 69 to 99 are read as 1969 to 1999, others as 20.." if names else ""
    )


def _doubt_about_dates(looks: Sequence[Look]) -> str:
    sure = next((look.name for look in looks if _is_sure(look.moments)), "")
    for look in looks:
        if look.moments is not None and look.moments.doubt and not (sure and "." in look.moments.doubt):
            form = look.moments.formats[0]
            order = "the day" if moments.day_comes_first(form) else "the month"
            doubt = f"{look.moments.doubt} in {look.name} may begin with the day or the month"
            shows = f"no value of it shows which, but {sure} does" if sure else "no value of the sample shows which"
            return f"{doubt}: {shows}; taken for {order}, {form}"
    return ""


def _column(look: Look, marks: Marks) -> InspectedColumn:
    values = _values(look)
    texts, total = Counter(values), sum(values.values())
    plain = InspectedColumn(look.name, Type.TEXT, nulls=look.nulls, padded=look.padded, longest=look.longest)
    if not total:
        nulls = dict(look.texts) if str in look.native else {}
        return replace(plain, null_texts=nulls, nulls=look.nulls + look.texts.total(), notes=("has no value",))
    for guess in (_boolean, _moment, _number, _uuid, _time, _nested):
        if (column := guess(plain, look, texts, marks)) is not None:
            break
    else:
        return _text(plain, look)
    # Of a column of numbers alone, what is none is no text that an option could name.
    null_texts = {text: count for text, count in look.texts.items() if text.lower() in _NULLS and str in look.native}
    return replace(
        column,
        null_texts=null_texts,
        nulls=look.nulls + sum(null_texts.values()),
        values=total,
        distinct=len(values),
        examples=_examples(texts),
    )


def _examples(texts: Counter[str]) -> tuple[str, ...]:
    return tuple(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..." for text, _ in texts.most_common(_EXAMPLES))


def _text(column: InspectedColumn, look: Look) -> InspectedColumn:
    """Return the column as text, in which only what is never a word stands for null."""
    sure = {text: count for text, count in look.texts.items() if text.lower() in _SURE_NULLS}
    texts = Counter({text: count for text, count in look.texts.items() if text not in sure})
    maybe = [text for text in texts if text.lower() in _NULLS]
    notes = [f"{maybe[0]!r} may stand for null, or be text"] if maybe else []
    codes = sum(count for text, count in texts.items() if has_leading_zero(text))
    if codes:
        notes.append(f"leading zeros in {count_of(codes, 'value')}: codes, and no numbers")
    if (units := [text for text in texts if has_unit(text)]) and len(units) > _MOST * len(texts):
        notes.append(f"{units[0]!r} is a number with a sign, which no column of numbers takes")
    return replace(
        column,
        values=texts.total(),
        null_texts=sure,
        nulls=look.nulls + sum(sure.values()),
        minimum=_clipped(min(texts, default=None)),
        maximum=_clipped(max(texts, default=None)),
        distinct=len(texts),
        examples=_examples(texts),
        notes=tuple(notes),
    )


def _clipped(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _fitting(
    column: InspectedColumn, texts: Counter[str], read: Mapping[str, Any], least: float = _MOST
) -> InspectedColumn | None:
    """Return the column with its least and greatest value, and what does not fit; None where more does not than may."""
    if sum(texts[text] for text in read) < least * texts.total():
        return None
    misfits = Counter({text: count for text, count in texts.items() if text not in read})
    ordered = sorted(read, key=lambda text: read[text])
    return replace(
        column, minimum=_clipped(ordered[0]), maximum=_clipped(ordered[-1]), misfits=dict(misfits.most_common(_MISFITS))
    )


def _boolean(column: InspectedColumn, look: Look, texts: Counter[str], _: Marks) -> InspectedColumn | None:
    if look.native == {bool}:
        return replace(column, type=Type.BOOLEAN, true=("true",), false=("false",))
    lower = {text.lower() for text in texts}
    for true, false in _BOOLEANS:
        seen = lower & {true, false}
        if (seen == {true, false} or seen & _WORDS) and sum(
            count for text, count in texts.items() if text.lower() in seen
        ) >= _MOST * texts.total():
            known = {each: [text for text in texts if text.lower() == each] for each in (true, false)}
            read = {text: each == true for each, several in known.items() for text in several}
            fitting = _fitting(column, texts, read)
            assert fitting is not None
            spelled = (known[true] or [_like(true, texts)], known[false] or [_like(false, texts)])
            return replace(fitting, type=Type.BOOLEAN, true=tuple(spelled[0]), false=tuple(spelled[1]))
    return None


def _like(text: str, texts: Counter[str]) -> str:
    """Return the other word of a pair, with capitals where the words that occur have them."""
    first = next(iter(texts))
    return text.upper() if first.isupper() and len(first) > 1 else text.capitalize() if first[:1].isupper() else text


def is_standard_boolean(column: InspectedColumn) -> bool:
    """Return whether the texts of a boolean are read without an option."""
    return {text.lower() for text in (*column.true, *column.false)} <= _STANDARD


def _moment(column: InspectedColumn, look: Look, texts: Counter[str], _: Marks) -> InspectedColumn | None:
    dates = look.moments
    if dates is None:
        return None
    read = {text: moment for text in texts if (moment := dates.read(text)) is not None}
    fitting = _fitting(column, texts, read)
    if fitting is None:
        return None
    formats = dates.formats
    if moments.is_digits_alone(dates) and not _OF_DATES.search(look.name):
        note = f"digits that are dates too, as {formats[0]} writes them; the name does not say so"
        return replace(fitting, type=Type.INTEGER, date_formats=formats, notes=(note,))
    return replace(fitting, type=dates.type, date_formats=formats)


def _number(column: InspectedColumn, look: Look, texts: Counter[str], marks: Marks) -> InspectedColumn | None:
    if any(has_leading_zero(text) for text in texts):
        return None
    reader = Reader(".", "") if str not in look.native else marks.reader
    read = {text: number for text in texts if (number := reader.read(text)) is not None}
    fitting = _fitting(column, texts, read, _HALF if _is_numeric(look) else _MOST) if read else None
    if fitting is None:
        return None
    numbers = list(read.values())
    exponents = [number.as_tuple().exponent for number in numbers]
    places = max((-each for each in exponents if isinstance(each, int)), default=0)
    whole = max(max(number.adjusted() + 1, 1) for number in numbers)
    # A float of a file that is whole everywhere is an integer there.
    if places <= 0 or all(number == number.to_integral_value() for number in numbers):
        is_integer = all(abs(number) <= _LARGEST for number in numbers)
        is_plain = is_integer and not any("e" in text.lower() for text in read)
        kind = Type.INTEGER if is_plain else Type.DECIMAL
        return replace(fitting, type=kind, digits=whole, notes=_zero_or_one(texts))
    kind = Type.REAL if whole + places > _FLOAT_DIGITS or any("e" in text.lower() for text in read) else Type.DECIMAL
    return replace(fitting, type=kind, digits=whole + places, places=places)


def _without_integers_in_quotes(column: InspectedColumn) -> InspectedColumn:
    """Return a column of JSON, of whose integers some are text: a decimal may be text, and an integer may not."""
    if column.type is not Type.INTEGER:
        return column
    return replace(column, type=Type.DECIMAL, notes=("integers that are text, which a column of integers refuses",))


def _zero_or_one(texts: Counter[str]) -> tuple[str, ...]:
    return ("0 and 1 alone: a boolean, or a number",) if set(texts) == {"0", "1"} else ()


def _uuid(column: InspectedColumn, _: Look, texts: Counter[str], __: Marks) -> InspectedColumn | None:
    fitting = _fitting(column, texts, {text: text for text in texts if _UUID.fullmatch(text)} or {"": ""})
    return None if fitting is None else replace(fitting, type=Type.UUID)


def _time(column: InspectedColumn, _: Look, texts: Counter[str], __: Marks) -> InspectedColumn | None:
    for kind, pattern in ((Type.TIME, TIME), (Type.DURATION, DURATION)):
        read = {text: _parts(text) for text in texts if pattern.fullmatch(text)}
        if read and len(read) == len(texts) and (fitting := _fitting(column, texts, read)) is not None:
            return replace(fitting, type=kind)
    return None


def _parts(text: str) -> list[Decimal]:
    return [Decimal(part) for part in text.split(":")]


def _nested(column: InspectedColumn, look: Look, texts: Counter[str], _: Marks) -> InspectedColumn | None:
    is_nested = look.native & {dict, list} or all(text[0] in "[{" and _is_json(text) for text in texts)
    return replace(column, type=Type.JSON) if is_nested else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
