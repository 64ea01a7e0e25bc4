"""Whether databases have changed while a load was at work. Steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from async_loader.effects import Steps

if TYPE_CHECKING:
    from async_loader.stores.store import Store


class Versions:
    """The versions of databases when a load last looked at them."""

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}

    def note(self, database: Store) -> Steps[None]:
        """Remember the version of a database, before anything is asked of it."""
        self._seen[database.name] = yield from database.version()

    def have_changed(self, database: Store) -> Steps[bool | None]:
        """Return whether another connection has committed anything since; None where the database does not say so.

        The version by now is remembered.
        """
        before = self._seen.get(database.name)
        yield from self.note(database)
        now = self._seen[database.name]
        return None if now is None else now != before

    def changes(self, databases: Iterable[Store]) -> Steps[dict[str, bool | None]]:
        """Return by name whether databases have changed; each is looked at once."""
        changes = {}
        for database in {each.name: each for each in databases}.values():
            changes[database.name] = yield from self.have_changed(database)
        return changes
