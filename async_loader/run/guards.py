"""Guards: connections beside those of a run that is spread over workers, whose transactions are open while it goes on.

Such a run commits to its ledgers again and again, and each commit gives up its locks. If another run began in between,
each would wait for databases that the other one has. A guard lasts until the run ends, so that the other run waits
before it has anything. Steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from async_loader.effects import Connect, Steps
from async_loader.errors import StoreError
from async_loader.stores.store import Store

# What follows a database's name in that of its guard, which is shown nowhere.
_BESIDE = " (guard)"


def guard(databases: Iterable[Store], lock_timeout: float) -> Steps[None]:
    """Keep other loads from beginning in databases until the run ends. Loads that have begun are waited for, always in
    the order of names.
    """
    for database in sorted(databases, key=lambda each: each.name):
        beside = replace(database, name=f"{database.name}{_BESIDE}")
        try:
            yield Connect(beside, lock_timeout)
            yield from beside.shares.guard()
        except StoreError as error:
            raise type(error)(database.name, error.problem) from error
