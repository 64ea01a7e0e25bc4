"""What Django asks of any backend."""

from __future__ import annotations

from django.db.backends.dummy import base


class DatabaseWrapper(base.DatabaseWrapper):
    vendor = "oracular"
