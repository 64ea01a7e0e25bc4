"""Models of flats: unique constraints with conditions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models

OPTIONAL: Any = {"null": True, "blank": True}


class Lease(models.Model):
    """Of which some must be unique among others, as far as these are of a kind."""

    flat = models.IntegerField()
    tenant = models.CharField(max_length=10, **OPTIONAL)
    status = models.CharField(max_length=10, **OPTIONAL)
    ended = models.DateField(**OPTIONAL)
    rent = models.DecimalField(max_digits=6, decimal_places=2, **OPTIONAL)
    main = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["flat"], condition=models.Q(ended__isnull=True, main=True), name="running"),
            models.UniqueConstraint(
                fields=["flat", "tenant"],
                condition=~models.Q(status="draft"),
                name="signed",
                violation_error_code="signed_twice",
                violation_error_message="This is signed already.",
            ),
            models.UniqueConstraint(
                fields=["tenant", "status"],
                condition=models.Q(rent__gt=Decimal("99.50")) | models.Q(status__in=["let", "sold"], main=False),
                name="dear",
            ),
        ]


class Room(models.Model):
    """In a tree, in which the names of those at the top are unique."""

    name = models.CharField(max_length=10)
    within = models.ForeignKey("self", models.CASCADE, **OPTIONAL)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=models.Q(within__isnull=True), name="top"),
        ]
