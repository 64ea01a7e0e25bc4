"""A router as projects write them: by the names of models."""

from __future__ import annotations

from django.db.models import Model

_HOMES = {
    "shop.order": "archive",
    "core.note": "archive",
    "odd.another": "archive",
    "odd.inmemory": "memory",
    "odd.elsewhere": "elsewhere",
    "odd.nowhere": "nowhere",
}


def _home(label: str) -> str:
    """Return where a model lives. References between databases lead from the archive to the default one only."""
    if label.startswith("press.") and label != "press.reader":
        return "archive"
    return _HOMES.get(label, "default")


class Router:
    """All other models live in the default database."""

    def db_for_read(self, model: type[Model], **_: object) -> str:
        return _home(model._meta.label_lower)

    def db_for_write(self, model: type[Model], **hints: object) -> str:
        return self.db_for_read(model, **hints)

    def allow_relation(self, *_: object, **__: object) -> bool:
        return True

    def allow_migrate(self, database: str, app_label: str, model_name: str | None = None, **_: object) -> bool:
        return database == _home(f"{app_label}.{model_name}")
