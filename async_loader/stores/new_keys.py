"""Keys for new rows whose source has none: an object that gives them, in ascending order where they are counted.

A store says where its database takes such a key from; see `Store.new_keys`.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from async_loader.columns import Column, Type
from async_loader.effects import Steps
from async_loader.errors import StoreError
from async_loader.records.arrays import from_integers
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.stores.store import Store

# The greatest integer that a key can be.
_GREATEST = 2**63 - 1


class NewKeys(Protocol):
    """Keys that no row of a table has. They hold good until the transaction ends in which they were asked for."""

    def take(self, size: int) -> Steps[pl.Series]:
        """Return `size` keys, each of which is given once."""

    def skip(self, greatest: object) -> None:
        """Note the greatest of the keys that a source has brought itself, or None: none of these is given."""


class CountedKeys:
    """Integers from one on, of a database in which no other session can write meanwhile."""

    def __init__(self, database: str, first: int) -> None:
        self._database = database
        self._next = first

    def take(self, size: int) -> Steps[pl.Series]:
        """Do what `NewKeys` says of it."""
        yield from ()
        if self._next + size - 1 > _GREATEST:
            raise StoreError(self._database, f"has no key left above {self._next - 1}")
        first, self._next = self._next, self._next + size
        return from_integers(np.arange(first, first + size, dtype=np.int64))

    def skip(self, greatest: object) -> None:
        """See NewKeys: keys to come are above it."""
        if isinstance(greatest, int):
            self._next = max(self._next, greatest + 1)


class RandomKeys:
    """Keys of a dry run where a database would make up texts or UUIDs: they stand for keys and are stored nowhere."""

    def take(self, size: int) -> Steps[pl.Series]:
        """Do what `NewKeys` says of it."""
        yield from ()
        return pl.Series([uuid.uuid4().hex for _ in range(size)], dtype=pl.String)

    def skip(self, greatest: object) -> None:
        """Do what `NewKeys` says of it."""


class DefaultKeys:
    """Keys that a function of the declaration gives, one a call, in the order of the records."""

    def __init__(self, column: Column) -> None:
        self._column = column

    def take(self, size: int) -> Steps[pl.Series]:
        """Do what `NewKeys` says of it."""
        yield from ()
        return self._column.defaults(size)

    def skip(self, greatest: object) -> None:
        """Do what `NewKeys` says of it."""


def new_keys(database: Store, table: Table) -> Steps[NewKeys]:
    """Return keys for new rows of a table: from the function that its declaration has, or else from its database."""
    column = table.column(table.key)
    if callable(column.default):
        return DefaultKeys(column)
    return (yield from database.new_keys(table))


def provisional_keys(database: str, column: Column, greatest: int | None) -> NewKeys:
    """Return keys for a dry run, which takes none from the database; `greatest` is the greatest key of the table."""
    if column.type is Type.INTEGER:
        return CountedKeys(database, (greatest or 0) + 1)
    return RandomKeys()
