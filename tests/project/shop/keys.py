"""Models whose primary keys are of types that few have, and a model that references them all."""

from __future__ import annotations

from typing import Any

from django.db import models


class Money(models.DecimalField):
    """An amount that may name its currency, as fields of other packages read values of their own."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.removeprefix("EUR ") if isinstance(value, str) else value)


class Day(models.Model):
    day = models.DateField(primary_key=True)
    name = models.CharField(max_length=9, unique=True)


class Shift(models.Model):
    start = models.DateTimeField(primary_key=True)


class Host(models.Model):
    ip = models.GenericIPAddressField(primary_key=True)
    name = models.CharField(max_length=9, unique=True)


class Tariff(models.Model):
    amount = Money(primary_key=True, max_digits=8, decimal_places=2)
    name = models.CharField(max_length=9, unique=True)


class Span(models.Model):
    lasting = models.DurationField(primary_key=True)


class Answer(models.Model):
    yes = models.BooleanField(primary_key=True)


class Digest(models.Model):
    digest = models.BinaryField(primary_key=True, editable=True)


class Keyed(models.Model):
    day = models.ForeignKey(Day, models.CASCADE, null=True, blank=True)
    shift = models.ForeignKey(Shift, models.CASCADE, null=True, blank=True)
    host = models.ForeignKey(Host, models.CASCADE, null=True, blank=True)
    tariff = models.ForeignKey(Tariff, models.CASCADE, null=True, blank=True)
    span = models.ForeignKey(Span, models.CASCADE, null=True, blank=True)
    answer = models.ForeignKey(Answer, models.CASCADE, null=True, blank=True)
    digest = models.ForeignKey(Digest, models.CASCADE, null=True, blank=True)
    days = models.ManyToManyField(Day, related_name="+")
    hosts = models.ManyToManyField(Host, related_name="+")
    tariffs = models.ManyToManyField(Tariff, related_name="+")
