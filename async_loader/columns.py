"""Columns and the types of what they hold, as declarations that check themselves."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from async_loader.errors import ConfigurationError, one_line


class Type(enum.Enum):
    """The type of what a column holds. Text has no NUL; dates and times are of the years 1 to 9999, times to the
    microsecond.
    """

    INTEGER = "integer"  # 64 bits, signed
    REAL = "real"  # 64 bits, finite
    TEXT = "text"
    DECIMAL = "decimal"  # of the column's digits and places
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"  # in UTC where the column has a zone, else in none
    UUID = "uuid"  # as 32 lower-case hexadecimal digits
    JSON = "json"  # as Python's json writes it
    TIME = "time"  # of a day, in no zone
    DURATION = "duration"  # whole microseconds, 64 bits, signed
    BINARY = "binary"
    OTHER = "other"  # of a type that only its database has, as the text which that database reads

    @property
    def python(self) -> type:
        """The type of one value, of those that a key may have and of reals."""
        return _PYTHON.get(self, str)


_PYTHON: Mapping[Type, type] = {Type.INTEGER: int, Type.REAL: float}
_DTYPES: Mapping[Type, pl.DataType] = {
    Type.INTEGER: pl.Int64(),
    Type.REAL: pl.Float64(),
    Type.BOOLEAN: pl.Boolean(),
    Type.DATE: pl.Date(),
    Type.TIME: pl.Time(),
    Type.DURATION: pl.Duration("us"),
    Type.BINARY: pl.Binary(),
}
# The types that a key may have, and those among them whose values are found fastest.
KEY_TYPES = tuple(kind for kind in Type if kind is not Type.JSON)
PLAIN_TYPES = (Type.INTEGER, Type.TEXT, Type.UUID)
# Digits that a column of decimals may have at most.
MOST_DIGITS = 38
# Significant digits of a decimal that SQLite, which keeps it as a real, gives back as they were.
SQLITE_DIGITS = 15


class _Standing:
    """What stands for a default that is no value."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        """Return the name under which any process finds it."""
        return self._name


# Stands for the default of a column that has none.
REQUIRED = _Standing("REQUIRED")
# Stands for a default that the database computes for each new row.
BY_DATABASE = _Standing("BY_DATABASE")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    nullable: whether a record may go without a value.
    default: what a new row gets where the source has no such column: a value, or a function that is called for each
        row. What a row that is there already holds then stays. REQUIRED where the source must have the column,
        BY_DATABASE where the database has a default of its own.
    unique: whether no two rows may have the same value.
    digits, places: of a decimal, how many it has at most, and how many of them after the point.
    significant: of those, how many may be left without the zeros at both ends; SQLite keeps SQLITE_DIGITS.
    zone: of a datetime, the time zone of values that name none ("Europe/Berlin"); None where no value may name one.
    generated: of a key, whether a new row gets one where its source has none: from the default, which is a function
        then, or else from the database.
    aliases: other names by which a source may call it.
    stamp: of a time at which a row was made or changed, what a new row gets where the source has no such column, as a
        function of the moment at which the run began; the default is None then, and is not used.
    restamped: whether a row that an update changes gets a new stamp as well.
    convert: makes the value as a batch has it from the one that was read: a text, or from JSON and from columns of a
        file with types what they have. It is called once for each distinct value of a batch. What it raises is the
        reason why a record is rejected: the message and the code of an InvalidValueError, or any other error.
    declared: of an OTHER, what SQL calls its type, without a length: "inet", "integer[]".

    Raises ConfigurationError for digits that cannot be, and for an unknown zone.
    """

    name: str
    type: Type
    nullable: bool = False
    default: object = REQUIRED
    unique: bool = False
    digits: int = MOST_DIGITS
    places: int = 0
    significant: int = MOST_DIGITS
    zone: str | None = None
    generated: bool = False
    aliases: tuple[str, ...] = ()
    stamp: Callable[[datetime], object] | None = None
    restamped: bool = False
    convert: Callable[[Any], object] | None = None
    declared: str = ""

    def __post_init__(self) -> None:
        if self.type is Type.DECIMAL and not 0 <= self.places <= self.digits <= MOST_DIGITS:
            problem = f"{self.digits} digits, {self.places} of them after the point; at most {MOST_DIGITS} are possible"
            raise ConfigurationError(f"column {self.name} is declared with {problem}")
        if self.zone is not None and not _is_zone(self.zone):
            raise ConfigurationError(f"column {self.name}: {self.zone!r} is no known time zone")

    @property
    def dtype(self) -> pl.DataType:
        """The type of its values in a batch."""
        if self.type is Type.DECIMAL:
            return pl.Decimal(MOST_DIGITS, self.places)
        if self.type is Type.DATETIME:
            return pl.Datetime("us", "UTC" if self.zone else None)
        return _DTYPES.get(self.type, pl.String())

    @property
    def is_required(self) -> bool:
        """Whether a source must have it."""
        return self.default is REQUIRED

    @property
    def is_computed(self) -> bool:
        """Whether its database computes a value for a new row whose source has none."""
        return self.default is BY_DATABASE

    def defaults(self, size: int) -> pl.Series:
        """Return that many values of the default, nulls for what the database computes. ConfigurationError where it
        gives none, or one of another type.
        """
        if self.is_computed:
            return pl.Series(self.name, [None], dtype=self.dtype).new_from_index(0, size)
        try:
            values = [self.default() for _ in range(size)] if callable(self.default) else [self.default] * size
            return pl.Series(self.name, values, dtype=self.dtype)
        except (Exception, pl.exceptions.PanicException) as error:
            raise ConfigurationError(
                f"column {self.name}: its default cannot be computed: {one_line(error)}"
            ) from error


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
