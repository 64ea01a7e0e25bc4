"""Values through a field's own methods: for fields that Django does not have, and for those of PostgreSQL alone.

Each is read by `to_python`, checked as `full_clean()` checks it, and stored as `get_db_prep_save` makes it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from async_loader import InvalidValueError, Type
from async_loader.contrib.django.models.databases import connection_of
from async_loader.contrib.django.models.loadable import chain_of

Field: TypeAlias = "models.Field[Any, Any]"

# What an element of an array, or a bound of a range, must not have outside of quotes.
_SPECIAL = frozenset('{}[]()",\\')
# Days and microseconds, of which an interval is made.
_DAY, _MICROSECOND = timedelta(days=1), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Conversion:
    """Makes the value as a batch has it of one that was read. `kind`: the type as which the loader has it. `database`:
    the alias of the database that is to hold it.
    """

    field: Field
    kind: Type
    database: str

    def __call__(self, read: Any) -> Any:
        """Return the value. Raises InvalidValueError with the code and the messages of the field's own error."""
        try:
            value = _cleaned(self.field, _as_given(self.field, self.kind, read))
            return prepared(self.field, self.kind, value, self.database)
        except ValidationError as error:
            first = next(iter(getattr(error, "error_list", ())), error)
            code = getattr(first, "code", None) or "invalid"
            raise InvalidValueError(" ".join(error.messages), str(code)) from error


def prepared(field: Field, kind: Type, value: Any, database: str) -> Any:
    """Return a field's value as a batch has it: what `save()` gives to the database of that alias."""
    connection = connection_of(database)
    made = field.get_db_prep_save(value, connection)
    if hasattr(made, "as_sql"):
        raise InvalidValueError("is stored by an expression of SQL, which cannot be loaded")
    return None if made is None else _of_kind(kind, made, connection.timezone_name)


def _as_given(field: Field, kind: Type, read: Any) -> Any:
    """Return what was read as the field takes it: JSON, which a source has as text, and text for fields of PostgreSQL,
    which read their members from JSON alone.
    """
    if kind is Type.JSON and isinstance(read, str):
        try:
            return json.loads(read)
        except ValueError as error:
            raise InvalidValueError("must be JSON") from error
    if not isinstance(read, list | dict):
        return read
    *_, stored = chain_of(field)
    is_postgresqls = any(each.__module__.startswith("django.contrib.postgres.") for each in type(stored).__mro__)
    return json.dumps(read, default=str) if is_postgresqls else read


def _cleaned(field: Field, value: Any) -> Any:
    """Return a value that was checked as `full_clean()` does, which passes over empty ones that may be so. A foreign
    key's row is looked for by the loader.
    """
    if field.blank and value in list(field.empty_values):
        return value
    if not isinstance(field, models.ForeignKey):
        return field.clean(value, None)
    made = field.to_python(value)
    if made in list(field.empty_values) and not field.blank:
        raise ValidationError(field.error_messages["blank"], code="blank")
    field.run_validators(made)
    return made


def _of_kind(kind: Type, made: Any, zone: str) -> Any:
    """Return a value that was made for a database as a batch has it. `zone` is the one in which SQLite keeps times."""
    try:
        return _instant(made, zone) if kind is Type.DATETIME else _MADE[kind](made)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidValueError(f"{made!r} does not fit its column, which is {kind.value}") from error


def _text(made: Any) -> str:
    """Return text, or another value as a column of text stores it."""
    if isinstance(made, bytes | bytearray | memoryview):
        raise TypeError
    # A choice shows itself otherwise than it is stored.
    return str.__str__(made) if isinstance(made, str) else str(made)


def _json(made: Any) -> str:
    """Return JSON as text, from that or from what psycopg writes as such."""
    if isinstance(made, str):
        return made
    dumps = getattr(made, "dumps", None) or json.dumps
    return str(dumps(getattr(made, "obj", made)))


def _instant(made: Any, zone: str) -> Any:
    value = datetime.fromisoformat(made) if isinstance(made, str) else made
    if not settings.USE_TZ:
        return value
    return (value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def literal(value: Any) -> str:
    """Return a value as the text that PostgreSQL reads for any of its types."""
    match value:
        case bool():
            return "t" if value else "f"
        case str():
            return str.__str__(value)
        case timedelta():
            return f"{value // _DAY} days {value % _DAY // _MICROSECOND} microseconds"
        case bytes() | bytearray() | memoryview():
            return "\\x" + bytes(value).hex()
        case list() | tuple():
            return "{" + ",".join(map(_element, value)) + "}"
        case Mapping():
            return ", ".join(
                f"{_quoted(key)}=>{'NULL' if each is None else _quoted(each)}" for key, each in value.items()
            )
    return _range(value) if hasattr(value, "lower_inc") else str(value)


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    text = literal(value)
    if isinstance(value, list | tuple):
        return text
    is_plain = text and text.upper() != "NULL" and not _SPECIAL.intersection(text) and not any(map(str.isspace, text))
    return text if is_plain else _quoted(text)


def _range(value: Any) -> str:
    if value.isempty:
        return "empty"
    lower, upper = ("" if each is None else _quoted(literal(each)) for each in (value.lower, value.upper))
    return f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}"


def _quoted(text: Any) -> str:
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


_MADE: Mapping[Type, Callable[[Any], Any]] = {
    Type.TEXT: _text,
    Type.INTEGER: int,
    Type.REAL: float,
    Type.DECIMAL: lambda made: Decimal(str(made)),
    Type.BOOLEAN: bool,
    Type.DATE: lambda made: date.fromisoformat(made) if isinstance(made, str) else made,
    Type.TIME: lambda made: time.fromisoformat(made) if isinstance(made, str) else made,
    Type.DURATION: lambda made: made if isinstance(made, timedelta) else int(made) * _MICROSECOND,
    Type.UUID: lambda made: uuid.UUID(str(made)).hex,
    Type.BINARY: lambda made: bytes(getattr(made, "obj", made)),
    Type.JSON: _json,
    Type.OTHER: literal,
}
