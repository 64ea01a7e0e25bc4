"""Rows of a Parquet source, made of the JSON objects that rejects keep of them: typed again as the source had them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from async_loader.ledger.layouts import Layout
from async_loader.ledger.report import plain_json

# A day or a time that is kept as a number.
_COUNT = re.compile(r"-?[0-9]+")

# As pyarrow writes types that have parameters.
_DECIMAL = re.compile(r"(decimal\d+)\((\d+), (-?\d+)\)")
_ZONED = re.compile(r"timestamp\[(\w+), tz=(.+)\]")
_LIST = re.compile(r"list<\w+: (.+)>")


def schema_of(layout: Layout) -> pa.Schema:
    """Return the types of a Parquet source's columns."""
    return pa.schema([(name, _type(kind)) for name, kind in zip(layout.columns, layout.types, strict=True)])


def _type(written: str) -> pa.DataType:
    """Return the type that pyarrow writes so."""
    if (decimal := _DECIMAL.fullmatch(written)) is not None:
        return getattr(pa, decimal[1])(int(decimal[2]), int(decimal[3]))
    if (timestamp := _ZONED.fullmatch(written)) is not None:
        return pa.timestamp(timestamp[1], tz=timestamp[2])
    if (of_lists := _LIST.fullmatch(written)) is not None:
        return pa.list_(_type(of_lists[1]))
    return pa.type_for_alias(written)


def rows_table(layout: Layout, records: Iterable[str]) -> pa.Table:
    """Return rows of a Parquet source, made of their JSON objects."""
    schema = schema_of(layout)
    values = [typed_values(schema, record) for record in records]
    columns = [column_of([row[field.name] for row in values], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def typed_values(schema: pa.Schema, record: str) -> dict[str, Any]:
    """Return a row of a Parquet source, made of its JSON object, which has NaN and infinity as text."""
    values = plain_json(record)
    for field in schema:
        if kinds.is_floating(field.type) and values[field.name] is not None:
            values[field.name] = float(values[field.name])
    return values


def column_of(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return an Arrow array of values as JSON has them: those of types that JSON lacks are text."""
    if kinds.is_date(kind) or kinds.is_timestamp(kind):
        # Days or times that no text can express are numbers.
        counts = [int(value) if value and _COUNT.fullmatch(value) else None for value in values]
        written = [value if count is None else None for value, count in zip(values, counts, strict=True)]
        number = pa.int32() if kinds.is_date(kind) else pa.int64()
        return pc.coalesce(pa.array(written, pa.string()).cast(kind), pa.array(counts, number).cast(kind))
    if kinds.is_decimal(kind):
        return pa.array(values, pa.string()).cast(kind)
    if kinds.is_list(kind):
        lengths = [None if value is None else len(value) for value in values]
        elements = column_of([each for value in values for each in value or ()], kind.value_type)
        offsets = [0, *accumulate(length or 0 for length in lengths)]
        is_null = pa.array([length is None for length in lengths], pa.bool_())
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements, kind, mask=is_null)
    return pa.array(values, kind)
