"""The views of a job: how far it is, its report, and what a person may do next: load, end, begin again, revise."""

from __future__ import annotations

import math
import time
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from async_loader.contrib.django.admin import standing
from async_loader.contrib.django.admin.common import Views, model_of, posted, queue
from async_loader.contrib.django.admin.locks import is_held
from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.plans import Plan
from async_loader.contrib.django.admin.reports import restored
from async_loader.contrib.django.pages.pages import part

# Seconds between the record of a job and the start of its process, at most.
_MOMENT = 0.3


class Watching(Views):
    """Watching a job, and deciding about it."""

    def job_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Show how far a job is, or its report."""
        job = self.seen(request, key)
        is_own = job.owner == self.person(request).key
        if job.state == Job.State.DRAFT and job.upload.stored and is_own:
            return self.led_to("columns", job)
        # First: the job may end meanwhile.
        standing_now = self._standing(job)
        report = restored(job.report, job.upload.name) if job.report else None
        titles = {Job.Kind.PREVIEW: _("Preview of %(file)s"), Job.Kind.LOAD: _("Load of %(file)s")}
        given = sum(table.given for table in report.tables.values()) if report else 0
        rejected = sum(table.rejected for table in report.tables.values()) if report else 0
        return self.rendered(
            request,
            "job.html",
            titles[Job.Kind(job.kind)] % {"file": job.upload.name},
            job=job,
            is_own=is_own,
            standing=standing_now,
            # Every text in it is escaped by the templates of the report.
            report=mark_safe(part(report)) if report else "",  # noqa: S308
            good=given - rejected,
            may_load=self._may_be_loaded(request, job),
            load=Job.objects.filter(preview=job).first(),
            table=model_of(job)._meta.verbose_name_plural,
        )

    def state_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Say how far a job is, as JSON."""
        answer = JsonResponse(self._standing(self.seen(request, key)))
        answer["Cache-Control"] = "no-store"
        return answer

    @posted
    def load_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Begin the load of what a preview has shown; a second click leads to the load that the first has begun."""
        preview = self.own(request, key)
        if not self._may_be_loaded(request, preview):
            raise self.person(request).refuse("the preview cannot be loaded by this person")
        load = Job(kind=Job.Kind.LOAD, upload=preview.upload, preview=preview, model=preview.model, plan=preview.plan)
        load.owner, load.owner_name = preview.owner, preview.owner_name
        try:
            with transaction.atomic(using=preview._state.db):
                queue(load)
        except IntegrityError:
            return self.led_to("change", Job.objects.get(preview=preview))
        self.log_addition(request, load, [{"added": {"name": str(load.upload), "object": load.model}}])
        return self.led_to("change", load)

    @posted
    def cancel_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Ask the process of a job to end it."""
        job = self.own(request, key)
        if job.is_under_way:
            standing.ask_to_end(job.pk)
            self.log_change(request, job, _("Asked to end."))
        return self.led_to("change", job)

    @posted
    def again_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Begin a job again whose process has died."""
        job = self.own(request, key)
        if self._is_dead(job):
            standing.forget(job.pk)
            queue(job)
            self.log_change(request, job, _("Begun again."))
        return self.led_to("change", job)

    @posted
    def revise_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Begin another preview of the same file, with the answers of this one to be corrected."""
        job, person = self.own(request, key), self.person(request)
        if job.is_under_way or not job.upload.stored:
            return self.led_to("change", job)
        draft = Job(upload=job.upload, model=job.model, plan=job.plan, owner=person.key, owner_name=person.name)
        draft.save()
        return self.led_to("columns", draft)

    def _may_be_loaded(self, request: HttpRequest, preview: Job) -> bool:
        """Return whether the person may load what a preview has shown, and has not done so yet."""
        if preview.kind != Job.Kind.PREVIEW or preview.state != Job.State.COMPLETE or not preview.upload.stored:
            return False
        person, model, plan = self.person(request), model_of(preview), Plan.of_json(preview.plan)
        actions = [("add", plan.adds_rows), ("change", plan.changes_rows)]
        return preview.owner == person.key and all(person.may(action, model) for action, needed in actions if needed)

    def _is_dead(self, job: Job) -> bool:
        """Return whether no process has a job that is under way. A job may end between two looks."""
        if not job.is_under_way or is_held(job.pk):
            return False
        if job.state == Job.State.QUEUED:
            # Another request may be about to start its process.
            time.sleep(_MOMENT)
        job.refresh_from_db()
        return job.is_under_way and not is_held(job.pk)

    def _standing(self, job: Job) -> dict[str, Any]:
        """Return how far a job is, in numbers and words."""
        is_dead = self._is_dead(job)
        facts = standing.noted(job.pk) if job.is_under_way else {}
        given, rejected = facts.get("given", 0), facts.get("rejected", 0)
        size = facts.get("size")
        percent = math.floor(100 * min(facts.get("read_to", 0), size) / size) if size else None
        records = ngettext("%(number)d record", "%(number)d records", given) % {"number": given}
        words = _("%(records)s read, %(rejected)d rejected") % {"records": records, "rejected": rejected}
        return {
            "state": job.state,
            "label": _("dead") if is_dead else job.get_state_display(),
            "is_dead": is_dead,
            "is_under_way": job.is_under_way and not is_dead,
            "is_to_end": job.is_under_way and standing.is_to_end(job.pk),
            "given": given,
            "rejected": rejected,
            "percent": percent,
            "words": words if facts else "",
        }
