"""Models with fields that PostgreSQL alone has."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import (
    ArrayField,
    DateRangeField,
    DateTimeRangeField,
    DecimalRangeField,
    IntegerRangeField,
)
from django.db import models

OPTIONAL: Any = {"null": True, "blank": True}


class Collection(models.Model):
    numbers = ArrayField(models.IntegerField(), **OPTIONAL)
    few = ArrayField(models.SmallIntegerField(), size=2, **OPTIONAL)
    words = ArrayField(models.CharField(max_length=5, blank=True), **OPTIONAL)
    table = ArrayField(ArrayField(models.DecimalField(max_digits=4, decimal_places=1)), **OPTIONAL)
    days = ArrayField(models.DateField(null=True), **OPTIONAL)
    needed = ArrayField(models.TextField(), default=list, blank=True)
    span = IntegerRangeField(**OPTIONAL)
    price = DecimalRangeField(**OPTIONAL)
    season = DateRangeField(**OPTIONAL)
    period = DateTimeRangeField(**OPTIONAL)
