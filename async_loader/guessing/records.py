"""Records of a sample, read by the loader's own readers whatever their columns are called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import polars as pl

from async_loader.columns import Column, Type
from async_loader.records.batches import MARKS, Batch, Broken
from async_loader.sources.fields import fields_of
from async_loader.sources.reader import opened_format
from async_loader.sources.source import Source
from async_loader.tables import Table

# Records that are looked at, at each end.
RECORDS = 10_000
# The one column of the table as which anything is read. It is a constant, so that no name has to fit.
_KEY = "async_loader_inspected"
_ANYTHING = Table("inspected", "", (Column(_KEY, Type.INTEGER),), _KEY)
# Objects within objects are columns with dotted names down to here.
_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Read:
    """Records as they were read: names in the order in which they are met, and by name the values of n records.

    given: how many records were passed, with those that are not among the n. texts: of JSON, the objects themselves.
    broken: records that cannot be read. objects: names of members that are objects, whose own members are in values.
    """

    values: dict[str, list[Any]]
    records: int
    given: int
    broken: tuple[Broken, ...] = ()
    texts: tuple[bytes, ...] = ()
    objects: frozenset[str] = frozenset()


def read_records(source: Source, *, to_the_end: bool) -> Read:
    """Return the first records of a source; if it is read to the end, also the last ones, or all where they are few."""
    chosen = replace(source, constants={_KEY: "0"})
    stream, opened = opened_format(chosen, fields_of(chosen, _ANYTHING))
    try:
        with stream.failures():
            names = [name for name in opened.columns if name not in (*MARKS, _KEY)]
            return _collected(opened.batches(), names, to_the_end=to_the_end)
    finally:
        stream.close()


def _collected(batches: Iterable[Batch], header: list[str], *, to_the_end: bool) -> Read:
    rows: list[dict[str, Any]] = []
    texts: list[bytes] = []
    broken: list[Broken] = []
    objects: set[str] = set()
    given = 0
    last: Batch | None = None
    for batch in batches:
        given += len(batch)
        broken += batch.broken[: RECORDS - len(broken)]
        if len(rows) < RECORDS:
            rows += islice(_rows(batch, objects), RECORDS - len(rows))
            texts += _texts(batch)[: RECORDS - len(texts)]
        else:
            last = batch if len(batch.lines) else last
        if not to_the_end and len(rows) >= RECORDS:
            break
    if last is not None:
        rows += _rows(last, objects)
    values = as_columns(rows, header)
    for name in objects & values.keys():
        if all(value is None for value in values[name]):
            # An object that is null at times is no column beside its members.
            del values[name]
    return Read(values, len(rows), given, tuple(broken), tuple(texts), frozenset(objects))


def as_columns(rows: list[dict[str, Any]], header: Iterable[str]) -> dict[str, list[Any]]:
    """Return records by column: those of the header, then others in the order in which they are met."""
    names = dict.fromkeys([*header, *(name for row in rows for name in row if name not in MARKS)])
    return {name: [row.get(name) for row in rows] for name in names}


def _texts(batch: Batch) -> list[bytes]:
    return batch.as_read["line"].to_list() if _is_json(batch) else []


def _is_json(batch: Batch) -> bool:
    return batch.as_read.width == 1 and batch.as_read.columns == ["line"] and batch.as_read["line"].dtype == pl.Binary


def _rows(batch: Batch, objects: set[str]) -> Iterator[dict[str, Any]]:
    if _is_json(batch) or batch.as_read.columns == ["place"]:
        for text in batch.to_json(batch.as_read):
            yield dict(_flat(json.loads(text), objects))
        return
    yield from batch.as_read.iter_rows(named=True)


def _flat(record: dict[str, Any], objects: set[str], before: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield the members of an object, those of objects within it under dotted names; add the names of those objects."""
    for name, value in record.items():
        if isinstance(value, dict) and value and depth < _DEEPEST and "." not in name:
            objects.add(before + name)
            yield from _flat(value, objects, f"{before}{name}.", depth + 1)
        else:
            yield before + name, value
