"""The interface of stores: their steps, and the SQL that is the same for all. A package for each kind has the rest.

A store's statements find the rows of a batch in a table, under the columns c0, c1, ... Identifiers go through `quoted`,
values are bound. Nothing here begins, waits or commits by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from async_loader.columns import Column
from async_loader.constraints import Unique
from async_loader.effects import AsyncConnection, Change, Connection, Each, Packed, Query, Refusal, Steps
from async_loader.errors import RefusedError
from async_loader.ledger.entries import DISCARD, TableRun
from async_loader.records.arrays import from_integers
from async_loader.records.keys import KeyRange
from async_loader.records.validation import REJECTS
from async_loader.stores.answers import BrokenRows, ForeignKey, StoredRows
from async_loader.stores.names import quoted, table_sql
from async_loader.stores.values import read_back
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.records.row_index import FoundRows
    from async_loader.stores.new_keys import NewKeys
    from async_loader.stores.referring import Referring
    from async_loader.stores.shares import Place, Shares

# The reason for which a row was refused that neither was stored nor broke a constraint.
PASSED_OVER = Refusal("a trigger passed over it")


@dataclass(frozen=True, slots=True)
class Store(ABC):
    """A database under the name that tables use for it."""

    name: str

    # The table in which a statement finds the batch that it is given.
    batch: ClassVar[str]
    # The expression by which rows of the batch are ordered as they were given.
    batch_order: ClassVar[str]
    # In SQL, the reasons of a row of `loader_rejects`, each as JSON under `value`.
    each_reason: ClassVar[str]
    # In SQL, at the end of a query of `rejects`, that no other transaction may change the rows found.
    keeping_rejects: ClassVar[str] = ""
    # Whether what it is given to write is stored.
    writes: ClassVar[bool] = True
    # How many keys of a table it lists in the time in which it answers a question about a single key.
    price_of_asking: ClassVar[int]
    # How many rows it lists, with some of their values, in the time in which it finds one by such values.
    price_of_finding: ClassVar[float]
    # The expression by which lines of the ledger are ordered as they were first written.
    ledger_order: ClassVar[str]

    @property
    @abstractmethod
    def shares(self) -> Shares:
        """The shares that it keeps of a load which several workers carry out. ConfigurationError where it keeps none,
        because one process alone can write to it.
        """

    def in_session(self, session: str, place: Place | None) -> Self:  # noqa: ARG002 - of a store that keeps shares
        """Return the same database, whose server calls sessions by this name, of 63 characters at most.

        place: where the sessions find tables, as far as a setting can say it.
        """
        return self

    @property
    @abstractmethod
    def referring(self) -> Referring:
        """The references to rows of its tables."""

    @abstractmethod
    def create(self, tables: Sequence[Table], *, fresh: bool) -> Steps[None]:
        """Begin to write, and create what is missing, the loader's own tables too; with `fresh`, empty all of it."""

    @abstractmethod
    def begin(self, tables: Iterable[Table]) -> Steps[None]:
        """Begin to write: from here on nothing that is read from these tables can change before the commit, and no
        other load can begin.
        """

    def begin_next(self, tables: Iterable[Table]) -> Steps[None]:
        """Begin to write once more, after a commit."""
        yield from self.begin(tables)

    def begin_share(self) -> Steps[None]:
        """Begin to write, while others may write as well."""
        yield Change(self.name, "BEGIN")

    @abstractmethod
    def begin_reading(self) -> Steps[None]:
        """Begin to read, from here on in one state of the database."""

    def hold(self) -> Steps[None]:
        """Begin to read as `begin_reading` does, through a connection that can write nothing from here on."""
        yield from self.begin_reading()

    def version(self) -> Steps[Any]:
        """Return a value that is another one once another connection has committed anything; None where none is known.

        Within a transaction that holds one state of the database it stays the same.
        """
        yield from ()
        return None

    def check_place(self) -> Steps[None]:
        """Raise StoreError where another database, or none, is found by now in the place of the open one."""
        yield from ()

    def check_writable(self) -> Steps[None]:
        """Raise StoreError where nothing can be written."""
        yield Change(self.name, "DELETE FROM loader_runs WHERE FALSE")

    def commit(self) -> Steps[None]:
        """Make everything since `begin` permanent."""
        yield Change(self.name, "COMMIT")

    def roll_back(self) -> Steps[None]:
        """Undo everything since `begin`."""
        yield Change(self.name, "ROLLBACK")

    @abstractmethod
    def check(self, table: Table, *, filled: bool = False) -> Steps[None]:
        """Raise StoreError unless the database has the table as declared, and the loader's own. `filled`: also unless
        the declared columns are enough to make a row of.
        """

    @abstractmethod
    def identity(self) -> Steps[tuple[object, object]]:
        """Return what the open database is, equal for stores of one database, and how it is used: stores of one
        database that use it in the same way can share a connection.
        """

    @abstractmethod
    def foreign_keys(self, table: Table) -> Steps[list[ForeignKey]]:
        """Return the foreign keys of one column that the table has, in the order of their columns."""

    def broken_rows(self, table: Table) -> Steps[BrokenRows]:  # noqa: ARG002 - of a store that asks all keys at once
        """Return the rows that break foreign keys which are asked at the commit only, and are no references."""
        yield from ()
        return BrokenRows()

    @abstractmethod
    def key_range(self, table: Table) -> Steps[KeyRange | None]:
        """Return bounds of the table's keys; None where it is empty."""

    @abstractmethod
    def held(
        self, table: Table, records: pl.DataFrame, absent: Collection[str] = ()
    ) -> Steps[tuple[pl.Series, pl.Series]]:
        """Return the places, among n records in the table's columns, of the records whose keys the table holds with the
        same values, and of those whose keys it holds with other values. Columns that are `absent` do not count.
        """

    @abstractmethod
    def owned(self, table: Table, unique: Unique, records: pl.DataFrame) -> Steps[pl.Series]:
        """Return the places, among n records of a key and the values of a unique set, of those whose values a row with
        another key has.
        """

    @abstractmethod
    def conditions(self, table: Table) -> Steps[dict[str, str]]:
        """Return by name the unique indexes of the table that are partial: the condition of each in SQL."""

    @abstractmethod
    def values_of(self, table: Table, columns: Sequence[Column], keys: pl.Series) -> Steps[list[tuple[Any, ...]]]:
        """Return the place, and the values of some columns as stored, of each of n keys that the table holds."""

    def as_stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return values in the types in which they are stored."""
        return frame

    def read_back(self, column: Column, stored: Any) -> tuple[Any, bool]:
        """Return a value that `values_of` gave as a batch has it, and whether it is odd: one that would not be written
        back as it is. Null stands for what is odd.
        """
        return read_back(column, stored)

    @abstractmethod
    def present(self, table: Table, keys: pl.Series) -> Steps[pl.Series]:
        """Return the keys, of those given, that the table holds."""

    @abstractmethod
    def find(
        self, table: Table, columns: Sequence[Column], wanted: Column, frame: pl.DataFrame, *, is_indexed: bool
    ) -> Steps[FoundRows]:
        """Find rows by their values in some columns. `frame` has n rows, none of them null, in these columns; what is
        found is the value that the row has in the column `wanted`, which is of a type that a key may have.

        is_indexed: what `is_indexed` says. If it is false, all rows of the table are looked at, once for each part of
        the frame.
        """

    @abstractmethod
    def linked(self, table: Table, column: Column, wanted: Column, values: pl.Series) -> Steps[pl.DataFrame]:
        """Return the rows of a table that have one of n values in a column: the `place` of the value, and of the row
        the `value` of the column `wanted` and its `key`. Both columns are of types that a key may have.
        """

    @abstractmethod
    def delete(self, table: Table, keys: pl.Series) -> Steps[int]:
        """Delete the rows of some keys. Returns how many."""

    def count(self, table: Table) -> Steps[int]:
        """Return the number of the table's rows."""
        [(rows,)] = yield Query(self.name, f"SELECT count(*) FROM {table_sql(table.name)}")
        return int(rows)

    def greatest(self, table: Table, column: Column) -> Steps[int]:
        """Return the greatest integer of a column; 0 where there is none."""
        [(value,)] = yield Query(self.name, f"SELECT max({quoted(column.name)}) FROM {table_sql(table.name)}")
        return int(value or 0)

    @abstractmethod
    def is_indexed(self, table: Table, columns: Sequence[Column]) -> Steps[bool]:
        """Return whether an index leads to the rows that have given values in these columns."""

    @abstractmethod
    def new_keys(self, table: Table) -> Steps[NewKeys]:
        """Return keys for new rows, in the open transaction. StoreError where the database makes none."""

    @abstractmethod
    def computed(self, table: Table, column: Column, size: int) -> Steps[pl.Series]:
        """Return that many values of a column that the database computes for new rows. StoreError where it computes
        none.
        """

    @abstractmethod
    def keys_between(self, table: Table, least: int, greatest: int) -> Steps[pl.Series]:
        """Return all of the table's integer keys from `least` to `greatest`, both included."""

    @abstractmethod
    def pack(self, frame: pl.DataFrame, table: Table | None = None, *, replace: bool = False) -> Sequence[Packed]:
        """Return a frame's rows, made ready for a statement in any thread; columns keep their order.

        table: of records that `write` is to store, their table, by whose key they may be sorted; `replace` as there.
        """

    def pack_question(self, frame: pl.DataFrame) -> Sequence[Packed]:
        """Return a frame's rows, made ready for a question: also in a dry run, which writes none."""
        return self.pack(frame)

    @abstractmethod
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
        """Store new records, `size` of them, in the table's columns; with `replace`, also records whose keys rows have:
        those rows take their values, but for columns that are `absent`. Returns how many were stored. RefusedError,
        with nothing done, where that is not all of them. `first`: changes that are done before, and undone with it.
        """

    @abstractmethod
    def assigning(self, table: Table, records: pl.DataFrame) -> Change:
        """Return the change by which rows take values: `records` has their keys, and the values of other columns."""

    @abstractmethod
    def write_each(
        self, table: Table, records: pl.DataFrame, held: pl.Series, absent: Collection[str] = ()
    ) -> Steps[tuple[int, dict[Any, Refusal]]]:
        """Store records one by one, otherwise as `write` does; `held` are keys that the table holds. Returns how many
        were stored, and by key why each of the others was refused.
        """

    @abstractmethod
    def unasked(self, table: Table) -> Steps[list[str]]:
        """Return in words the table's constraints and triggers that nothing but a change of the table asks."""

    @staticmethod
    @abstractmethod
    def mark(number: int) -> str:
        """Return the mark of the bound value of this number, from 1. The marks of a statement stand in this order."""

    def add_rejects(self, run: str, created_at: str, source: str, rejects: Sequence[Packed]) -> Steps[int]:
        """Store a verdict's rejects. Returns how many."""
        names = ", ".join(["run", "source", "created_at", *REJECTS])
        bound = ", ".join(self.mark(number) for number in (1, 2, 3))
        values = f"SELECT {bound}, {numbered(REJECTS)} FROM {self.batch} ORDER BY {self.batch_order}"
        sql = f"INSERT INTO loader_rejects ({names}) {values}"
        return (yield from self.change(sql, (run, source, created_at), rejects))

    def change(
        self,
        sql: str,
        parameters: tuple[Any, ...],
        batch: Sequence[Packed],
        rows: int | None = None,
        first: Sequence[Change] = (),
    ) -> Steps[int]:
        """Return how many rows a statement changed; without a batch to change, it is not run."""
        if not batch:
            return 0
        changed: int = yield Change(self.name, sql, parameters, batch, rows, first)
        return changed

    def save_run(self, line: TableRun, unchanged: Collection[str] = ()) -> Steps[None]:
        """Store how far a run has come with a table, in place of its earlier line, which has the same values in the
        unchanged columns.
        """
        row = line.as_row()
        changed = {name: value for name, value in row.items() if name not in unchanged}
        assignments = ", ".join(f"{quoted(name)} = {self.mark(number)}" for number, name in enumerate(changed, 1))
        is_line = f"run = {self.mark(len(changed) + 1)} AND table_name = {self.mark(len(changed) + 2)}"
        update = f"UPDATE loader_runs SET {assignments} WHERE {is_line}"
        if not (yield Change(self.name, update, (*changed.values(), line.run, line.table_name))):
            bound = ", ".join(self.mark(number) for number in range(1, len(row) + 1))
            insert = f"INSERT INTO loader_runs ({', '.join(map(quoted, row))}) VALUES ({bound})"
            yield Change(self.name, insert, tuple(row.values()))

    def go_on_counting(self, table: Table) -> Steps[None]:  # noqa: ARG002 - of a store that counts keys apart
        """Move the auto-increment of the table's key past the keys that have been loaded."""
        yield from ()

    def loads_of(self, table: Table) -> Steps[list[TableRun]]:
        """Return the lines of all runs that have loaded into the table, the first one first."""
        condition = f"table_name = {self.mark(1)} AND mode <> {self.mark(2)}"
        return (yield from self.lines(condition, (table.name, DISCARD)))

    def last_run(self, table: Table) -> Steps[TableRun | None]:
        """Return the line of the last run that wrote the table."""
        lines = yield from self.loads_of(table)
        return lines[-1] if lines else None

    def lines(self, condition: str, parameters: Sequence[Any] = ()) -> Steps[list[TableRun]]:
        """Return lines of the ledger, in the order in which they were first written."""
        names = ", ".join(map(quoted, TableRun.COLUMNS))
        sql = f"SELECT {names} FROM loader_runs WHERE {condition} ORDER BY {self.ledger_order}"
        rows = yield Query(self.name, sql, parameters)
        return [TableRun.from_row(row) for row in rows]

    @abstractmethod
    def rows(self, table: Table) -> Steps[StoredRows]:
        """Return the rows of a table that has been checked. It reads from the table, so a transaction that has begun
        sees this state of the database from here on.
        """

    def undecoded(self, name: str) -> str:
        """Return, in SQL, a column of the loader's own tables that can be fetched even where it is no UTF-8."""
        return quoted(name)

    @abstractmethod
    def connect(self, *, lock_timeout: float, writable: bool, create: bool) -> Connection:
        """Open the database. `lock_timeout`: seconds to wait for a lock. `create`: make it where there is none."""

    @abstractmethod
    async def connect_async(self, *, lock_timeout: float, writable: bool, create: bool) -> AsyncConnection:
        """Open the database as `connect` does, for an event loop."""

    @abstractmethod
    def perform(self, connection: Any, statement: Query | Change | Each) -> Any:
        """Return the statement's result, as its effect says, over what `connect` gave."""


def refused(database: str, refusal: Refusal) -> RefusedError:
    """Return the error of a statement of which a row was refused."""
    error = RefusedError(database, refusal.said)
    error.refusal = refusal
    return error


def only_updates(table: Table, absent: Collection[str]) -> bool:
    """Return whether records can make no new row, because the source lacks columns that one needs."""
    return any(table.column(name).is_required and name != table.key for name in absent)


def assignments(table: Table, absent: Collection[str], value: Callable[[int], str]) -> str:
    """Return, in SQL, that the columns of a row take values: `value` gives the one of a column by its place."""
    kept = {table.key, *absent}
    names = [(place, name) for place, name in enumerate(table.column_names) if name not in kept]
    return ", ".join(f"{quoted(name)} = {value(place)}" for place, name in names)


def numbered(columns: Collection[str]) -> str:
    """Return the names of that many columns in a batch."""
    return ", ".join(f"c{place}" for place in range(len(columns)))


def integers(texts: Iterable[str | None]) -> pl.Series:
    """Return integers that a database joined into texts: one long value is fetched far faster than many rows."""
    parts = [np.fromstring(text, np.int64, sep=",") for text in texts if text is not None]
    return from_integers(np.concatenate(parts) if parts else np.zeros(0, np.int64))
