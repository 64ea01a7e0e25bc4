"""Fields that only this project knows, as a package of its own would bring them."""

from __future__ import annotations

import enum
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models


class Reversed(models.TextField):
    """Text that is stored backwards, as an encrypted field stores another text than it shows."""

    def get_prep_value(self, value: Any) -> Any:
        return value and value[::-1]

    def from_db_value(self, value: Any, *_: object) -> Any:
        return value and value[::-1]


class Shade(enum.Enum):
    DARK = "d"
    LIGHT = "l"


class Enumerated(models.Field):
    """A member of an enumeration, kept as its value."""

    def db_type(self, connection: Any) -> str:
        return "varchar(1)"

    def to_python(self, value: Any) -> Any:
        if value in (None, "") or isinstance(value, Shade):
            return value or None
        try:
            return Shade(value)
        except ValueError as error:
            raise ValidationError("No shade.", code="no_shade") from error

    def get_prep_value(self, value: Any) -> Any:
        return value and self.to_python(value).value

    def from_db_value(self, value: Any, *_: object) -> Any:
        return self.to_python(value)


class Packed(models.Field):
    """Text that is stored as bytes."""

    def get_internal_type(self) -> str:
        return "BinaryField"

    def get_db_prep_value(self, value: Any, connection: Any, *, prepared: bool = False) -> Any:
        return None if value is None else connection.Database.Binary(value.encode("utf-16"))

    def from_db_value(self, value: Any, *_: object) -> Any:
        return None if value is None else bytes(value).decode("utf-16")
