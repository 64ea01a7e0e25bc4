"""A router as projects write them: by the names of models."""

from __future__ import annotations

from django.db.models import Model

_HOMES = {
    "shop.order": "archive",
    "core.note": "archive",
    "press.reader": "archive",
    "odd.another": "archive",
    "odd.inmemory": "memory",
    "odd.elsewhere": "elsewhere",
    "odd.nowhere": "nowhere",
}


class Router:
    """All other models live in the default database."""

    def db_for_read(self, model: type[Model], **_: object) -> str:
        return _HOMES.get(model._meta.label_lower, "default")

    def db_for_write(self, model: type[Model], **hints: object) -> str:
        return self.db_for_read(model, **hints)

    def allow_relation(self, *_: object, **__: object) -> bool:
        return True

    def allow_migrate(self, database: str, app_label: str, model_name: str | None = None, **_: object) -> bool:
        return database == _HOMES.get(f"{app_label}.{model_name}", "default")
