"""How far a job is, and the wish that it end: in files, because a database may be locked by the load itself.

A load into SQLite keeps others from writing to its database for as long as it takes, which may be the database that the
jobs are in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from async_loader.contrib.django.admin.locks import private_directory


def note(job: UUID, **facts: Any) -> None:
    """Replace what is known of how far a job is."""
    path = _file(job, "standing")
    new = path.with_suffix(".new")
    new.write_text(json.dumps(facts))
    new.replace(path)


def noted(job: UUID) -> Mapping[str, Any]:
    """Return what is known of how far a job is."""
    with suppress(OSError, ValueError):
        facts: Mapping[str, Any] = json.loads(_file(job, "standing").read_text())
        return facts
    return {}


def ask_to_end(job: UUID) -> None:
    """Ask the process that has a job to end it, and to keep nothing of it."""
    _file(job, "cancel").touch()


def is_to_end(job: UUID) -> bool:
    """Return whether a job is asked to end."""
    return _file(job, "cancel").exists()


def forget(job: UUID) -> None:
    """Remove the files of a job that has ended, but for its lock: another process may just try to take that."""
    for name in ("standing", "cancel"):
        _file(job, name).unlink(missing_ok=True)


def _file(job: UUID, name: str) -> Path:
    return private_directory("jobs") / f"{job.hex}.{name}"
