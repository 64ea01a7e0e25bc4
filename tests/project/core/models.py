"""An app that is called as the sample's: nothing of the package minds."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    """About nothing in particular."""

    text = models.TextField()

    def __str__(self) -> str:
        return self.text
