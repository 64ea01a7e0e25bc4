"""Starts a job in a process of its own, which goes on when the web server is reloaded or ends."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from async_loader.contrib.django.admin.locks import JobLock, private_directory
from async_loader.contrib.django.admin.settings import start_function

_LOG = logging.getLogger("async_loader.admin")
# Processes that this one has started, until it has seen their ends.
_started: list[subprocess.Popen[bytes]] = []


def start(job: UUID) -> None:
    """Start a job as the project says. One that cannot be started is shown as dead, to be begun again."""
    try:
        import_string(start_function())(str(job))
    except OSError:
        _LOG.exception("job %s cannot be started", job)


def start_process(job: str) -> None:
    """Start `manage.py run_job` in a session of its own.

    The process is given the job's lock, so that the job is under way from this moment until that process ends. Nothing
    is started where another process has the job. What it prints goes into a log beside the uploads.
    """
    _started[:] = [each for each in _started if each.poll() is None]
    lock = JobLock.take(UUID(job))
    if lock is None:
        return
    log = os.open(private_directory("jobs") / "run_job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _started.append(
            subprocess.Popen(  # noqa: S603 - the id of a job is all that is not written here
                [sys.executable, "-m", "django", "run_job", job, f"--lock={lock.descriptor}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                pass_fds=[lock.descriptor],
                start_new_session=True,
            )
        )
    finally:
        os.close(log)
        lock.close()


def _environment() -> dict[str, str]:
    """Return the environment in which the process finds the modules that this one finds, and the same settings."""
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    return os.environ | {"PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": str(settings.SETTINGS_MODULE)}
