"""A model for a file that no model exists for, as code to paste, and the table that it would be. Pure."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from django.db import models

from async_loader import Column, Inspected, InspectedColumn, Table, Type
from async_loader.contrib.django.inspection.fit import EXACT, GENERATED, NEAR, ColumnFit, Fit

# Stands for the app into which the model is pasted.
APP = "myapp"
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "o", "å": "a"})
# Names of columns that hold keys end so, as far as their values are all different.
_OF_KEYS = re.compile(r"(^|_)(id|nr|no|number|nummer|code|key|sku|uuid|guid|isin|iban|slug)$")
_LONGEST_KEY, _LONGEST_CHAR = 64, 255
_SMALL = 2**31
# Digits before the point that a column of decimals has beyond those that were seen.
_MORE_DIGITS = 4
_MOST_DIGITS = 38
# What a model has by itself, or what stands between the parts of a lookup.
_TAKEN = frozenset(dir(models.Model)) | {"objects"}
_PLAIN_FIELDS = {
    Type.REAL: "FloatField",
    Type.BOOLEAN: "BooleanField",
    Type.DATE: "DateField",
    Type.DATETIME: "DateTimeField",
    Type.UUID: "UUIDField",
    Type.TIME: "TimeField",
    Type.DURATION: "DurationField",
    Type.BINARY: "BinaryField",
}


@dataclass(frozen=True, slots=True)
class ModelClass:
    """A model to paste: its code, its label, the table that stands for it, and how the file fits it."""

    code: str
    label: str
    table: Table
    fit: Fit


def model_class_of(inspected: Inspected, zone: str | None) -> ModelClass:
    """Return a model for a file. zone: the time zone of its times, or None where they have none."""
    inspected = replace(inspected, columns=tuple(map(_as_said, inspected.columns)))
    name = class_name(inspected.path)
    names = field_names([column.name for column in inspected.columns])
    key = _key(inspected, names)
    lines, columns = [], []
    for column, field in zip(inspected.columns, names, strict=True):
        is_key = field == key
        lines.append(f"    {field} = models.{_field(column, is_key=is_key)}{_remark(column, field)}")
        columns.append(_column(column, field, zone, is_key=is_key))
    if key is None:
        columns.insert(0, Column("id", Type.INTEGER, generated=True))
    fits = [
        ColumnFit(column.name, field, EXACT if field == column.name else NEAR, "", declared.type)
        for column, field, declared in zip(inspected.columns, names, columns[key is None :], strict=True)
    ]
    if key is None:
        fits.append(ColumnFit("", "id", GENERATED, "made for each new row", Type.INTEGER))
    table = Table(name.lower(), "sample", tuple(columns), key or "id")
    code = "\n".join([f"class {name}(models.Model):", *lines])
    return ModelClass(code, f"{APP}.{name}", table, Fit(tuple(fits), append=key is None))


def _as_said(column: InspectedColumn) -> InspectedColumn:
    """Return the column as text where the file says that its numbers are text: `1.10` is not 1.1 there."""
    is_text = column.is_text and column.type in (Type.INTEGER, Type.DECIMAL, Type.REAL)
    return replace(column, type=Type.TEXT, places=0) if is_text else column


def class_name(path: str) -> str:
    """Return a name for the model of a file, made of the file's."""
    stem = PurePath(path.partition("#")[0]).name.partition(".")[0]
    words = re.findall(r"[A-Za-z0-9]+", _in_ascii(stem))
    name = "".join(word[:1].upper() + word[1:] for word in words).lstrip("0123456789")
    return f"{name}Record" if not name or keyword.iskeyword(name) else name


def field_names(names: Sequence[str]) -> list[str]:
    """Return a name of a field for each name of a file, each another one."""
    taken: list[str] = []
    for place, name in enumerate(names, 1):
        parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name)
        field = re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", _in_ascii(parted).lower())).strip("_")
        if not field or field[0].isdigit():
            field = f"column_{field or place}"
        if keyword.iskeyword(field) or field in _TAKEN:
            field += "_value"
        while field in taken:
            field += f"_{place}"
        taken.append(field)
    return taken


def _in_ascii(text: str) -> str:
    spelled = text.lower().translate(_SPELLED_OUT) if not text.isascii() else text
    return unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()


def _key(inspected: Inspected, names: Sequence[str]) -> str | None:
    """Return the field that is the primary key: all its values were seen once, and its name says so. A field that is
    called id must be the key.
    """
    records = inspected.sampling.records
    for column, field in zip(inspected.columns, names, strict=True):
        is_unique = column.distinct == column.values >= records > 0 and not column.nulls and not column.misfits
        can_be = column.type in (Type.INTEGER, Type.UUID) or (
            column.type is Type.TEXT and column.longest <= _LONGEST_KEY
        )
        if is_unique and can_be and _OF_KEYS.search(field):
            return field
    return "id" if "id" in names else None


def _field(column: InspectedColumn, *, is_key: bool) -> str:
    options = ["primary_key=True"] if is_key else ["null=True", "blank=True"] if _is_nullable(column) else []
    match column.type:
        case Type.INTEGER:
            kind = "IntegerField" if _is_small(column) and not is_key else "BigIntegerField"
        case Type.DECIMAL:
            kind = "DecimalField"
            options = [f"max_digits={_digits(column)}", f"decimal_places={column.places}", *options]
        case Type.TEXT if _length(column):
            kind = "CharField"
            options = [f"max_length={_length(column)}", *options]
        case Type.TEXT:
            kind = "TextField"
        case Type.JSON:
            # Without it Django takes no empty list or object.
            kind, options = "JSONField", [*options, *(["blank=True"] if "blank=True" not in options else [])]
        case other:
            kind = _PLAIN_FIELDS[other]
    return f"{kind}({', '.join(options)})"


def _is_nullable(column: InspectedColumn) -> bool:
    return bool(column.nulls) or not column.values


def _is_small(column: InspectedColumn) -> bool:
    return column.digits < len(str(_SMALL))


def _digits(column: InspectedColumn) -> int:
    return min(_MOST_DIGITS, column.digits + _MORE_DIGITS)


def _length(column: InspectedColumn) -> int | None:
    """Return the length of a field for short text: twice what was seen, rounded; None for long text."""
    wanted = next((each for each in (10, 20, 50, 100, 200, _LONGEST_CHAR) if 2 * column.longest <= each), None)
    return wanted if column.values or column.nulls else _LONGEST_CHAR


def _remark(column: InspectedColumn, field: str) -> str:
    name = " ".join(column.name.split())
    return "" if field == column.name or not name.isprintable() else f"  # {name}"


def _column(column: InspectedColumn, field: str, zone: str | None, *, is_key: bool) -> Column:
    return Column(
        field,
        column.type,
        nullable=_is_nullable(column) and not is_key,
        digits=_digits(column) if column.type is Type.DECIMAL else _MOST_DIGITS,
        places=column.places if column.type is Type.DECIMAL else 0,
        zone=zone if column.type is Type.DATETIME else None,
    )
