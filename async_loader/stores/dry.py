"""A store for dry runs: it answers questions as the store that it is made of, and writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

import polars as pl

from async_loader.effects import AsyncConnection, Change, Connection, Packed, Steps
from async_loader.ledger.entries import TableRun
from async_loader.stores.new_keys import NewKeys, provisional_keys
from async_loader.stores.store import Store
from async_loader.tables import Table

AnyStore = TypeVar("AnyStore", bound=Store)


def dry(store: AnyStore) -> AnyStore:
    """Return a store of the same database that writes nothing."""
    values = {field.name: getattr(store, field.name) for field in fields(store)}
    return cast("AnyStore", _dry_kind(type(store))(**values))


@cache
def _dry_kind(kind: type[Store]) -> type[Any]:
    return kind if issubclass(kind, _Dry) else type(f"Dry{kind.__name__}", (_Dry, kind), {"__slots__": ()})


class _Dry(Store):
    """What a dry run changes in a store; of packed rows only their number is left."""

    __slots__ = ()

    writes: ClassVar[bool] = False

    def begin(self, tables: Iterable[Table]) -> Steps[None]:  # noqa: ARG002 - nothing is locked
        """See Store: hold one state of the database instead, to ask it."""
        yield from self.begin_reading()

    def check_writable(self) -> Steps[None]:
        """Check nothing: the database may be read-only."""
        yield from ()

    def commit(self) -> Steps[None]:
        """Commit nothing: the state of the database stays held."""
        yield from ()

    def last_run(self, table: Table) -> Steps[TableRun | None]:  # noqa: ARG002 - see Store
        """Return no run: a dry run resumes none."""
        yield from ()
        return None

    def pack(self, frame: pl.DataFrame, table: Table | None = None, *, replace: bool = False) -> Sequence[Packed]:  # noqa: ARG002
        """Return the number of rows."""
        return (len(frame),)

    def pack_question(self, frame: pl.DataFrame) -> Sequence[Packed]:
        """See Store: pack the rows, as other stores do."""
        return super().pack(frame)  # type: ignore[safe-super]

    def write(
        self,
        table: Table,  # noqa: ARG002 - see Store
        records: Sequence[Packed],  # noqa: ARG002
        size: int,
        *,
        replace: bool,  # noqa: ARG002
        absent: Collection[str] = (),  # noqa: ARG002
        first: Sequence[Change] = (),  # noqa: ARG002
    ) -> Steps[int]:
        """Return that all rows were stored."""
        yield from ()
        return size

    def delete(self, table: Table, keys: pl.Series) -> Steps[int]:  # noqa: ARG002 - see Store
        """Return that all rows were deleted."""
        yield from ()
        return len(keys)

    def add_rejects(self, run: str, created_at: str, source: str, rejects: Sequence[Packed]) -> Steps[int]:  # noqa: ARG002
        """Return that all rejects were stored."""
        yield from ()
        return sum(rejects)

    def save_run(self, line: TableRun, unchanged: Collection[str] = ()) -> Steps[None]:  # noqa: ARG002 - see Store
        """Save nothing in the ledger."""
        yield from ()

    def new_keys(self, table: Table) -> Steps[NewKeys]:
        """Return keys that stand for those which the database would make, and take none from it."""
        key_range = yield from self.key_range(table)
        return provisional_keys(self.name, table.column(table.key), key_range and key_range[1])

    def go_on_counting(self, table: Table) -> Steps[None]:  # noqa: ARG002 - see Store
        """Leave the counter of keys where it is."""
        yield from ()

    def connect(self, *, lock_timeout: float, writable: bool, create: bool) -> Connection:  # noqa: ARG002 - see Store
        """Open the database for reading only."""
        return super().connect(lock_timeout=lock_timeout, writable=False, create=create)  # type: ignore[safe-super]

    async def connect_async(self, *, lock_timeout: float, writable: bool, create: bool) -> AsyncConnection:  # noqa: ARG002
        """Open the database for reading only, for an event loop."""
        return await super().connect_async(  # type: ignore[safe-super]
            lock_timeout=lock_timeout, writable=False, create=create
        )
