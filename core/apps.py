"""The app with the sample's models."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """The configuration of the app `core`."""

    name = "core"
