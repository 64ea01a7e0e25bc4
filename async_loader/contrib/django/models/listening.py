"""The signal `table_loaded`, as the engine knows it: something that is called after each load of a table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, models

from async_loader import Loaded
from async_loader.contrib.django.models.databases import home
from async_loader.contrib.django.signals import table_loaded


@dataclass(frozen=True, slots=True)
class Signalled:
    """Sends the signal of a model, called by its label: tables are sent to workers."""

    label: str

    @property
    def is_wanted(self) -> bool:
        """Whether the signal has a receiver. A model that is in no registry, as a test may have, has none."""
        try:
            return bool(table_loaded.has_listeners(apps.get_model(self.label)))
        except LookupError:
            return False

    def __call__(self, loaded: Loaded) -> None:
        """Send the signal of what was loaded."""
        model = apps.get_model(self.label)
        try:
            table_loaded.send_robust(
                sender=model,
                database=home(model),
                run=loaded.run,
                counts=loaded.counts,
                keys=_Keys(model._meta.pk, loaded),
                is_complete=loaded.is_complete,
                resumed=loaded.resumed,
            )
        finally:
            close_connections()


@dataclass(frozen=True, slots=True)
class _Keys:
    """Primary keys as the ORM has them."""

    field: models.Field[Any, Any]
    loaded: Loaded

    def __iter__(self) -> Iterator[Any]:
        return map(self.field.to_python, self.loaded.keys)

    def __len__(self) -> int:
        return len(self.loaded.keys)


def close_connections() -> None:
    """Close what this thread has opened of Django's connections, if it is one of the loader's own."""
    if threading.current_thread() is threading.main_thread():
        return
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
