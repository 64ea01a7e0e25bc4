"""What other programs have stored while a load was at work: its records meet rows that they did not meet when they were
judged. Steps.

Where others may write to a table between two commits, the first sign of it is that the database refuses a batch. Then
it is asked once more about the batch's keys and unique values, and each record gets the outcome that it would have had.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from async_loader.effects import Steps
from async_loader.loading.refused import LateReasons, Refused, reason_of
from async_loader.records.arrays import are_among
from async_loader.records.differences import DifferingRows
from async_loader.records.parsing import clipped
from async_loader.records.validation import only_column, used_message
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.stores.store import Store


@dataclass(frozen=True, slots=True)
class Met:
    """The keys of records whose rows are there by now, with the same values and with others."""

    same: pl.Series
    differing: pl.Series


def meet(database: Store, table: Table, records: pl.DataFrame, absent: Collection[str]) -> Steps[Met]:
    """Ask which rows of new records are there by now."""
    same, differing = yield from database.held(table, records, absent)
    keys = records[table.key]
    return Met(keys.gather(same), keys.gather(differing))


def exists(
    database: Store, table: Table, records: pl.DataFrame, keys: pl.Series, absent: Collection[str]
) -> Steps[LateReasons]:
    """Return the reasons of records whose rows are there with other values, by key."""
    differing = records.filter(records[table.key].is_in(keys.implode()))
    rows = yield from differing_rows(database, table, differing, absent)
    words = zip(differing[table.key], rows.in_words(differing, pl.Series(range(len(differing)))), strict=True)
    return {key: ("exists", table.key, f"{table.key} {_shown(key)} {text}") for key, text in words}


def differing_rows(
    database: Store, table: Table, records: pl.DataFrame, absent: Collection[str]
) -> Steps[DifferingRows]:
    """Return what the rows hold whose keys these records have, in the columns that the source has."""
    columns = [each for each in table.columns if each.name != table.key and each.name not in absent]
    rows = (yield from database.values_of(table, columns, records[table.key])) if columns else []
    return DifferingRows(columns, {place: values for place, *values in rows}, database.read_back)


def reasons_of(
    database: Store, table: Table, records: pl.DataFrame, refused: Refused, *, others_write: bool
) -> Steps[LateReasons]:
    """Return the reasons of records that the database refused, by key: a value is another row's, or what was said."""
    reasons: dict[Any, tuple[str, str | None, str]] = {
        key: reason_of(refusal, table) for key, refusal in refused.items()
    }
    if not (refused and others_write):
        return reasons
    rest = records.filter(are_among(records[table.key], refused))
    for unique in table.judged_sets:
        within = rest if unique.where is None else rest.filter(unique.where.holds)
        records = within.select(table.key, *unique.columns)
        for key, *values in records[(yield from database.owned(table, unique, records))].iter_rows():
            message = used_message(unique, ", ".join(map(_shown, values)))
            reasons[key] = (unique.code, only_column(unique.columns), message)
    return reasons


def _shown(value: Any) -> str:
    return f"'{clipped(value)}'" if isinstance(value, str) else str(value)
