"""The plan of a job: how its file is read, and how its records find rows. A value, which is kept as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import async_loader
from async_loader import ConfigurationError, Format, Options, Source, Table, Type

# What is about spellings in all files.
_SPELLINGS = ("decimal", "thousands", "trim", "true", "false")
# Of these types are the values that a format of dates is about.
_MOMENTS = (Type.DATE, Type.DATETIME, Type.TIME)
# Stands for all columns in a format.
_ALL = ""
# How records find their rows, as `finding` has it.
BY_KEY, BY_MATCH, APPEND = "key", "match", "append"
# Seconds after which a load that waits for a database looks whether it is to end, and begins again. A wait within
# SQLite cannot be interrupted.
_LOCK_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a person has said of a file. Texts are empty where nothing is said.

    part: the sheet, or the array of a JSON document.
    nulls, dates: by name in the file, the texts that stand for null and how dates are written, as the file has shown.
    null, date_format: what the person has said of all columns.
    columns: by name in the file, the column or lookup of the table; empty for one that is ignored.
    finding: BY_KEY, BY_MATCH by the columns `match`, or APPEND.
    constants, separators: as a `Source` has them.
    rejects_of: of a file of rejects, the run whose rejects they are; the plan has all of how that run read its source.
    problem: why a file of rejects cannot be read as its run read its source.
    existing, missing: what becomes of a record whose row is there with other values, and of one that finds none, as
        `Options` has it.
    """

    encoding: str = ""
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    comment: str = ""
    skip_lines: int = 0
    header: tuple[str, ...] = ()
    part: str = ""
    decimal: str = "."
    thousands: str = ""
    date_format: str = ""
    null: str = ""
    trim: bool = False
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    nulls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    finding: str = BY_KEY
    match: tuple[str, ...] = ()
    existing: str = "reject"
    missing: str = "insert"
    constants: Mapping[str, str] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)
    rejects_of: str = ""
    problem: str = ""

    @classmethod
    def of_json(cls, text: str) -> Self:
        """Return the plan that `as_json` has given; the one in which nothing is said of `{}`."""
        facts: dict[str, Any] = json.loads(text)
        facts |= {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
        return cls(**facts)

    def as_json(self) -> str:
        """Return the plan as a job keeps it."""
        return json.dumps(dataclasses.asdict(self))

    @property
    def changes_rows(self) -> bool:
        """Whether rows that are there may get other values."""
        return self.existing == "update"

    @property
    def adds_rows(self) -> bool:
        """Whether there may be new rows."""
        return self.finding == APPEND or self.missing == "insert"

    def source(self, path: str, table: Table, aliases: Mapping[str, tuple[str, ...]]) -> Source:
        """Return the file as the engine is to read it for a table. Raises ConfigurationError for what cannot be."""
        return Source(
            self.address(path),
            self._format(path, {column.name: column.type for column in table.columns}),
            names={column: name for name, column in self.columns.items() if column},
            constants=self.constants,
            aliases=aliases,
            separators=self.separators,
            ignore=tuple(name for name, column in self.columns.items() if name and not column),
        )

    def options(self, table: str, *, dry_run: bool) -> Options:
        """Return how the table is loaded."""
        return Options(
            match={table: self.match} if self.finding == BY_MATCH else {},
            append=frozenset([table] if self.finding == APPEND else ()),
            on_conflict=self.existing,
            on_missing=None if self.finding == APPEND else self.missing,
            dry_run=dry_run,
            rejects_as_given=bool(self.rejects_of),
            lock_timeout=_LOCK_TIMEOUT,
        )

    def address(self, path: str) -> str:
        """Return the path with the part that is read."""
        return f"{path}#{self.part}" if self.part else path

    def _format(self, path: str, types: Mapping[str, Type]) -> Format:
        names = Source(path).parts_of_dialect
        return Format(
            encoding=self.encoding if is_text(path) else "",
            **{name: getattr(self, name) for name in (*names, *_SPELLINGS)},
            date_format=self._by_column(
                {} if self.date_format else self.dates, [name for name in types if types[name] in _MOMENTS]
            )
            | ({_ALL: (self.date_format,)} if self.date_format else {}),
            null=self._by_column(self.nulls, list(types)) | ({_ALL: (self.null,)} if self.null else {}),
        )

    def _by_column(self, texts: Mapping[str, tuple[str, ...]], columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return by column of the table the texts of the file's column that goes there; JSON has made lists of them."""
        goes = {name: column for name, column in self.columns.items() if column in columns}
        return {goes[name]: tuple(several) for name, several in texts.items() if name in goes and several}


def kind_of(name: str) -> str:
    """Return the base format of a file by its name, as the engine knows it. Raises ConfigurationError for another.

    Nothing is opened: an archive, which would be to see what is in it, is refused.
    """
    if name.lower().endswith(".zip"):
        raise ConfigurationError(f"{name}: unpack the archive first")
    return str(async_loader.Source(name).kind)


def is_text(name: str) -> bool:
    """Return whether a file of this name is text in some encoding."""
    return bool(async_loader.Source(name).is_text)
