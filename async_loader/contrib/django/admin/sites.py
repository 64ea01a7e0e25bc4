"""The console's section of an admin site.

The default site has it by itself, also where the project has chosen a site of its own as the default. A further site
gets it by `register(site)`.
"""

from __future__ import annotations

from django.contrib.admin import AdminSite

from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.admin.section import JobAdmin


def register(site: AdminSite) -> None:
    """Add the console to an admin site, if it is not there."""
    if not site.is_registered(Job):
        site.register(Job, JobAdmin)
