"""What a run relied on, looked at once more before it commits: rows of other tables may have been deleted meanwhile.

A table that the run holds cannot change. Of the others, SQLite says whether a file has changed since; of PostgreSQL's
the keys are asked for again. Only where keys are gone are the rows that the run wrote read, to find those that name
them. What is deleted between this and the commit, or after it, no load can see: `check_references` does. Steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from async_loader.effects import Call, Steps
from async_loader.errors import StoreError
from async_loader.loading.judging import KnownReference
from async_loader.loading.learning import learn
from async_loader.loading.load import Load
from async_loader.records.keys import ReferencedKeys
from async_loader.records.parsing import clipped
from async_loader.tables import Table

# Keys that are asked for together, and rows that are read together.
_AT_ONCE = 100_000
# Values that the error line names.
_NAMED = 3


@dataclass(slots=True)
class _Orphans:
    """Rows of a table that name what is gone: how many, with the values that they name and the keys of the first."""

    count: int = 0
    values: dict[Any, None] = field(default_factory=dict)
    keys: list[Any] = field(default_factory=list)


def recheck(
    load: Load, changes: Mapping[str, bool | None], is_held: Callable[[Table], bool], *, ask_always: bool
) -> Steps[None]:
    """Raise StoreError where rows that a load wrote name rows that are gone by now.

    changes: by database, whether it has changed since this was looked at; None where it does not say so.
    is_held: whether the run has kept all others from writing to a table.
    ask_always: whether keys are asked for again in a database that does not say whether it has changed.
    """
    for each in load.relied_on:
        changed = changes[each.database.name]
        if changed or (changed is None and ask_always and not is_held(each.target)):
            yield from _recheck_reference(load, each)
    for each in load.linked_to:
        changed = changes[each.database.name]
        if changed or (changed is None and ask_always and not is_held(each.target)):
            yield from _recheck_links(load, each)


def _recheck_links(load: Load, known: KnownReference) -> Steps[None]:
    if len(known.named) and (yield from _has_lost_keys(load, known)):
        lost = f"rows of {load.table.name} would be linked to what was deleted since the load began"
        advice = "run the same command again, which rejects such records"
        raise StoreError(known.database.name, f"table {known.target.name}: {lost}; {advice}")


def _recheck_reference(load: Load, known: KnownReference) -> Steps[None]:
    if not (yield from _has_lost_keys(load, known)):
        return
    orphans = yield from _orphans(load, known)
    if orphans.count:
        raise StoreError(known.database.name, _problem(load, known, orphans))


def _has_lost_keys(load: Load, known: KnownReference) -> Steps[bool]:
    """Return whether any key of the target that existed when records were judged is gone by now."""
    existing: pl.Series = yield Call(_existing, (load, known))
    if not len(existing):
        return False
    target = _target(known)
    bounds = (existing.min(), existing.max()) if existing.dtype == pl.Int64 else (None, None)
    now = ReferencedKeys(target.column(target.key), None, bounds)
    for start in range(0, len(existing), _AT_ONCE):
        unknown: pl.Series = yield Call(now.unknown, (existing.slice(start, _AT_ONCE),))
        if len(unknown):
            yield from learn(target, known.database, now, unknown)
    gone: pl.Series = yield Call(now.are_dangling, (existing,))
    return bool(gone.any())


def _existing(load: Load, known: KnownReference) -> pl.Series:
    """Return the keys that existed when records were judged: of those that records name, at least."""
    named = known.named.all()
    if known.target.name in load.noted or known.reference.to:
        return named
    return pl.concat([known.keys.existing(), named]) if len(named) else known.keys.existing()


def _target(known: KnownReference) -> Table:
    """Return the target, as the reference identifies its rows: it may hold another column than the key."""
    return known.target.identified_by(known.reference.to) if known.reference.to else known.target


def _orphans(load: Load, known: KnownReference) -> Steps[_Orphans]:
    """Read the rows of a table, and find those of this run that name what is gone."""
    table, reference, target = load.table, known.reference, _target(known)
    orphans = _Orphans()
    rows = yield from load.database.rows(table)
    after = None
    while (part := (yield from rows.read([table.key, reference.column], after, _AT_ONCE))) is not None:
        keys, values = part.keys
        named = values.filter(load.accepted.are_taken(keys)).drop_nulls().unique()
        present = (yield from known.database.present(target, named)) if len(named) else named
        places = (load.accepted.are_taken(keys) & values.is_not_null() & ~values.is_in(present.implode())).arg_true()
        orphans.count += len(places)
        first = places.head(_NAMED + 1)
        orphans.values |= dict.fromkeys(values.gather(first))
        orphans.keys += keys.gather(first).to_list()
        after = part.last
    return orphans


def _problem(load: Load, known: KnownReference, orphans: _Orphans) -> str:
    table, reference = load.table, known.reference
    count = "a row" if orphans.count == 1 else f"{orphans.count:,} rows"
    lost = f"{count} of {table.name} would name in {reference.column} what was deleted since the load began"
    some = f"{_listed(orphans.values)} (in {table.name} {_listed(orphans.keys)})"
    advice = "run the same command again, which rejects such records"
    if load.tally.kept.records:
        advice = "check_references lists those of them that are kept; mend them, and run the same command again"
    return f"table {known.target.name}: {lost}: {some}; {advice}"


def _listed(values: Iterable[Any]) -> str:
    """Return the first values, as the error line has them."""
    shown = [f"'{clipped(value)}'" if isinstance(value, str) else str(value) for value in values]
    return ", ".join([*shown[:_NAMED], *(["..."] if len(shown) > _NAMED else [])])
