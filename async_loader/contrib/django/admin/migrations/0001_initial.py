"""The tables of uploads and jobs."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Create the tables of uploads and of jobs."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255, verbose_name="file")),
                ("stored", models.CharField(blank=True, max_length=80)),
                ("size", models.BigIntegerField(verbose_name="size")),
                ("digest", models.CharField(max_length=64)),
                ("owner", models.CharField(max_length=255)),
                ("owner_name", models.CharField(max_length=255, verbose_name="by")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="uploaded")),
            ],
            options={
                "verbose_name": "upload",
                "verbose_name_plural": "uploads",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("preview", "preview"), ("load", "load")],
                        default="preview",
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "not begun"),
                            ("queued", "waiting"),
                            ("running", "running"),
                            ("complete", "complete"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        default="draft",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("model", models.CharField(max_length=255, verbose_name="table")),
                ("plan", models.TextField(default="{}")),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("run", models.CharField(blank=True, max_length=64, verbose_name="run")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("report", models.TextField(blank=True)),
                ("owner", models.CharField(max_length=255)),
                ("owner_name", models.CharField(max_length=255, verbose_name="by")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="created")),
                ("began_at", models.DateTimeField(null=True, verbose_name="began")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                (
                    "preview",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="load",
                        to="async_loader_admin.job",
                    ),
                ),
                (
                    "upload",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="jobs",
                        to="async_loader_admin.upload",
                        verbose_name="file",
                    ),
                ),
            ],
            options={
                "verbose_name": "load",
                "verbose_name_plural": "loads",
                "ordering": ("-created_at",),
                "permissions": (("view_ledger", "Can see the loads of all people"),),
                "default_permissions": (),
            },
        ),
    ]
