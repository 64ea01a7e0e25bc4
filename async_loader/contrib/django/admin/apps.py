"""The configuration of the console, and the checks of its settings."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from async_loader.contrib.django.admin.checks import check_console


class ConsoleConfig(AppConfig):
    """The configuration of the app, whose label is `async_loader_admin`. Django's admin finds its section by itself."""

    name = "async_loader.contrib.django.admin"
    label = "async_loader_admin"
    verbose_name = _("Load files")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the check of the console's settings."""
        register(check_console, "async_loader")
