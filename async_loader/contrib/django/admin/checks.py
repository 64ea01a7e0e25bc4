"""The checks of `manage.py check` for the console: is the admin there, and do uploads lie in a private place?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from async_loader.contrib.django.admin.settings import UPLOADS, uploads


def check_console(**_: Any) -> list[CheckMessage]:
    """Check what the console needs of the project."""
    return [*_missing_apps(), *_directory()]


def _missing_apps() -> Iterator[CheckMessage]:
    for name in ("django.contrib.admin", "async_loader.contrib.django"):
        if not apps.is_installed(name):
            hint = f"Add {name} to INSTALLED_APPS."
            yield Error(f"The console needs the app {name}.", hint=hint, id="async_loader.E006")


def _directory() -> Iterator[CheckMessage]:
    try:
        directory = uploads().resolve()
    except ImproperlyConfigured:
        hint = f'Set it to a directory that no web server serves, such as BASE_DIR / "uploads" ({UPLOADS}).'
        yield Error(f"The setting {UPLOADS} names no directory.", hint=hint, id="async_loader.E007")
        return
    for name in ("MEDIA_ROOT", "STATIC_ROOT"):
        served = getattr(settings, name, None)
        if served and directory.is_relative_to(Path(served).resolve()):
            hint = "Choose a directory outside: anyone could fetch what lies there."
            yield Error(f"{UPLOADS} is within {name}, which is served.", hint=hint, id="async_loader.E008")
