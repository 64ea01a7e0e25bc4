"""The app that brings the commands. Light: Django imports it whatever command runs."""

from django.apps import AppConfig


class AsyncLoaderConfig(AppConfig):
    """Labelled `async_loader`; it has no models."""

    name = "async_loader.contrib.django"
    label = "async_loader"
    verbose_name = "Async loader"
