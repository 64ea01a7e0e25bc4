"""Models with many-to-many fields of every kind."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=20, unique=True)

    def __str__(self) -> str:
        return self.name


class Reader(models.Model):
    """In the other database."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)

    def __str__(self) -> str:
        return self.email


class Shelf(models.Model):
    code = models.CharField(max_length=10, unique=True)

    def __str__(self) -> str:
        return self.code


class Article(models.Model):
    title = models.CharField(max_length=20, unique=True)
    pages = models.IntegerField(null=True, blank=True)
    changed = models.DateTimeField(auto_now=True)
    tags = models.ManyToManyField(Tag)
    readers = models.ManyToManyField(Reader, db_constraint=False)
    shelves = models.ManyToManyField(Shelf, through="Filing")
    editors = models.ManyToManyField(Reader, through="Edit", related_name="edited")
    quotes = models.ManyToManyField("self", symmetrical=False)
    related = models.ManyToManyField("self")

    def __str__(self) -> str:
        return self.title


class Filing(models.Model):
    """A link by what is no primary key, on both sides, with more that has a default."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    article = models.ForeignKey(Article, models.CASCADE, to_field="title")
    shelf = models.ForeignKey(Shelf, models.CASCADE, to_field="code")
    weight = models.IntegerField(default=7)
    filed = models.DateTimeField(auto_now_add=True)


class Edit(models.Model):
    """A link that needs more than both sides."""

    article = models.ForeignKey(Article, models.CASCADE)
    reader = models.ForeignKey(Reader, models.CASCADE, db_constraint=False)
    role = models.CharField(max_length=10)


class Leaflet(models.Model):
    """With a `clean()` as projects write them."""

    code = models.CharField(max_length=10, unique=True)
    first = models.IntegerField(default=1)
    last = models.IntegerField(null=True, blank=True)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, blank=True)
    extra = models.JSONField(default=list, blank=True)

    def clean(self) -> None:
        if self.last is not None and self.last < self.first:
            problem = ValidationError("%(last)s is before %(first)s.", code="order", params=vars(self))
            raise ValidationError({"last": problem})
        if self.code.startswith("x"):
            raise ValidationError([ValidationError(text, code="no_x") for text in ("No x.", "Not at all.")])
        if "fail" in self.extra:
            raise RuntimeError(f"{self.code} fails")
        if self._state.adding and self.code == "old":
            raise ValidationError("Nothing old is added.")

    def __str__(self) -> str:
        return self.code
