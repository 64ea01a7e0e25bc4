"""Where the file of a database is, and whether it is still the same."""

from __future__ import annotations

import os
from pathlib import Path


def is_there(path: Path) -> bool:
    """Return whether there is a file, as far as permissions let us look."""
    try:
        return path.exists()
    except OSError:
        return False


def identity(name: str, file: bytes | None) -> tuple[object, ...]:
    """Return the identity of a file; of a database in memory, its name."""
    if not file:
        return ("memory", name)
    found = os.stat(file)
    return found.st_dev, found.st_ino


def is_new(path: Path) -> bool:
    """Return whether there is no file, or an empty one."""
    try:
        return not path.stat().st_size
    except OSError:
        # Whatever else may be wrong with it is an error of connecting.
        return True
