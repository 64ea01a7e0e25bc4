"""Carries out a job: waits for its turn, reads the file under its plan, and stores what came of it."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from django.apps import apps
from django.db import OperationalError
from django.utils import timezone

import async_loader
from async_loader import LoaderError, LockedError, Report, Show, Tell
from async_loader.contrib.django.admin import standing
from async_loader.contrib.django.admin.locks import Turn
from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.plans import Plan
from async_loader.contrib.django.admin.reports import as_text
from async_loader.contrib.django.models.databases import home
from async_loader.contrib.django.terminal.progress import heartbeat
from async_loader.contrib.django.terminal.wording import printable

Result = TypeVar("Result")

# Seconds: between two looks whether a job's turn has come, the longest wait for it, and for a locked database.
_PAUSE = 0.5
_LONGEST_TURN = 86_400.0
_LONGEST_LOCK = 600.0
_CHUNK = 1 << 20


class Worker:
    """The process that has a job, whose lock it holds.

    may_be_interrupted: whether the process is its own, so that a person's wish to end the job may interrupt it.
    """

    def __init__(self, job: Job, *, may_be_interrupted: bool) -> None:
        self._job = job
        self._plan = Plan.of_json(job.plan)
        self._may_be_interrupted = may_be_interrupted
        self._is_interrupted = False
        self._shown: Show | None = None
        self._noted: Show | None = None
        self._run: async_loader.Run | None = None

    def perform(self) -> None:
        """Carry the job out, and store its end, whatever that is."""
        state, error, text = Job.State.FAILED, "", ""
        try:
            state, error, text = self._performed()
        except KeyboardInterrupt:
            state, error = Job.State.CANCELLED, "interrupted: nothing was kept"
            text = self._report("interrupted", error)
            if self._run is not None and self._run.is_kept:
                state, error = Job.State.COMPLETE, ""
        except LoaderError as fault:
            error = printable(fault.text)
            text = self._report(fault.status, error)
        except Exception:
            error = "the job ended by a fault of the program; its log has more"
            raise
        finally:
            self._save(state=state, error=error, report=text, ended_at=timezone.now())
            standing.forget(self._job.pk)

    def _performed(self) -> tuple[Job.State, str, str]:
        """Return the state in which the job has ended, with its error and report."""
        job = self._job
        if job.kind == Job.Kind.PREVIEW:
            return self._loaded()
        turn = Turn(home(apps.get_model(job.model)), job.pk)
        try:
            if not self._wait_for(turn):
                return Job.State.FAILED, "another load kept the database for a whole day; begin again", ""
            return self._loaded()
        finally:
            turn.end()

    def _wait_for(self, turn: Turn) -> bool:
        end = time.monotonic() + _LONGEST_TURN
        while not turn.has_come():
            self._refuse_if_cancelled()
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE)
        return True

    def _refuse_if_cancelled(self) -> None:
        if standing.is_to_end(self._job.pk):
            raise KeyboardInterrupt

    def _loaded(self) -> tuple[Job.State, str, str]:
        self._refuse_if_cancelled()
        job = self._job
        self._save(state=Job.State.RUNNING, began_at=timezone.now())
        digest = _digest(Path(job.upload.path))
        if digest != (job.preview.digest if job.preview else job.upload.digest):
            return Job.State.FAILED, "the file is no longer the one that was previewed; upload it again", ""
        self._save(digest=digest)
        with heartbeat(self._beat):
            return Job.State.COMPLETE, "", as_text(self._report_of_load())

    def _report_of_load(self) -> Report:
        """Return the report of the load, which is begun again as long as another program holds a database."""
        end = time.monotonic() + _LONGEST_LOCK
        while True:
            self._run = self._prepared()
            self._save(run=self._run.id)
            try:
                return self._run.perform()
            except LockedError:
                if time.monotonic() > end:
                    raise
            self._refuse_if_cancelled()

    def _prepared(self) -> async_loader.Run:
        from async_loader.contrib.django.models.tables import ProjectTables, databases_of

        project = ProjectTables()
        name = project.name(self._job.model)
        tables = project.tables([name], with_links=True)
        table = next(each for each in tables if each.name == name)
        source = self._plan.source(self._job.upload.path, table, project.source_names(name))
        options = self._plan.options(name, dry_run=self._job.kind == Job.Kind.PREVIEW)
        return async_loader.Run(tables, {name: [source]}, databases_of(tables), options, show=self._show)

    def _report(self, status: str, error: str) -> str:
        return "" if self._run is None else as_text(self._run.report(status, error))

    def _show(self, event: Show | Tell) -> None:
        if isinstance(event, Show):
            self._shown = event

    def _beat(self) -> None:
        """Note how far the load is, and interrupt it once if a person wants it to end."""
        shown = self._shown
        if shown is not None and shown is not self._noted:
            self._noted = shown
            facts = {name: getattr(shown, name) for name in ("given", "rejected", "read_to", "size")}
            # A full disk ends the load with a line of its own; the page shows an older number until then.
            with suppress(OSError):
                standing.note(self._job.pk, **facts)
        if self._may_be_interrupted and not self._is_interrupted and standing.is_to_end(self._job.pk):
            self._is_interrupted = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _save(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self._job, name, value)
        _patiently(lambda: self._job.save(update_fields=list(changes)))


def _patiently(work: Callable[[], Result]) -> Result:
    """Do work in the database of the jobs, which another program may have locked for a while."""
    end = time.monotonic() + _LONGEST_LOCK
    while True:
        try:
            return work()
        except OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file; of one that is gone, no digest at all."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()
