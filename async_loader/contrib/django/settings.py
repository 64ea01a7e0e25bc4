"""The project's settings that name functions: one declares its tables, one its formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from async_loader import ConfigurationError

TABLES = "ASYNC_LOADER_TABLES"
FORMATS = "ASYNC_LOADER_FORMATS"


def function_of(setting: str) -> Callable[[], Any] | None:
    """Return the function that a setting names; None without it. ConfigurationError where it names no function."""
    path = getattr(settings, setting, None)
    if path is None:
        return None
    try:
        named: Callable[[], Any] = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"setting {setting}: {error}") from error
    if not callable(named):
        raise ConfigurationError(f"setting {setting}: {path} is no function")
    return named
