"""The tag that leads from the list of a model to the console."""

from __future__ import annotations

from typing import Any

from django.template import Library
from django.urls import reverse

from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.people import Person

register = Library()


@register.simple_tag(takes_context=True)
def load_address(context: dict[str, Any]) -> str:
    """Return the address at which a file is loaded into the table of a list; empty for a person that may not."""
    changes, request = context.get("cl"), context.get("request")
    if changes is None or request is None:
        return ""
    site = changes.model_admin.admin_site
    if not site.is_registered(Job) or not Person(site, request).is_offered(changes.model):
        return ""
    address = reverse("admin:async_loader_admin_job_add", current_app=site.name)
    return f"{address}?model={changes.model._meta.label}"
