"""Rejects written to a Parquet file in their source's own types, so that no value changes on its way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet

from async_loader.ledger.layouts import Layout
from async_loader.ledger.reject_groups import UNDECODABLE
from async_loader.records.batches import LINE, REASONS, REJECT
from async_loader.rejects.formats import RejectInFile
from async_loader.sources.parquet_rows import column_of, schema_of, typed_values
from async_loader.tables import Table


class ParquetFileOfRejects:
    """A FileOfRejects whose values keep their types."""

    def __init__(self, file: IO[bytes], table: Table, layout: Layout, marks: Sequence[str]) -> None:
        self._required = _required_column(layout, table)
        self._types = schema_of(layout)
        self._schema = pa.schema(
            [*self._types, *((mark, pa.int64() if mark == LINE else pa.string()) for mark in marks)]
        )
        self._file = file
        self._writer = pa.parquet.ParquetWriter(file, self._schema)

    def write(self, rows: list[RejectInFile]) -> None:
        """Add rejects to the file."""
        records = [self._record(*row) for row in rows]
        columns = [column_of([record[field.name] for record in records], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def _record(self, line: int, _: int, record: str, reasons: str, *name: str) -> dict[str, Any]:
        values = typed_values(self._types, record)
        if any(reason["code"] in UNDECODABLE for reason in json.loads(reasons)):
            # Its text is shown with escapes, which must not be taken for the text.
            values[self._required] = None
        return values | dict(zip((LINE, REASONS, REJECT), (line, reasons, *name), strict=False))

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._writer.close()
        self._file.close()


def _required_column(layout: Layout, table: Table) -> str:
    """Return what the source calls a column that must have a value: the key, unless that is not from the source."""
    names = dict(layout.names)
    read = [
        (column, name) for column in table.columns if (name := names.get(column.name, column.name)) in layout.columns
    ]
    keys = [name for column, name in read if column.name == table.key]
    others = [name for column, name in read if not column.nullable]
    return [*keys, *others, *layout.columns][0]
