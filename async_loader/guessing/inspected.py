"""What an inspection says of a file and its columns. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from async_loader.columns import Type
from async_loader.formats import EVERY_COLUMN, Format

# The types of columns whose values may be written in a format of dates or times.
MOMENTS = (Type.DATE, Type.DATETIME)


@dataclass(frozen=True, slots=True)
class InspectedColumn:
    """A column of the sample, as its values look.

    type: the type that most values have. digits, places: of a decimal, the most that were seen.
    values, nulls: how many values there are, and how many records have none; empty fields are nulls.
    null_texts: by text that stands for null, how often it was seen.
    true, false: the texts of a boolean.
    date_formats: how dates or times are written, where that is otherwise than in ISO 8601.
    padded: how many values have blanks around them.
    longest: characters of the longest value.
    misfits: by value that is not of the type, how often it was seen.
    minimum, maximum: of the values of the type. distinct: how many different values the sample has.
    notes: what is ambiguous, or worth knowing.
    within: the member of the record, an object, of which it is a part; empty for what is a member itself.
    is_text: whether the file itself says that each value is text, as JSON, Parquet and spreadsheets do.
    """

    name: str
    type: Type
    values: int = 0
    nulls: int = 0
    null_texts: Mapping[str, int] = field(default_factory=dict)
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    date_formats: tuple[str, ...] = ()
    digits: int = 0
    places: int = 0
    padded: int = 0
    longest: int = 0
    misfits: Mapping[str, int] = field(default_factory=dict)
    minimum: str | None = None
    maximum: str | None = None
    distinct: int = 0
    examples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    within: str = ""
    is_text: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name,
            "type": self.type.value,
            "values": self.values,
            "nulls": self.nulls,
            "null_texts": dict(self.null_texts),
            "true": list(self.true),
            "false": list(self.false),
            "date_formats": list(self.date_formats),
            "digits": self.digits,
            "places": self.places,
            "padded": self.padded,
            "longest": self.longest,
            "misfits": dict(self.misfits),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "distinct": self.distinct,
            "examples": list(self.examples),
            "notes": list(self.notes),
            "within": self.within,
            "is_text": self.is_text,
        }


@dataclass(frozen=True, slots=True)
class Sampling:
    """How much of a file was looked at.

    size: bytes of the file. looked_at: those of them that were read. is_whole: whether that is all.
    records: how many the sample has. estimate: how many the file has, about; exact where it was read as a whole or says
    it itself.
    back: whether the end was read as well as the front.
    """

    size: int
    looked_at: int
    records: int
    estimate: int
    is_whole: bool = False
    is_exact: bool = False
    back: bool = False


@dataclass(frozen=True, slots=True)
class Inspected:
    """How a file is written, as far as a sample of it shows. Nothing of it is used by a load, unless a user says it.

    path: with the part that is read, such as a sheet. form: the format, without nulls and dates, which go by columns.
    has_header: whether the names of the columns stand in the file. preamble: the lines before the header.
    evidence: what the guess rests on, line by line. ambiguous: what the sample does not decide.
    """

    path: str
    form: Format
    has_header: bool
    columns: tuple[InspectedColumn, ...]
    sampling: Sampling
    preamble: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()

    def format(self, names: Mapping[str, str] | None = None, types: Mapping[str, Type] | None = None) -> Format:
        """Return the format that reads the file.

        names: by column of a table, the name in the file; by default each column has the file's name for it. Nulls and
            formats of dates are those of these columns.
        types: by column of the table, its type, where that is another than the values look like.
        """
        by_name = {column.name: column for column in self.columns}
        names = {name: name for name in by_name} if names is None else names
        kinds = types or {}
        chosen = {target: by_name[name] for target, name in names.items() if name in by_name}
        nulls = {target: tuple(column.null_texts) for target, column in chosen.items() if column.null_texts}
        dates = {
            target: column.date_formats
            for target, column in chosen.items()
            if kinds.get(target, column.type) in MOMENTS
        }
        return replace(
            self.form,
            null=_general(nulls, chosen),
            date_format=_general({target: each for target, each in dates.items() if each}, dates),
            names={target: name for target, name in names.items() if target != name},
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        form, sampling = self.form, self.sampling
        return {
            "source": self.path,
            "base": form.base,
            "encoding": form.encoding or "utf-8",
            "dialect": {
                "delimiter": form.delimiter,
                "quote": form.quote,
                "escape": form.escape,
                "comment": form.comment,
                "skip_lines": form.skip_lines,
            }
            if form.base.startswith("csv")
            else None,
            "decimal": form.decimal or ".",
            "thousands": form.thousands,
            "trim": form.trim,
            "has_header": self.has_header,
            "preamble": list(self.preamble),
            "sample": {
                "bytes": sampling.size,
                "looked_at": sampling.looked_at,
                "is_whole": sampling.is_whole,
                "both_ends": sampling.back,
                "records": sampling.records,
            },
            "records": sampling.estimate,
            "records_are_exact": sampling.is_exact,
            "evidence": list(self.evidence),
            "ambiguous": list(self.ambiguous),
            "columns": [column.as_dict() for column in self.columns],
        }


def _general(
    said: Mapping[str, tuple[str, ...]], concerned: Mapping[str, Any]
) -> dict[str, tuple[str, ...]] | tuple[str, ...]:
    """Return what is said by column, or for all columns where the same is said of each that it concerns."""
    several = set(said.values())
    if len(several) == 1 and set(said) == set(concerned):
        return next(iter(several))
    return {name: texts for name, texts in said.items() if name != EVERY_COLUMN}
