"""The project's settings for the console: where uploads lie, how large they may be, how long they stay."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

UPLOADS = "ASYNC_LOADER_UPLOADS"
LIMIT = "ASYNC_LOADER_UPLOAD_LIMIT"
DAYS = "ASYNC_LOADER_UPLOAD_DAYS"
START = "ASYNC_LOADER_START_JOB"

# Bytes of one file, and days after which it is deleted, unless the project says otherwise.
_LIMIT = 1 << 30
_DAYS = 30
_START = "async_loader.contrib.django.admin.launching.start_process"


def uploads() -> Path:
    """Return the directory of uploads. Raises ImproperlyConfigured where the project names none."""
    given = getattr(settings, UPLOADS, None)
    if not given:
        raise ImproperlyConfigured(f"{UPLOADS} is to name a directory that no web server serves")
    return Path(given)


def upload_limit() -> int:
    """Return how many bytes a file may have."""
    return int(getattr(settings, LIMIT, _LIMIT))


def upload_days() -> float:
    """Return after how many days a file is deleted."""
    return float(getattr(settings, DAYS, _DAYS))


def start_function() -> str:
    """Return the dotted path of the function that starts a job, given its id."""
    return str(getattr(settings, START, _START))
