"""What a worker of a cluster asks of the project, whose settings DJANGO_SETTINGS_MODULE names in its environment."""

from __future__ import annotations

from typing import Any

import django
from django.apps import apps

from async_loader.contrib.django import databases
from async_loader.contrib.django.process import tune

# A worker loads as a command does.
tune()


def location(alias: str) -> Any:
    """Where the database behind an alias is."""
    if not apps.ready:
        django.setup()
    return databases.location(alias)
