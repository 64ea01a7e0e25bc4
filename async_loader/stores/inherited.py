"""Tables whose rows lie in several tables of one database: the questions and changes of one, taken apart by table.

A store that `inheriting` gives answers as any other. For a table with parents it asks each of the tables for what lies
there, and writes a record into all of them or into none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as replace_in
from functools import cache
from typing import Any, TypeVar, cast

import polars as pl

from async_loader.columns import Column
from async_loader.constraints import Unique
from async_loader.effects import Call, Change, Packed, Refusal, Steps
from async_loader.errors import RefusedError
from async_loader.inheritance import part_of, parts_of
from async_loader.records.keys import KeyRange
from async_loader.stores.answers import BrokenRows, ForeignKey
from async_loader.stores.new_keys import NewKeys
from async_loader.stores.store import Store
from async_loader.tables import Table

AnyStore = TypeVar("AnyStore", bound=Store)


def for_tables(databases: Mapping[str, Store], tables: Iterable[Table]) -> Mapping[str, Store]:
    """Return the databases of tables, made ready for those that have parents."""
    names = {table.database for table in tables if table.parents}
    return {name: inheriting(store) if name in names else store for name, store in databases.items()}


def inheriting(store: AnyStore) -> AnyStore:
    """Return a store of the same database for tables with parents."""
    values = {field.name: getattr(store, field.name) for field in fields(store)}
    return cast("AnyStore", _kind(type(store))(**values))


@cache
def _kind(kind: type[Store]) -> type[Any]:
    if issubclass(kind, _Inheriting):
        return kind
    return type(f"Inheriting{kind.__name__}", (_Inheriting, kind), {"__slots__": ()})


@dataclass(frozen=True, slots=True)
class _Divided:
    """Records of a table with parents, packed for each of its parts."""

    parts: tuple[Sequence[Packed], ...]


class _Inheriting(Store):
    """What changes in a store for tables with parents. A part of one is a table without parents, of a store's own."""

    __slots__ = ()

    def begin(self, tables: Iterable[Table]) -> Steps[None]:
        """See Store: all parts are locked."""
        yield from super().begin([part for table in tables for part in parts_of(table)])  # type: ignore[safe-super]

    def create(self, tables: Sequence[Table], *, fresh: bool) -> Steps[None]:
        """See Store: what lies in parents is emptied after the rest."""
        parts = [part for table in tables for part in parts_of(table)[::-1]]
        yield from super().create(parts, fresh=fresh)  # type: ignore[safe-super]

    def check(self, table: Table, *, filled: bool = False) -> Steps[None]:
        """Do what `Store.check` says."""
        for part in parts_of(table):
            yield from super().check(part, filled=filled)  # type: ignore[safe-super]

    def foreign_keys(self, table: Table) -> Steps[list[ForeignKey]]:
        """See Store: without those that lead from part to part."""
        keys: list[ForeignKey] = []
        for part in parts_of(table):
            found = yield from super().foreign_keys(part)  # type: ignore[safe-super]
            keys += [key for key in found if not table.parents or key.column in {*table.column_names} - {part.key}]
        return keys

    def broken_rows(self, table: Table) -> Steps[BrokenRows]:
        """Do what `Store.broken_rows` says."""
        number, last = 0, BrokenRows()
        for part in parts_of(table):
            broken = yield from super().broken_rows(part)
            number, last = number + broken.number, broken if broken.number else last
        return replace_in(last, number=number)

    def unasked(self, table: Table) -> Steps[list[str]]:
        """Do what `Store.unasked` says."""
        found: list[str] = []
        for part in parts_of(table, with_rules=True):
            found += yield from super().unasked(part)  # type: ignore[safe-super]
        return found

    def conditions(self, table: Table) -> Steps[dict[str, str]]:
        """Do what `Store.conditions` says."""
        found: dict[str, str] = {}
        for part in parts_of(table):
            found |= yield from super().conditions(part)  # type: ignore[safe-super]
        return found

    def key_range(self, table: Table) -> Steps[KeyRange | None]:
        """See Store: the bounds of all keys that a new row cannot have."""
        return (yield from super().key_range(parts_of(table)[0]))  # type: ignore[safe-super]

    def held(
        self, table: Table, records: pl.DataFrame, absent: Collection[str] = ()
    ) -> Steps[tuple[pl.Series, pl.Series]]:
        """See Store: a row is there if all of its parts are."""
        answers = []
        for part in parts_of(table):
            known = _frame(table, part, records)
            answers.append((yield from super().held(part, known, absent)))  # type: ignore[safe-super]
        if len(answers) == 1:
            return answers[0]
        same, differing = answers[-1]
        for _, others in answers[:-1]:
            moved = same.filter(same.is_in(others.implode()))
            same, differing = same.filter(~same.is_in(others.implode())), pl.concat([differing, moved])
        return same, differing

    def owned(self, table: Table, unique: Unique, records: pl.DataFrame) -> Steps[pl.Series]:
        """See Store: also rows of a parent that are no rows of the table have values."""
        part = part_of(table, unique.columns)
        return (yield from super().owned(part, unique, records))  # type: ignore[safe-super]

    def values_of(self, table: Table, columns: Sequence[Column], keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        """Do what `Store.values_of` says."""
        if not table.parents:
            return (yield from super().values_of(table, columns, keys))  # type: ignore[safe-super]
        parts = parts_of(table)
        found: list[dict[int, dict[str, Any]]] = []
        for part in parts:
            own = [part.column(part.key)]
            own += [column for column in columns if column.name in part.column_names and column.name != part.key]
            rows = yield from super().values_of(part, own, keys)  # type: ignore[safe-super]
            names = [table.key, *(column.name for column in own[1:])]
            found.append({place: dict(zip(names, values, strict=True)) for place, *values in rows})
        wanted = [column.name for column in columns]
        places = [place for place in found[-1] if all(place in each for each in found)]
        whole = {place: {name: value for each in found for name, value in each[place].items()} for place in places}
        return [(place, *(values[name] for name in wanted)) for place, values in whole.items()]

    def present(self, table: Table, keys: pl.Series) -> Steps[pl.Series]:
        """See Store: what its own part has."""
        return (yield from super().present(parts_of(table)[-1], keys))  # type: ignore[safe-super]

    def count(self, table: Table) -> Steps[int]:
        """Do what `Store.count` says."""
        return (yield from super().count(parts_of(table)[-1]))

    def greatest(self, table: Table, column: Column) -> Steps[int]:
        """Do what `Store.greatest` says."""
        return (yield from super().greatest(part_of(table, [column.name]), column))

    def is_indexed(self, table: Table, columns: Sequence[Column]) -> Steps[bool]:
        """See Store: an index of a parent is one too."""
        for part in parts_of(table):
            own = [column for column in columns if column.name in part.column_names]
            if own and (yield from super().is_indexed(part, own)):  # type: ignore[safe-super]
                return True
        return False

    def new_keys(self, table: Table) -> Steps[NewKeys]:
        """See Store: the first parent makes them."""
        return (yield from super().new_keys(parts_of(table)[0]))  # type: ignore[safe-super]

    def go_on_counting(self, table: Table) -> Steps[None]:
        """Do what `Store.go_on_counting` says."""
        yield from super().go_on_counting(parts_of(table)[0])

    def computed(self, table: Table, column: Column, size: int) -> Steps[pl.Series]:
        """Do what `Store.computed` says."""
        part = part_of(table, [column.name])
        return (yield from super().computed(part, column, size))  # type: ignore[safe-super]

    def keys_between(self, table: Table, least: int, greatest: int) -> Steps[pl.Series]:
        """Do what `Store.keys_between` says."""
        return (yield from super().keys_between(parts_of(table)[-1], least, greatest))  # type: ignore[safe-super]

    def pack(self, frame: pl.DataFrame, table: Table | None = None, *, replace: bool = False) -> Sequence[Packed]:
        """Do what `Store.pack` says."""
        if table is None or not table.parents:
            return super().pack(frame, table, replace=replace)  # type: ignore[safe-super]
        if frame.is_empty():
            return ()
        parts = [
            super(_Inheriting, self).pack(_frame(table, part, frame), part, replace=replace)  # type: ignore[safe-super]
            for part in parts_of(table)
        ]
        return (_Divided(tuple(parts)),)

    def write(
        self,
        table: Table,
        records: Sequence[Packed],
        size: int,
        *,
        replace: bool,
        absent: Collection[str] = (),
        first: Sequence[Change] = (),
    ) -> Steps[int]:
        """See Store: what lies in parents is written before, and undone with the rest."""
        write = super().write  # type: ignore[safe-super]
        if not table.parents or not records:
            return (yield from write(table, records, size, replace=replace, absent=absent, first=first))
        changes, parts = list(first), parts_of(table)
        # A part that has nothing to change is left alone where no new row can be made.
        makes_rows = not any(table.column(name).is_required and name != table.key for name in absent)
        changed = [n for n, part in enumerate(parts) if makes_rows or _others(part) - set(absent)]
        for number in changed or [len(parts) - 1]:
            packed = [packed for each in records for packed in each.parts[number]]
            lacking = set(parts[number].column_names) & set(absent)
            steps = write(parts[number], packed, size, replace=replace, absent=lacking)
            changes.append((yield from _change(steps)))
        stored: int = yield replace_in(changes[-1], first=tuple(changes[:-1]))
        return stored

    def assigning(self, table: Table, records: pl.DataFrame) -> Change:
        """Do what `Store.assigning` says."""
        part = part_of(table, [name for name in records.columns if name != table.key])
        named = records.rename({table.key: part.key})
        return super().assigning(part, named)  # type: ignore[safe-super]

    def write_each(
        self, table: Table, records: pl.DataFrame, held: pl.Series, absent: Collection[str] = ()
    ) -> Steps[tuple[int, dict[Any, Refusal]]]:
        """See Store: each record is written into all parts, or into none."""
        if not table.parents:
            return (yield from super().write_each(table, records, held, absent))  # type: ignore[safe-super]
        stored, refused, known = 0, dict[Any, Refusal](), set(held)
        for record in records.iter_slices(1):
            key = record[table.key][0]
            packed = yield Call(self._packed_alone, (record, table, key in known))
            try:
                stored += yield from self.write(table, packed, 1, replace=key in known, absent=absent)
            except RefusedError as error:
                refused[key] = error.refusal or Refusal(error.problem)
        return stored, refused

    def _packed_alone(self, record: pl.DataFrame, table: Table, is_held: bool) -> Sequence[Packed]:  # noqa: FBT001
        return self.pack(record, table, replace=is_held)


def _others(part: Table) -> set[str]:
    return set(part.column_names) - {part.key}


def _frame(table: Table, part: Table, records: pl.DataFrame) -> pl.DataFrame:
    """Return what records have in the columns of a part."""
    if not table.parents:
        return records
    others = [name for name in part.column_names if name != part.key]
    return records.select(pl.col(table.key).alias(part.key), *others)


def _change(steps: Steps[int]) -> Steps[Change]:
    """Return the change that steps of writing would make, and do what they do before it."""
    answer: Any = None
    while True:
        effect = steps.send(answer)
        if isinstance(effect, Change):
            steps.close()
            return effect
        answer = yield effect
