"""What a worker of a cluster asks of the project, whose settings DJANGO_SETTINGS_MODULE names in its environment.

Imported by workers, before they unpickle tables: whose rules may be functions of modules with models.
"""

from __future__ import annotations

import django
from django.apps import apps

from async_loader.contrib.django.models import databases
from async_loader.contrib.django.process import tune

# A worker loads as a command does.
tune()

if not apps.ready:
    django.setup()


def location(alias: str) -> databases.Location:
    """Where the database behind an alias is."""
    return databases.location(alias)
