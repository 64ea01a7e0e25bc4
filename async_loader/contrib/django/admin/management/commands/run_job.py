"""`manage.py run_job`: carry out a job of the console. The console starts it by itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from async_loader.contrib.django.management.base import USAGE, Failure, LoaderCommand
from async_loader.contrib.django.management.interrupts import sigterm_as_ctrl_c


class Command(LoaderCommand):
    """The command; `help` describes it."""

    help = "Carry out a job of the console: preview a file that a person has uploaded, or load it."
    usage = "JOB [options]"
    epilog = """\
The console starts this command by itself. A job whose process has died is
begun again by this command, or by a button in the console.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the job, and the lock that a process may be given."""
        parser.add_argument("job", metavar="JOB", help="the id of the job, as the address of its page has it")
        parser.add_argument(
            "--lock", type=int, metavar="N", help="the file descriptor of the job's lock, if it is held"
        )

    def handle(self, *, job: str, lock: int | None, **_: Any) -> None:
        """Carry the job out; one that another process has, or that has ended, is left alone."""
        from async_loader.contrib.django.admin.locks import JobLock
        from async_loader.contrib.django.admin.models import Job
        from async_loader.contrib.django.admin.working import Worker

        try:
            key = UUID(job)
        except ValueError as error:
            raise Failure(f"{job!r} is no id of a job", USAGE) from error
        held = JobLock(lock) if lock is not None else JobLock.take(key)
        if held is None:
            raise Failure(f"job {job}: another process has it")
        try:
            chosen = Job.objects.select_related("upload", "preview").filter(pk=key).first()
            if chosen is None or not chosen.is_under_way:
                raise Failure(f"job {job}: {'there is none' if chosen is None else f'it is {chosen.state}'}")
            with sigterm_as_ctrl_c(owns_process=self.owns_process):
                Worker(chosen, may_be_interrupted=self.owns_process).perform()
        finally:
            held.close()
