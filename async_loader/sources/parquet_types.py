"""Types of columns in Parquet and Arrow: which of them a column takes, and in which rejects keep values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.types as kinds

from async_loader.columns import Column, Type
from async_loader.formats import STANDARD_SPELLINGS, Spellings
from async_loader.records.respelling import is_respelled


def is_text(kind: pa.DataType) -> bool:
    """Return whether values of a type are texts."""
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def kept_type(kind: pa.DataType, *, is_int96: bool = False) -> pa.DataType:
    """Return the type in which rejects keep values of a column: that of the values alone, however the file has them;
    text for what only text shows whole.
    """
    if is_int96 or is_binary(kind) or any(shows(kind) for shows in _SHOWN_AS_TEXT):
        return pa.string()
    if isinstance(kind, pa.BaseExtensionType):
        return kept_type(kind.storage_type)
    if kinds.is_dictionary(kind):
        return kept_type(kind.value_type)
    if kinds.is_date64(kind):
        return pa.date32()
    if is_list(kind):
        return pa.list_(kept_type(kind.value_type))
    return pa.string() if kinds.is_string_view(kind) else kind


def is_list(kind: pa.DataType) -> bool:
    """Return whether values of a type are lists."""
    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


def is_nested(kind: pa.DataType) -> bool:
    """Return whether values of a type have others within them, as JSON has."""
    return is_list(kind) or bool(kinds.is_struct(kind))


def fits_lists(kind: pa.DataType, column: Column, spellings: Spellings) -> bool:
    """Return whether a column takes the values in lists of a type."""
    return bool(kinds.is_null(kind)) or (is_list(kind) and fits(kind.value_type, column, spellings))


def fits(kind: pa.DataType, column: Column, spellings: Spellings = STANDARD_SPELLINGS) -> bool:
    """Return whether a column takes values of a type. Text is read for every type but those that Parquet's writers
    always have, and for those where it is said how their text is spelled.
    """
    if isinstance(kind, pa.BaseExtensionType) and not _is_uuid(kind):
        return fits(kind.storage_type, column, spellings)
    if kinds.is_dictionary(kind):
        return fits(kind.value_type, column, spellings)
    if kinds.is_null(kind):
        return True
    is_of_type = _FITTING.get(column.type)
    is_readable = is_text(kind) and (column.type not in (Type.INTEGER, Type.REAL) or is_respelled(column, spellings))
    return column.convert is not None or is_readable or (is_of_type is not None and is_of_type(kind, column))


_FITTING: Mapping[Type, Callable[[pa.DataType, Column], bool]] = {
    Type.INTEGER: lambda kind, _: _is_number(kind),
    Type.REAL: lambda kind, _: _is_number(kind),
    Type.DECIMAL: lambda kind, _: (kinds.is_decimal(kind) and not kinds.is_decimal256(kind)) or _is_number(kind),
    Type.BOOLEAN: lambda kind, _: kinds.is_boolean(kind),
    Type.DATE: lambda kind, _: kinds.is_date(kind),
    Type.DATETIME: lambda kind, column: kinds.is_timestamp(kind) and (kind.tz is None or column.zone is not None),
    Type.TIME: lambda kind, _: kinds.is_time(kind),
    Type.DURATION: lambda kind, _: kinds.is_duration(kind),
    Type.BINARY: lambda kind, _: is_binary(kind),
    Type.UUID: lambda kind, _: _is_uuid(kind),
    Type.JSON: lambda kind, _: is_nested(kind),
}


def _is_number(kind: pa.DataType) -> bool:
    """Return whether values are integers or reals: programs write whole numbers and prices as reals."""
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Return whether values of a type are bytes."""
    is_of_length = kinds.is_fixed_size_binary(kind)
    return bool(is_of_length or kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind))


def _is_uuid(kind: pa.DataType) -> bool:
    """Return whether values are the bytes of UUIDs."""
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return bool(kinds.is_fixed_size_binary(storage) and storage.byte_width == _UUID_BYTES)


_UUID_BYTES = 16


# Kinds of values that a reject keeps as text.
_SHOWN_AS_TEXT = (kinds.is_time, kinds.is_duration, kinds.is_struct, kinds.is_map)
