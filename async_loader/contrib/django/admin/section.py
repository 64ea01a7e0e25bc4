"""The section of the console: the list of loads, and the pages that belong to one."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path

from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.people import Person


class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Loads and previews of the person, and those of others for people with the permission for the ledger."""

    list_display = ("upload", "model", "kind", "state", "owner_name", "created_at")
    list_display_links = None
    list_filter = ("kind", "state", "model")
    search_fields = ("upload__name", "owner_name", "run")
    actions = None

    def person(self, request: HttpRequest) -> Person:
        """Return the user of the request with what they may do on this site."""
        return Person(self.admin_site, request)

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

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return whether jobs can be typed into a form, which they cannot."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002
        """Return whether jobs can be changed in a form, which they cannot."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002
        """Return whether jobs can be deleted: they are the record of what people have done, so they stay."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the section."""
        view = self.admin_site.admin_view
        return [path("", view(self.changelist_view), name="async_loader_admin_job_changelist")]
