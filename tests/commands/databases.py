"""Databases of this process, to be configured anew by a test."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, models

from async_loader import Options, Report, Run
from async_loader.contrib.django.models.databases import location
from async_loader.contrib.django.tables import table_of
from tests.postgres import Server
from tests.sample import MODES

ALIASES = ("users", "products", "orders")
EACH_MODE = pytest.mark.parametrize("mode", MODES)
EACH_MODE_WITH_WORKERS = pytest.mark.parametrize("mode", [*MODES, "dask"])

USERS = "id,name,email\n1,Ann,a@x.org\n2,,b@x.org\n"


class Databases:
    """The databases of this process, to be configured anew by alias."""

    def __init__(self, patch: pytest.MonkeyPatch, directory: Path) -> None:
        self._patch = patch
        self.directory = directory

    def configure(self, **entries: dict[str, Any]) -> None:
        """Take other entries for DATABASES."""
        for alias, entry in entries.items():
            known = type(connections)({"default": {}, alias: entry})
            self._patch.setitem(connections.settings, alias, known.settings[alias])
        self.forget()

    def forget(self) -> None:
        """Close the connections of this thread. The next ones are made anew."""
        connections.close_all()
        for alias in ALIASES:
            with suppress(AttributeError):
                del connections[alias]

    def file(self, content: str, name: str = "users.csv") -> str:
        """Write a source; its path."""
        path = self.directory / name
        path.write_text(content)
        return str(path)

    def load_users(self, mode: str, content: str = USERS) -> str:
        """Load users by the command."""
        return call("insert_data", f"users={self.file(content)}", mode=mode)

    def create(self, model: type[models.Model]) -> None:
        """Make the table of a model among the users, and what the loader needs there."""
        with connections["users"].schema_editor() as editor:
            editor.create_model(model)
        call("init_db")

    def load(self, model: type[models.Model], content: str, mode: str, **options: Any) -> Report:
        """Load into the table of a model among the users."""
        table = replace(table_of(model), database="users")
        sources = {table.name: self.file(content, "rows.csv")}
        return Run([table], sources, {"users": location("users")}, Options(**options), mode=mode).perform()


def call(*arguments: str, **options: Any) -> str:
    """Call a command, and return what it prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO(), verbosity=0, **options)
    return out.getvalue()


def in_file(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, **more}


def on_server(server: Server, name: str, **more: Any) -> dict[str, Any]:
    entry = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "tester", "HOST": str(server.directory)}
    return entry | more
