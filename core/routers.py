"""The database of each model: the alias with the name of its table."""

from django.conf import settings
from django.db.models import Model


class ModelRouter:
    """A router for the models of this project; it leaves other models to other routers."""

    def db_for_read(self, model: type[Model], **_: object) -> str | None:
        """Return the alias of the model's database."""
        alias = model._meta.db_table
        return alias if model._meta.app_label == "core" and alias in settings.DATABASES else None

    def db_for_write(self, model: type[Model], **hints: object) -> str | None:
        """Return the alias of the model's database."""
        return self.db_for_read(model, **hints)

    def allow_migrate(self, _: str, app_label: str, **__: object) -> bool | None:
        """Forbid migrations of this project's models: `init_db` creates their tables."""
        return False if app_label == "core" else None
