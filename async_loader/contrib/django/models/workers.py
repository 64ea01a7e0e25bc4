"""What a worker of a cluster needs of the project, whose settings DJANGO_SETTINGS_MODULE names in its environment.

Workers import this module before they unpickle tables, because rules may be functions of modules with models.
"""

from __future__ import annotations

import django
from django.apps import apps

from async_loader.contrib.django.models import databases
from async_loader.contrib.django.process import tune

# Where Django is ready, this process is not a worker's alone: it belongs to the command, or to another program.
if not apps.ready:
    tune()
    django.setup()


def location(alias: str) -> databases.Location:
    """Return where the database of an alias is."""
    return databases.location(alias)
