"""The app that brings the commands. Light: Django imports it for every command of a project."""

from django.apps import AppConfig
from django.core.checks import register

from async_loader.contrib.django.checks import check_project


class AsyncLoaderConfig(AppConfig):
    """The configuration of the app, whose label is `async_loader`. It has no models."""

    name = "async_loader.contrib.django"
    label = "async_loader"
    verbose_name = "Async loader"

    def ready(self) -> None:
        """Register the check of the project."""
        register(check_project, "async_loader")
