"""What the views of the console share: the person, the job of an address, and pages in the look of the admin."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate
from uuid import UUID

from django.apps import apps
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from async_loader.contrib.django.admin.launching import start
from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.people import Person

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Job]
else:
    _Base = object


View = Callable[Concatenate[Any, HttpRequest, ...], HttpResponse]


def posted(view: View) -> View:
    """Let a view be asked by POST only."""

    @wraps(view)
    def checked(self: Any, request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return view(self, request, *arguments, **options)

    return checked


class Views(_Base):
    """The views of a ModelAdmin for jobs. Each asks for the job by `seen` or `own`, which refuse it to others."""

    def person(self, request: HttpRequest) -> Person:
        """Return the user of the request with what they may do on this site."""
        return Person(self.admin_site, request)

    def seen(self, request: HttpRequest, key: UUID) -> Job:
        """Return a job that the person may see. PermissionDenied for another, also where there is none."""
        person = self.person(request)
        job = person.jobs().filter(pk=key).first()
        if job is None:
            raise person.refuse("no such job may be seen")
        return job

    def own(self, request: HttpRequest, key: UUID) -> Job:
        """Return a job that the person has begun, into a table that they may still load into."""
        job, person = self.seen(request, key), self.person(request)
        if job.owner != person.key or not person.may_load(model_of(job)):
            raise person.refuse("the job is of another person, or its table may not be loaded into")
        return job

    def address(self, name: str, job: Job | None = None) -> str:
        """Return the address of a view on this site."""
        arguments = [] if job is None else [job.pk]
        return reverse(f"admin:async_loader_admin_job_{name}", args=arguments, current_app=self.admin_site.name)

    def led_to(self, name: str, job: Job) -> HttpResponseRedirect:
        """Return the answer that leads to a view of a job."""
        return HttpResponseRedirect(self.address(name, job))

    def rendered(self, request: HttpRequest, template: str, title: str, **parts: Any) -> TemplateResponse:
        """Return a page in the look of the site."""
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "opts": self.model._meta, "title": title, **parts}
        return TemplateResponse(request, f"admin/async_loader_admin/job/{template}", context)


def model_of(job: Job) -> type[models.Model]:
    """Return the model of a job. Http404 where the project has it no more."""
    try:
        return apps.get_model(job.model)
    except LookupError as error:
        raise Http404 from error


def queue(job: Job) -> None:
    """Store that a job is to be carried out, and start it once that is committed."""
    job.state = Job.State.QUEUED
    job.save()
    transaction.on_commit(lambda: start(job.pk), using=job._state.db)
