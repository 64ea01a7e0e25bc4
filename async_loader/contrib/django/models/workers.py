"""What a worker of a cluster needs of the project, whose settings DJANGO_SETTINGS_MODULE names in its environment.

Workers import this module before they unpickle tables, because rules may be functions of modules with models.
"""

from __future__ import annotations

import django
from django.apps import apps

from async_loader.contrib.django.models import databases
from async_loader.contrib.django.process import tune

# A worker is tuned as a command is.
tune()

if not apps.ready:
    django.setup()


def location(alias: str) -> databases.Location:
    """Return where the database of an alias is."""
    return databases.location(alias)
