"""Locks of jobs: a process that carries one out holds a lock on a file, which the system releases when it dies.

So a job whose lock no process holds is not under way, whatever the database says of it, and two processes never have
the same job. Jobs of one database stand in a queue of tickets: one begins when no living job has an earlier ticket.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import UUID

from async_loader.contrib.django.admin.settings import uploads

# Permissions of directories and files: of the user of the web server alone.
_PRIVATE_DIRECTORY, _PRIVATE_FILE = 0o700, 0o600
# How often a lock is tried, and seconds between two tries.
_TRIES, _MOMENT = 5, 0.02


def private_directory(*parts: str) -> Path:
    """Return a directory below that of uploads, which is made where it is missing."""
    path = uploads().joinpath(*parts)
    path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    return path


class JobLock:
    """The lock of a job, held until it is closed or all processes that have its file open are gone."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, job: UUID) -> Self | None:
        """Take the lock of a job; None where another process holds it."""
        descriptor = os.open(_lock_file(job), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        for _ in range(_TRIES):
            if _locks(descriptor):
                return cls(descriptor)
            # It may be held for a moment only, by a process that looks whether it is held.
            time.sleep(_MOMENT)
        os.close(descriptor)
        return None

    def close(self) -> None:
        """Close this process's file, which releases the lock if no other process was given it."""
        os.close(self.descriptor)


def is_held(job: UUID) -> bool:
    """Return whether a process has the job, or is about to take it."""
    try:
        descriptor = os.open(_lock_file(job), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locks(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock_file(job: UUID) -> Path:
    return private_directory("jobs") / f"{job.hex}.lock"


def _locks(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Turn:
    """A job's place in the queue of a database. Its lock must be held before."""

    def __init__(self, database: str, job: UUID) -> None:
        self._queue = private_directory("queues", database.encode().hex())
        self._ticket = self._queue / f"{time.time_ns():020d}-{job.hex}"
        self._ticket.touch(mode=_PRIVATE_FILE, exist_ok=False)
        self._door = os.open(self._queue / "door", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)

    def has_come(self) -> bool:
        """Return whether the job may begin. From then on no other may, until it is ended."""
        earlier = (each for each in sorted(self._queue.glob("*-*")) if each.name < self._ticket.name)
        # Two tickets of one instant may not see each other: the door lets one in.
        return not any(map(_is_alive, earlier)) and _locks(self._door)

    def end(self) -> None:
        """Leave the queue, so that the next job may begin."""
        self._ticket.unlink(missing_ok=True)
        os.close(self._door)


def _is_alive(ticket: Path) -> bool:
    """Return whether the job of a ticket is; a ticket of one that has died is removed."""
    if is_held(UUID(ticket.name.partition("-")[2])):
        return True
    with suppress(OSError):
        ticket.unlink()
    return False
