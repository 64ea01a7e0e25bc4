"""Models whose foreign keys lead nowhere, and fields that are not whole."""

from __future__ import annotations

from django.db import models


class Lost(models.Model):
    there = models.ForeignKey("Missing", models.CASCADE)


class Aside(models.Model):
    lost = models.ForeignKey(Lost, models.CASCADE, to_field="nope")


class Pair(models.Model):
    pk = models.CompositePrimaryKey("x", "y")
    x = models.IntegerField()
    y = models.IntegerField()


class OfPair(models.Model):
    pair = models.ForeignKey(Pair, models.CASCADE)


class Left(models.Model):
    right = models.OneToOneField("Right", models.CASCADE, primary_key=True)


class Right(models.Model):
    left = models.OneToOneField(Left, models.CASCADE, primary_key=True)


class Endless(models.Model):
    number = models.DecimalField()


class OddDay(models.Model):
    day = models.DateField(default=5)
