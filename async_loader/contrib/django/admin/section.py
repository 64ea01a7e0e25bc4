"""The section of the console in an admin site: the list of loads, and the addresses of all that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from async_loader.contrib.django.admin.choosing import Choosing
from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.rejecting import Rejecting
from async_loader.contrib.django.admin.watching import Watching


class JobAdmin(Choosing, Watching, Rejecting, admin.ModelAdmin):  # type: ignore[type-arg]
    """Loads and previews of the person, and those of others for people with the permission for the ledger."""

    list_display = ("upload", "model", "kind", "state", "owner_name", "created_at")
    list_filter = ("kind", "state", "model")
    search_fields = ("upload__name", "owner_name", "run")
    list_select_related = ("upload",)
    actions = None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list of jobs, with the way to the rejects."""
        sees_ledger = self.person(request).sees_ledger
        return super().changelist_view(request, {**(extra_context or {}), "sees_ledger": sees_ledger})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs that the person may see."""
        return self.person(request).jobs()

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the person sees the section at all."""
        return self.person(request).uses_console()

    def has_view_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Return whether the person may see a job, or the list where none is given."""
        person = self.person(request)
        return person.uses_console() if obj is None else person.may_see(obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the person may load a file into any table."""
        return self.person(request).may_load_any()

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002
        """Return whether jobs can be changed in a form, which they cannot."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002
        """Return whether jobs can be deleted: they are the record of what people have done, so they stay."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the section."""
        views: dict[str, tuple[str, Callable[..., HttpResponseBase]]] = {
            "": ("changelist", self.changelist_view),
            "add/": ("add", self.upload_view),
            "rejects/": ("rejects", self.rejects_view),
            "rejects/download/": ("download", self.download_view),
            "rejects/discard/": ("discard", self.discard_view),
            "<uuid:key>/": ("change", self.job_view),
            "<uuid:key>/columns/": ("columns", self.columns_view),
            "<uuid:key>/state/": ("state", self.state_view),
            "<uuid:key>/load/": ("load", self.load_view),
            "<uuid:key>/cancel/": ("cancel", self.cancel_view),
            "<uuid:key>/again/": ("again", self.again_view),
            "<uuid:key>/revise/": ("revise", self.revise_view),
        }
        return [
            path(route, update_wrapper(self.admin_site.admin_view(view), view), name=f"async_loader_admin_job_{name}")
            for route, (name, view) in views.items()
        ]
