"""What the console stores: files that were uploaded, and jobs that preview or load them.

They live in the default database, or where a router says. People are stored by key and name, without a foreign key:
the project's users may be in another database, and what a person did is known after the person has gone.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from async_loader.contrib.django.admin.settings import uploads


class Upload(models.Model):
    """A file that a person has uploaded. It lies in a private directory under a random name.

    name: the file's name as the browser gave it. It is shown, and never part of a path.
    stored: the name in the directory; empty once the file is deleted.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("file"), max_length=255)
    stored = models.CharField(max_length=80, blank=True)
    size = models.BigIntegerField(_("size"))
    digest = models.CharField(max_length=64)
    owner = models.CharField(max_length=255)
    owner_name = models.CharField(_("by"), max_length=255)
    created_at = models.DateTimeField(_("uploaded"), default=timezone.now)

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """The path of the stored file."""
        return str(uploads().absolute() / self.stored)


class Job(models.Model):
    """A preview of an upload, or its load. It is carried out by a process of its own.

    model: the label of the model whose table it is about.
    plan: how the file is read and how records find rows, as `plans.Plan` has it. Text, as a report is: a column of JSON
        does not take every character that a file may have.
    preview: of a load, the preview that was confirmed; there is one load of a preview at most.
    digest: the SHA-256 of the content that was read.
    report: the report as JSON, once there is one.
    """

    class Kind(models.TextChoices):
        """A preview writes nothing."""

        PREVIEW = "preview", _("preview")
        LOAD = "load", _("load")

    class State(models.TextChoices):
        """How far a job is. One whose process has died stays as it was: `locks.is_held` says so."""

        DRAFT = "draft", _("not begun")
        QUEUED = "queued", _("waiting")
        RUNNING = "running", _("running")
        COMPLETE = "complete", _("complete")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    UNDER_WAY: ClassVar = (State.QUEUED, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.PREVIEW)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    upload = models.ForeignKey(Upload, models.PROTECT, related_name="jobs", verbose_name=_("file"))
    preview = models.OneToOneField("self", models.PROTECT, null=True, blank=True, related_name="load")
    model = models.CharField(_("table"), max_length=255)
    plan = models.TextField(default="{}")
    digest = models.CharField(max_length=64, blank=True)
    run = models.CharField(_("run"), max_length=64, blank=True)
    error = models.TextField(_("error"), blank=True)
    report = models.TextField(blank=True)
    owner = models.CharField(max_length=255)
    owner_name = models.CharField(_("by"), max_length=255)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    began_at = models.DateTimeField(_("began"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("load")
        verbose_name_plural = _("loads")
        ordering = ("-created_at",)
        default_permissions = ()
        permissions = (("view_ledger", _("Can see the loads of all people")),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.upload.name}"

    @property
    def is_under_way(self) -> bool:
        """Whether a process is to carry it out, or does so."""
        return self.state in self.UNDER_WAY
