"""Rows that no record of the run names, deleted or marked once all records are written. Steps.

What a row that stays names is kept, wherever that row is. A row that is deleted keeps nothing, so the rows of a table
are decided after those of the tables that reference it, and deleted after them. Where another database that the run
writes to references a table, its rows are deleted in a transaction of their own, after all records are committed: so at
no instant does a row of another database name what is gone. Until then the ledger has the table as not complete, and a
run that is cut short is finished by the next one.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from async_loader.columns import Column
from async_loader.effects import Call, Steps
from async_loader.errors import DeleteLimitError, SourceError, StoreError
from async_loader.ledger.counts import Counts
from async_loader.ledger.report import ReferencedRow
from async_loader.ledger.tally import Tally
from async_loader.loading.load import Load
from async_loader.loading.naming import NamedRows
from async_loader.records.key_sets import KeySet, key_set
from async_loader.records.keys import AcceptedKeys
from async_loader.run.deletions import Mark, Referrer, marked, most_deletes
from async_loader.run.referrers import Referrers, find_referrers
from async_loader.run.state import RunState
from async_loader.stores.store import Store
from async_loader.tables import Table

# Rows that are read, asked about or deleted at a time.
_AT_ONCE = 100_000


@dataclass(slots=True, eq=False)
class Deletion:
    """What is to be deleted of one table.

    mark: how its rows are marked instead. named: the rows that records name. keys: the rows to be deleted, once found.
    """

    name: str
    mark: Mark | None
    named: NamedRows
    keys: pl.Series

    def without(self, kept: pl.Series) -> None:
        """Keep some of the rows."""
        self.keys = self.keys.filter(~self.keys.is_in(kept.implode()))


class Deleting:
    """The deletions of a run. `begin` comes before its loads; `find` after them; then `delete`, or `finish`."""

    _referrers: Referrers
    # The keys of accepted records, and the loads of a dry run: what these would write is in no database.
    _accepted: Mapping[str, AcceptedKeys]
    _dry: Mapping[str, Load]

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._deletions: dict[str, Deletion] = {}
        for table in reversed(state.remaining):
            if table.name in state.plan.options.delete_missing:
                column = table.column(table.key)
                mark, nothing = state.plan.options.delete_missing[table.name], pl.Series([], dtype=column.dtype)
                self._deletions[table.name] = Deletion(table.name, mark, NamedRows(column), nothing)
        self._is_found = False

    def named(self, table: str) -> NamedRows | None:
        """Return where the load of a table notes which rows its records name; None where none are deleted."""
        return self._deletions[table].named if table in self._deletions else None

    @property
    def names(self) -> frozenset[str]:
        """The tables of which rows are deleted or marked."""
        return frozenset(self._deletions)

    def begin(self) -> Steps[None]:
        """Count the rows before the run, and find what may name rows that are to be deleted."""
        state = self._state
        for name in self._deletions:
            for reader in state.readers[name]:
                if reader.is_rejects:
                    problem = f"is a file of rejects, which names few rows of {name}; load it without --delete-missing"
                    raise SourceError(reader.source.name, problem)
            if self._tally(name).rows_before is None:
                table = self._table(name)
                self._tally(name).rows_before = yield from state.database(table).count(table)
        self._referrers = yield from find_referrers(state.plan, self._deletions)
        for each in self._deleted():
            for referrer in self._referrers.by_target[each.name]:
                self._target_column(each, referrer)
        self._put_in_order()

    def _put_in_order(self) -> None:
        """Put each table after those whose rows, or whose links, may name its rows; as it is where that is a circle."""
        several = list(self._deletions.values())
        graph = {
            each.name: [other.name for other in several if other is not each and self._names(other, each)]
            for each in several
        }
        with suppress(graphlib.CycleError):
            names = [*graphlib.TopologicalSorter(graph).static_order()]
            self._deletions = {name: self._deletions[name] for name in names}

    def find(self, accepted: Mapping[str, AcceptedKeys], dry: Mapping[str, Load] | None = None) -> Steps[None]:
        """Find the rows to be deleted, with all databases that the run writes to in a transaction. DeleteLimitError
        where they are too many. dry: the loads of a dry run.
        """
        self._accepted, self._dry = accepted, dry or {}
        for each in self._deletions.values():
            self._tally(each.name).forget_missing()
            if each.named.unclear:
                self._tally(each.name).not_deleted = _unclear(each.named)
            else:
                each.keys = yield from self._unnamed(each)
        yield from self._hold_others()
        yield from self._keep_referenced()
        yield from self._release_others()
        self._is_found = True
        self._check_limit()

    def late(self) -> frozenset[str]:
        """Return the tables of which rows are deleted after all records are committed."""
        written = {table.database for table in self._state.plan.loaded}
        late: set[str] = set()
        for each in self._deleted():
            others = written - {self._table(each.name).database}
            is_named_elsewhere = any(referrer.database in others for referrer in self._referrers.by_target[each.name])
            if is_named_elsewhere or any(self._names(self._deletions[name], each) for name in late):
                late.add(each.name)
        return frozenset(late)

    def delete(self, names: Iterable[str]) -> Steps[None]:
        """Delete or mark the rows of tables, in the open transactions of their databases."""
        chosen = set(names)
        for each in self._deletions.values():
            if each.name in chosen and len(each.keys):
                deleted = yield from (self._delete(each) if each.mark is None else self._mark(each, each.mark))
                self._tally(each.name).counts += Counts(deleted=deleted)

    def count(self) -> None:
        """Count what a dry run would delete."""
        for each in self._deletions.values():
            self._tally(each.name).counts += Counts(deleted=len(each.keys))

    def look_again(self) -> Steps[None]:
        """Keep those of the rows found that have come to be referenced since."""
        yield from self._hold_others()
        yield from self._keep_referenced()
        yield from self._release_others()

    @property
    def is_found(self) -> bool:
        """Whether the rows to be deleted are known."""
        return self._is_found

    def _table(self, name: str) -> Table:
        return next(table for table in self._state.plan.loaded if table.name == name)

    def _store(self, each: Deletion) -> Store:
        return self._state.database(self._table(each.name))

    def _tally(self, name: str) -> Tally:
        return self._state.tallies[name]

    def _deleted(self) -> list[Deletion]:
        """Return the deletions of rows that are not only marked."""
        return [each for each in self._deletions.values() if each.mark is None]

    def _unnamed(self, each: Deletion) -> Steps[pl.Series]:
        """Return the keys of rows that no record names; where rows are marked, of those that are not marked yet."""
        table, database = self._table(each.name), self._store(each)
        parts = [each.keys]
        rows = yield from database.rows(table)
        after = None
        while (part := (yield from rows.read([table.key], after, _AT_ONCE))) is not None:
            missing: pl.Series = yield Call(self._missing, (each, part.keys[0].drop_nulls()))
            if len(missing) and each.mark is not None:
                missing = yield from _unmarked(database, table, each.mark, missing)
            parts.append(missing.alias(each.keys.name))
            after = part.last
        keys: pl.Series = yield Call(pl.concat, (parts,))
        return keys

    def _missing(self, each: Deletion, keys: pl.Series) -> pl.Series:
        accepted = self._accepted.get(each.name)
        named = each.named.are_named(keys)
        return keys.filter(~(named if accepted is None else named | accepted.are_taken(keys)))

    def _keep_referenced(self) -> Steps[None]:
        """Keep the rows that rows which stay name. What keeps a row of its own table, or one of a table decided before,
        is asked once more.
        """
        pending = self._deleted()
        while pending:
            each = pending.pop(0)
            before = len(each.keys)
            for referrer in self._referrers.by_target[each.name]:
                yield from self._keep_named(each, referrer, (yield from self._named_by(each, referrer)))
            for referrer, named in self._named_by_records(each):
                yield from self._keep_named(each, referrer, named)
            if len(each.keys) < before:
                pending += [other for other in self._deleted() if other not in pending and self._names(each, other)]

    def _names(self, each: Deletion, other: Deletion) -> bool:
        """Return whether rows of one table, or their links, may name rows of the other."""
        tables = {each.name, *(links.rows.name for links in self._referrers.links[each.name])}
        return any(referrer.table in tables for referrer in self._referrers.by_target[other.name])

    def _keep_named(self, each: Deletion, referrer: Referrer, named: pl.Series) -> Steps[None]:
        if not len(named):
            return
        tally = self._tally(each.name)
        yield Call(each.without, (named,))
        tally.referenced += len(named)
        room = max(0, tally.rejects_shown - len(tally.referenced_rows))
        shown = named.head(room)
        tally.referenced_rows += [ReferencedRow(_for_json(key), referrer.table, referrer.column) for key in shown]

    def _named_by(self, each: Deletion, referrer: Referrer) -> Steps[pl.Series]:
        """Return those of the rows to be deleted that rows which stay name in a column."""
        column = self._target_column(each, referrer)
        asked = self._state.plan.databases[referrer.database].referring
        pairs = []
        for start in range(0, len(each.keys), _AT_ONCE):
            keys = each.keys.slice(start, _AT_ONCE)
            values = keys if not referrer.to else (yield from self._values(each, referrer.to, keys))
            named = yield from asked.naming(referrer.table, replace(column, name=referrer.column), values.drop_nulls())
            pairs.append(pl.DataFrame({"key": keys, "value": values}).filter(values.is_in(named.implode())))
        found = pl.concat(pairs) if pairs else pl.DataFrame({"key": each.keys, "value": each.keys})
        gone = self._gone_with(referrer)
        if gone is None or not len(found):
            return found["key"]
        staying = yield from self._staying(referrer, gone, found["value"])
        return found.filter(found["value"].is_in(staying.implode()))["key"]

    def _target_column(self, each: Deletion, referrer: Referrer) -> Column:
        """Return the column of a table that another one references. StoreError where its values cannot be read."""
        table = self._table(each.name)
        if (referrer.to or table.key) not in table.column_names:
            problem = f"{referrer.table} references its column {referrer.to}, which is not loaded"
            raise StoreError(table.database, f"table {table.name}: {problem}; load it without --delete-missing")
        return table.column(referrer.to or table.key)

    def _values(self, each: Deletion, name: str, keys: pl.Series) -> Steps[pl.Series]:
        """Return the values that the rows of some keys have in another column."""
        table, database = self._table(each.name), self._store(each)
        column = table.column(name)
        rows = yield from database.values_of(table, [column], keys)
        values: list[Any] = [None] * len(keys)
        for place, stored in rows:
            values[place], _ = database.read_back(column, stored)
        return pl.Series(name, values, dtype=column.dtype)

    def _gone_with(self, referrer: Referrer) -> tuple[Table, str, KeySet] | None:
        """Return, where rows of a referencing table may be deleted too, that table, and the column and its values by
        which one knows them. None where all of them stay.
        """
        for each in self._deleted():
            table = self._table(each.name)
            if referrer.table == table.name and referrer.database == table.database and len(each.keys):
                return table, table.key, _as_set(table, each.keys)
            for links in self._referrers.links[each.name]:
                is_link = referrer.table == links.rows.name and referrer.database == table.database
                if is_link and not links.own.to and len(each.keys):
                    return links.rows, links.column, _as_set(table, each.keys)
        return None

    def _staying(self, referrer: Referrer, gone: tuple[Table, str, KeySet], values: pl.Series) -> Steps[pl.Series]:
        """Return those of some values that rows which stay have in a column, of a table of which others are deleted."""
        table, column, deleted = gone
        rows = yield from self._state.plan.databases[referrer.database].rows(table)
        found, after = [values.clear()], None
        while (part := (yield from rows.read([referrer.column, column], after, _AT_ONCE))) is not None:
            found.append((yield Call(_held_by_others, (part.keys, values, deleted))))
            after = part.last
        return pl.concat(found).unique()

    def _named_by_records(self, each: Deletion) -> Iterator[tuple[Referrer, pl.Series]]:
        """Yield what records of a dry run name of the rows to be deleted."""
        for load in self._dry.values():
            for known in (*load.relied_on, *load.linked_to):
                if known.target.name == each.name and not known.reference.to:
                    referrer = Referrer(load.table.database, load.table.name, known.reference.column, each.name)
                    yield referrer, each.keys.filter(known.named.holds(each.keys))

    def _check_limit(self) -> None:
        most = most_deletes(self._state.plan.options.max_deletes or 0)
        total = sum(len(each.keys) for each in self._deletions.values())
        total += sum(tally.counts.deleted for tally in self._state.tallies.values())
        for each in self._deletions.values():
            rows = self._tally(each.name).rows_before or 0
            if problem := most.problem(each.name, rows, len(each.keys), total):
                raise DeleteLimitError(problem)

    def _delete(self, each: Deletion) -> Steps[int]:
        """Delete rows, and before them their links. Rows that may name each other are deleted by one statement."""
        table, database = self._table(each.name), self._store(each)
        size = _AT_ONCE if not self._names(each, each) else len(each.keys)
        deleted = 0
        for start in range(0, len(each.keys), size):
            keys = each.keys.slice(start, size)
            for links in self._referrers.links[each.name]:
                values = keys if not links.own.to else (yield from self._values(each, links.own.to, keys))
                yield from database.delete(links.rows.identified_by(links.column), values.drop_nulls())
            deleted += yield from database.delete(table, keys)
        return deleted

    def _mark(self, each: Deletion, mark: Mark) -> Steps[int]:
        table, database = self._table(each.name), self._store(each)
        stamped = table.stamped_at(datetime.fromisoformat(self._state.began))
        changed = 0
        for start in range(0, len(each.keys), _AT_ONCE):
            frame = yield Call(_as_marked, (stamped, mark, each.keys.slice(start, _AT_ONCE)))
            changed += yield database.assigning(table, frame)
        return changed

    def _hold_others(self) -> Steps[None]:
        """Hold one state of each database that the run does not write to and that may name rows."""
        for name in self._only_read():
            yield from self._state.plan.databases[name].begin_reading()

    def _release_others(self) -> Steps[None]:
        for name in self._only_read():
            yield from self._state.plan.databases[name].roll_back()

    def _only_read(self) -> list[str]:
        plan = self._state.plan
        asked = {each.database for several in self._referrers.by_target.values() for each in several}
        return sorted(asked - {table.database for table in plan.loaded})


def _for_json(key: Any) -> Any:
    """Return a key in a form that JSON has."""
    if isinstance(key, int | str):
        return key
    return key.hex() if isinstance(key, bytes) else str(key)


def _unclear(named: NamedRows) -> str:
    if named.unclear == 1:
        return f"{named.first_unclear}: a record that might name any row"
    return f"{named.first_unclear}: the first of {named.unclear:,} records that might name any row"


def _as_set(table: Table, keys: pl.Series) -> KeySet:
    found = key_set(table.column(table.key))
    found.add(keys)
    return found


def _held_by_others(read: Sequence[pl.Series], values: pl.Series, deleted: KeySet) -> pl.Series:
    held, known_by = read
    return held.filter(held.is_in(values.implode()) & ~deleted.holds(known_by)).unique().alias(values.name)


def _unmarked(database: Store, table: Table, mark: Mark, keys: pl.Series) -> Steps[pl.Series]:
    """Return the keys of those rows that do not have the value which marks them."""
    frame = _as_marked(table, mark, keys, with_stamps=False)
    _, differing = yield from database.held(table.narrowed(frame.columns), frame)
    return keys.gather(differing)


def _as_marked(table: Table, mark: Mark, keys: pl.Series, *, with_stamps: bool = True) -> pl.DataFrame:
    """Return what rows that are marked get: by their keys the mark, and the time of the run where they keep one."""
    columns = [keys.alias(table.key), marked(table, mark).new_from_index(0, len(keys)).alias(mark.column)]
    stamps = [column for column in table.columns if column.restamped and column.name != mark.column]
    columns += [column.defaults(len(keys)).alias(column.name) for column in stamps if with_stamps]
    return pl.DataFrame(columns)
