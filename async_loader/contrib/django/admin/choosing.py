"""The views that lead a file to its table: upload it, look at it, say where its columns go, ask for the preview."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from async_loader.contrib.django.admin.common import Views, model_of, queue
from async_loader.contrib.django.admin.forms import ColumnsForm, ReadingForm, RulesForm, UploadForm
from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.plans import Plan, kind_of
from async_loader.contrib.django.admin.proposing import proposed_plan
from async_loader.contrib.django.admin.seeing import Seen, look
from async_loader.contrib.django.admin.targets import Target, columns_of, proposed, targets_of
from async_loader.contrib.django.admin.uploading import PrivateUploadHandler, delete_old_uploads


class Choosing(Views):
    """Uploading a file, and planning its load."""

    @csrf_exempt
    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """Take a file. Whether the person may upload at all is asked before anything of the file is read; the token
        against forgery is in the same body, so the file is removed again where that is wrong.
        """
        if not self.has_add_permission(request):
            raise self.person(request).refuse("there is no table to load into")
        handler = PrivateUploadHandler(request)
        request.upload_handlers = [handler]
        try:
            answer: HttpResponse = csrf_protect(self._upload)(request, handler)
        finally:
            for file in (file for name in request.FILES for file in request.FILES.getlist(name)):
                file.close()
        return answer

    def _upload(self, request: HttpRequest, handler: PrivateUploadHandler) -> HttpResponse:
        person = self.person(request)
        models = person.loadable()
        if request.method == "POST":
            form = UploadForm(models, request.POST, request.FILES)
            if form.is_valid():
                delete_old_uploads()
                upload = form.cleaned_data["file"].keep(person.key, person.name)
                job = Job(upload=upload, model=form.cleaned_data["model"], owner=person.key, owner_name=person.name)
                job.plan = proposed_plan(
                    upload.path, model_of(job), adds_rows=person.may("add", model_of(job))
                ).as_json()
                job.save()
                return self.led_to("columns", job)
            if handler.is_too_large:
                form.add_error("file", _("The file is larger than files may be here."))
        else:
            form = UploadForm(models, initial={"model": request.GET.get("model")})
        return self.rendered(request, "upload.html", _("Load a file"), form=form)

    def columns_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Show what a file looks like, and take what is said about it."""
        job = self.own(request, key)
        if job.state != Job.State.DRAFT or not job.upload.stored:
            return self.led_to("change", job)
        if request.method == "POST":
            return self._planned(request, job)
        return self._columns(request, job)

    def _planned(self, request: HttpRequest, job: Job) -> HttpResponse:
        """Take the answers: look again under other settings, or begin the preview."""
        reading = self._reading(job, request.POST)
        if not reading.is_valid():
            return self._columns(request, job, reading)
        plan = reading.plan()
        if "look" in request.POST:
            job.plan = replace(plan, columns=plan.columns if plan.rejects_of else {}).as_json()
            job.save(update_fields=["plan"])
            return self.led_to("columns", job)
        columns, rules = self._forms(request, job, plan, request.POST)
        if not (columns.is_valid() and rules.is_valid()):
            return self._columns(request, job, reading, (columns, rules), plan)
        # What a page cannot show of a file of rejects, such as names within objects, stays as its run had it.
        hidden = plan.columns if plan.rejects_of else {}
        job.plan = rules.added_to(replace(plan, columns={**hidden, **columns.columns()})).as_json()
        queue(job)
        return self.led_to("change", job)

    def _columns(
        self,
        request: HttpRequest,
        job: Job,
        reading: ReadingForm | None = None,
        forms: tuple[ColumnsForm, RulesForm] | None = None,
        plan: Plan | None = None,
    ) -> HttpResponse:
        plan = plan or Plan.of_json(job.plan)
        seen = look(job.upload.path, plan)
        columns, rules = forms or self._forms(request, job, plan, None)
        return self.rendered(
            request,
            "columns.html",
            _("Columns of %(file)s") % {"file": job.upload.name},
            job=job,
            seen=seen,
            plan=plan,
            columns=columns,
            matched=list(zip(columns.selects, seen.samples, strict=False)),
            reading=reading or self._reading(job, None),
            rules=rules,
            table=model_of(job)._meta.verbose_name_plural,
        )

    def _reading(self, job: Job, data: Any) -> ReadingForm:
        return ReadingForm(kind_of(job.upload.path), Plan.of_json(job.plan), data)

    def _forms(self, request: HttpRequest, job: Job, plan: Plan, data: Any) -> tuple[ColumnsForm, RulesForm]:
        person, model = self.person(request), model_of(job)
        may = person.may("add", model), person.may("change", model)
        if not any(may):
            raise PermissionDenied
        targets = targets_of(person, model)
        seen = look(job.upload.path, plan)
        columns = ColumnsForm(seen.header, _chosen(seen, plan, targets), targets, data)
        return columns, RulesForm(plan, columns_of(model), may, data)


def _chosen(seen: Seen, plan: Plan, targets: list[Target]) -> list[str]:
    """Return for each column of a file the target that was chosen before, or else the one that is proposed."""
    offered = {target.name for target in targets}
    chosen: list[str] = []
    for name in seen.header:
        target = plan.columns[name] if name in plan.columns else proposed(name, targets)
        chosen.append("" if target in chosen or target not in offered else target)
    return chosen
