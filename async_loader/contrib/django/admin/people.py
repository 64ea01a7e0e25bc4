"""The permissions of people in the console: Django's own, by model, as the admin site of the request has them.

A person may load into a table whose rows they may add or change. A job is seen by the person that began it, as long
as this person may see its table, and by people with the permission for the ledger that may see its table.
"""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from async_loader import ConfigurationError
from async_loader.contrib.django.admin.models import Job
from async_loader.contrib.django.models.databases import own_models
from async_loader.contrib.django.models.loadable import check_model

_LOG = logging.getLogger("async_loader.admin")
LEDGER = "async_loader_admin.view_ledger"


class Person:
    """The user of a request, on an admin site: a model's own ModelAdmin there may forbid what the user could do."""

    def __init__(self, site: AdminSite, request: HttpRequest) -> None:
        self._site = site
        self._request = request
        self._user: Any = request.user

    @property
    def key(self) -> str:
        """The user's key as jobs and uploads keep it."""
        return str(self._user.pk)

    @property
    def name(self) -> str:
        """The user's name as the project calls it."""
        return str(self._user.get_username())

    def may(self, action: str, model: type[Model]) -> bool:
        """Return whether the person may view, add or change rows of a model."""
        admin = self._site._registry.get(model)
        if admin is not None:
            return bool(getattr(admin, f"has_{action}_permission")(self._request))
        options = model._meta
        return bool(self._user.has_perm(f"{options.app_label}.{action}_{options.model_name}"))

    def may_load(self, model: type[Model]) -> bool:
        """Return whether the person may add rows to the table of a model, or change them."""
        return self.may("add", model) or self.may("change", model)

    def may_see_table(self, model: type[Model]) -> bool:
        """Return whether the person may see what is in the table of a model."""
        return self.may("view", model) or self.may_load(model)

    @property
    def sees_ledger(self) -> bool:
        """Whether the person may see the jobs of others."""
        return bool(self._user.has_perm(LEDGER))

    def loadable(self) -> list[type[Model]]:
        """Return the models into whose tables the person may load."""
        return [model for model in _models() if self.may_load(model) and _is_loadable(model)]

    def is_offered(self, model: type[Model]) -> bool:
        """Return whether the model is one of those into whose tables the person may load."""
        return model in _models() and self.may_load(model) and _is_loadable(model)

    def may_load_any(self) -> bool:
        """Return whether there is a table into which the person may load."""
        return any(map(self.may_load, _models()))

    def uses_console(self) -> bool:
        """Return whether there is anything in the console for the person."""
        return self.may_load_any() or (self.sees_ledger and any(map(self.may_see_table, _models())))

    def seen_models(self) -> list[type[Model]]:
        """Return the models whose tables the person may see, and that can be loaded."""
        return [model for model in _models() if self.may_see_table(model) and _is_loadable(model)]

    def jobs(self) -> QuerySet[Job]:
        """Return the jobs that the person may see."""
        labels = [model._meta.label for model in _models() if self.may_see_table(model)]
        jobs = Job.objects.filter(model__in=labels).select_related("upload")
        return jobs if self.sees_ledger else jobs.filter(owner=self.key)

    def may_see(self, job: Job) -> bool:
        """Return whether the person may see a job."""
        return self.jobs().filter(pk=job.pk).exists()

    def refuse(self, reason: str) -> PermissionDenied:
        """Log that the person is refused something, and return the exception that says so."""
        _LOG.warning("%s was refused %s %s: %s", self.name, self._request.method, self._request.path, reason)
        return PermissionDenied(reason)


def _models() -> list[type[Model]]:
    return [model for model in own_models() if not model._meta.auto_created]


def _is_loadable(model: type[Model]) -> bool:
    try:
        check_model(model)
    except ConfigurationError:
        return False
    return True
