"""The project's settings for the console."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

UPLOADS = "ASYNC_LOADER_UPLOADS"


def uploads() -> Path:
    """Return the directory of uploads. Raises ImproperlyConfigured where the project names none."""
    given = getattr(settings, UPLOADS, None)
    if not given:
        raise ImproperlyConfigured(f"{UPLOADS} is to name a directory that no web server serves")
    return Path(given)
