"""The connection, which sets the search path before it hands out a cursor, as widely used packages do."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection of one tenant at a time; of none at first."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_schema("public")

    def set_schema(self, schema: str) -> None:
        """Choose a tenant for all that follows. Nothing is asked of the server yet."""
        self.schema = schema
        self._is_set = False

    def close(self) -> None:
        """Close the connection. The next one has a session of its own."""
        self._is_set = False
        super().close()

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)  # type: ignore[misc]
        if not self._is_set:
            assert self.connection is not None
            self.connection.execute(f'SET search_path = "{self.schema}"')
            self._is_set = True
        return cursor
