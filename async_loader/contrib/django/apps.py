"""The app that brings the commands. Light: Django imports it whatever command runs."""

from django.apps import AppConfig
from django.core.checks import register

from async_loader.contrib.django.checks import check_project


class AsyncLoaderConfig(AppConfig):
    """Labelled `async_loader`; it has no models."""

    name = "async_loader.contrib.django"
    label = "async_loader"
    verbose_name = "Async loader"

    def ready(self) -> None:
        """Have the project checked."""
        register(check_project, "async_loader")
