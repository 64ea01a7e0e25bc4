"""Records whose parents the database has refused: they are rejected with them, however late that is known. No I/O.

A record is judged as if no parent were refused. Before it is written its parents are looked at, so that it makes no
difference which of them were judged by then. The reason names the parent and its line.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.loading.parents import names_in, way_of
from async_loader.loading.refused import LateReasons
from async_loader.records.arrays import all_false, are_among
from async_loader.records.reasons import lost_parents
from async_loader.records.validation import shown_record

if TYPE_CHECKING:
    from async_loader.loading.load import Load
    from async_loader.loading.writing import Judged
    from async_loader.tables import Reference


def orphans(load: Load, judged: Judged) -> list[Any]:
    """Return the keys of records that are to be written and have lost a parent to the database before."""
    if load.family is None or not load.family.refused:
        return []
    verdict, key = judged.verdict, load.table.key
    lost = all_false(len(verdict.accepted))
    for reference in load.table.own_references:
        lost |= _have_lost(load, judged, reference) & ~_are_found(judged, reference)
    keys = verdict.accepted[key].filter(lost)
    return keys.filter(keys.is_in(verdict.written[key].implode())).to_list()


def worded(load: Load, judged: Judged, keys: Collection[Any]) -> LateReasons:
    """Return the reasons of the records of a batch that have lost their parents, each for the first parent that is."""
    verdict, reasons = judged.verdict, dict[Any, tuple[str, str | None, str]]()
    given = verdict.accepted[load.table.key]
    left = are_among(given, keys)
    for reference in load.table.own_references:
        mine = left & _have_lost(load, judged, reference)
        if not reference.to:
            refused = load.accepted.are_refused(verdict.accepted[reference.column])
            mine &= ~_are_found(judged, reference) | refused
        texts = _messages(load, judged, reference, verdict.places.filter(mine))
        pairs = zip(given.filter(mine), texts, strict=True)
        reasons |= {key: ("exists_in", reference.column, text) for key, text in pairs}
        left &= ~mine
    return reasons


def _have_lost(load: Load, judged: Judged, reference: Reference) -> pl.Series:
    """Return which accepted records name by a reference what a new row was called that is not stored after all."""
    assert load.family is not None
    way = way_of(load.table, reference, judged.batch)
    return load.family.are_refused(way, names_in(judged.batch, judged.names, way).gather(judged.verdict.places))


def _are_found(judged: Judged, reference: Reference) -> pl.Series:
    """Return which accepted records have found by a lookup a row that is there: another one may be called so."""
    values = judged.verdict.accepted[reference.column]
    return values.is_not_null() if reference.column in judged.batch.lookups else all_false(len(values))


def _messages(load: Load, judged: Judged, reference: Reference, places: pl.Series) -> list[str]:
    """Return the messages of records at some places of a batch."""
    assert load.family is not None
    batch, way = judged.batch, way_of(load.table, reference, judged.batch)
    where = load.family.where_refused(way, names_in(batch, judged.names, way).gather(places))
    given = judged.names.get(reference.column)
    shown = shown_record(batch.values[[reference.column]] if given is None else given)(places)
    headers = batch.lookups.get(reference.column, (reference.column,))
    return lost_parents(headers, load.table.name, shown, where, batch.source).to_list()
