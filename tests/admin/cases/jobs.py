"""Jobs: one process for each, a queue for each database, an end on request, and what becomes of those that died."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from async_loader.contrib.django.admin import standing
from async_loader.contrib.django.admin.locks import JobLock, Turn, is_held
from async_loader.contrib.django.admin.models import Job
from core.models import User
from tests.admin.cases.base import SECTION, ConsoleTest

LEAVE = "tests.admin.cases.base.leave"


class LockTest(ConsoleTest):
    def test_a_job_has_one_process(self) -> None:
        job = uuid4()
        assert not is_held(job)
        lock = JobLock.take(job)
        assert lock is not None
        assert is_held(job)
        assert JobLock.take(job) is None
        lock.close()
        assert not is_held(job)

    def test_jobs_of_a_database_take_turns_in_their_order(self) -> None:
        jobs = [uuid4(), uuid4()]
        locks = [JobLock.take(job) for job in jobs]
        first, second = (Turn("users", job) for job in jobs)
        other = Turn("orders", jobs[1])
        assert other.has_come()
        assert not second.has_come()
        assert first.has_come()
        assert not second.has_come()
        first.end()
        assert second.has_come()
        for each in (second, other):
            each.end()
        for lock in locks:
            assert lock is not None
            lock.close()

    def test_a_dead_job_keeps_no_other_waiting(self) -> None:
        jobs = [uuid4(), uuid4()]
        lock = JobLock.take(jobs[0])
        assert lock is not None
        dead = Turn("users", jobs[0])
        lock.close()
        held = JobLock.take(jobs[1])
        assert held is not None
        turn = Turn("users", jobs[1])
        assert turn.has_come()
        turn.end()
        dead.end()
        held.close()


class JobTest(ConsoleTest):
    def setUp(self) -> None:
        super().setUp()
        self.log_in("ann", "core.add_user")

    def _left(self) -> Job:
        """Return a preview that no process has taken."""
        with self.settings(ASYNC_LOADER_START_JOB=LEAVE):
            return self.previewed(self.uploaded())

    def test_a_job_whose_process_died_is_called_dead_and_begins_again(self) -> None:
        job = self._left()
        Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING)
        page = self.text(f"{SECTION}{job.pk}/")
        assert "has died" in page
        assert "progress.js" not in page
        self.posted(f"{SECTION}{job.pk}/again/")
        job.refresh_from_db()
        assert (job.state, job.error) == ("complete", "")

    def test_a_job_under_way_shows_how_far_it_is_with_and_without_scripts(self) -> None:
        job = self._left()
        lock = JobLock.take(job.pk)
        assert lock is not None
        standing.note(job.pk, given=5_000, rejected=7, read_to=25, size=100)
        page = self.text(f"{SECTION}{job.pk}/")
        assert '<noscript><meta http-equiv="refresh"' in page
        assert "5000 records read, 7 rejected" in page
        state = self.client.get(f"{SECTION}{job.pk}/state/").json()
        assert (state["percent"], state["given"], state["is_under_way"], state["is_dead"]) == (25, 5000, True, False)
        lock.close()

    def test_a_living_job_is_not_begun_again(self) -> None:
        job = self._left()
        lock = JobLock.take(job.pk)
        assert lock is not None
        with self.settings(ASYNC_LOADER_START_JOB="nowhere.to.be.found"):
            self.posted(f"{SECTION}{job.pk}/again/")
        lock.close()

    def test_a_job_that_is_asked_to_end_before_its_turn_keeps_nothing(self) -> None:
        preview = self.previewed(self.uploaded())
        with self.settings(ASYNC_LOADER_START_JOB=LEAVE):
            load = self.loaded(preview)
        self.posted(f"{SECTION}{load.pk}/cancel/")
        call_command("run_job", str(load.pk))
        load.refresh_from_db()
        assert load.state == "cancelled"
        assert User.objects.count() == 0
        assert not standing.is_to_end(load.pk)

    def test_the_command_refuses_a_job_that_another_process_has_or_that_has_ended(self) -> None:
        job = self._left()
        lock = JobLock.take(job.pk)
        assert lock is not None
        with pytest.raises(CommandError, match="another process has it"):
            call_command("run_job", str(job.pk))
        lock.close()
        call_command("run_job", str(job.pk))
        with pytest.raises(CommandError, match="it is complete"):
            call_command("run_job", str(job.pk))
        with pytest.raises(CommandError, match="there is none"):
            call_command("run_job", str(uuid4()))
        with pytest.raises(CommandError, match="is no id"):
            call_command("run_job", "x")
