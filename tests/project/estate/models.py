"""Models of flats: unique constraints with conditions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
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


class Owner(models.Model):
    name = models.CharField(max_length=10, unique=True)


class Building(models.Model):
    """With children that have tables of their own."""

    code = models.CharField(max_length=8, unique=True)
    street = models.CharField(max_length=20)
    floors = models.IntegerField(default=1)
    owner = models.ForeignKey(Owner, models.CASCADE, **OPTIONAL)
    tags = models.ManyToManyField(Owner, related_name="tagged", blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(floors__lt=200), name="no_spire", violation_error_code="high"),
            models.UniqueConstraint(fields=["street"], condition=models.Q(floors=0), name="one_ruin"),
        ]


class School(Building):
    pupils = models.IntegerField(default=0)
    head = models.CharField(max_length=10, unique=True, **OPTIONAL)
    friends = models.ManyToManyField(Owner, related_name="schools", blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(head__contains="/"), name="one_head"),
        ]

    def clean(self) -> None:
        """Refuse a school with many floors and few pupils: fields of both tables."""
        if self.floors > self.pupils + 10:
            raise ValidationError({"floors": ValidationError("Too high.", code="too_high")})


class College(School):
    campus = models.OneToOneField(School, models.CASCADE, parent_link=True, primary_key=True, related_name="college")
    title = models.CharField(max_length=10)


class Plain(Building):
    """With nothing of its own."""


class Annex(Building):
    """In a tree of its own kind."""

    main = models.ForeignKey("self", models.CASCADE, related_name="annexes", **OPTIONAL)


class Loop(Building):
    """With a reference to its own parent, which cannot be loaded."""

    beside = models.ForeignKey(Building, models.CASCADE, related_name="loops", **OPTIONAL)


class Visit(models.Model):
    """References to a child and to its parent."""

    school = models.ForeignKey(School, models.CASCADE, related_name="visits", **OPTIONAL)
    building = models.ForeignKey(Building, models.CASCADE, related_name="looks", **OPTIONAL)
