"""The app that brings the models and the commands."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Named `core`."""

    name = "core"
