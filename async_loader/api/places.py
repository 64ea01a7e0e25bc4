"""Where databases are, as callers may give it, made stores."""

from __future__ import annotations

from collections.abc import Mapping

from async_loader.stores import StoreLike, store_of
from async_loader.stores.store import Store


def databases_in(given: Mapping[str, StoreLike]) -> dict[str, Store]:
    """A store under each name."""
    return {name: store_of(name, where) for name, where in given.items()}
