"""Which database a model lives in: the alias that is called as its table is."""

from django.conf import settings
from django.db.models import Model


class ModelRouter:
    """Sends the models of this project to their databases and has no opinion on others."""

    def db_for_read(self, model: type[Model], **_: object) -> str | None:
        """The model's database alias."""
        alias = model._meta.db_table
        return alias if model._meta.app_label == "core" and alias in settings.DATABASES else None

    def db_for_write(self, model: type[Model], **hints: object) -> str | None:
        """The model's database alias."""
        return self.db_for_read(model, **hints)

    def allow_migrate(self, _: str, app_label: str, **__: object) -> bool | None:
        """Never for this project's models: `init_db` makes their tables."""
        return False if app_label == "core" else None
