"""What is refused, each for a reason of its own."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Upper


class Base(models.Model):
    name = models.TextField()


class Derived(Base):
    """With a key of its own besides that of its parent."""

    number = models.IntegerField(primary_key=True)
    base = models.OneToOneField(Base, models.CASCADE, parent_link=True, related_name="derived")
    extra = models.TextField()


class Category(models.Model):
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True)


class InCategory(models.Model):
    category = models.ForeignKey(Category, models.CASCADE)


class Hen(models.Model):
    egg = models.ForeignKey("Egg", models.CASCADE, related_name="hens")


class Egg(models.Model):
    hen = models.ForeignKey(Hen, models.CASCADE, related_name="eggs")


class Mac(models.Field):
    """A kind of column that the loader does not know, in SQLite."""

    def db_type(self, connection: Any) -> str:
        return "macaddr"


class Device(models.Model):
    name = models.TextField()
    mac = Mac(null=True, blank=True)
    ports = models.IntegerField(null=True, blank=True)
    loud = models.GeneratedField(expression=Upper("name"), output_field=models.TextField(), db_persist=True)


class DeviceKey(models.Model):
    mac = Mac(primary_key=True)


class Shouted(models.CharField):
    def to_python(self, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class Secret(models.TextField):
    def get_prep_value(self, value: Any) -> Any:
        return value and value[::-1]


class Rotated(models.TextField):
    def from_db_value(self, value: Any, *_: object) -> Any:
        return value and value[::-1]


class Lax(models.CharField):
    def run_validators(self, value: Any) -> None:
        """Accept every value as it is."""


class Loose(models.ForeignKey):
    def validate(self, value: Any, model_instance: Any) -> None:
        """Accept every value as it is."""


class OwnToPython(models.Model):
    word = Shouted(max_length=5)


class OwnPrepared(models.Model):
    word = Secret()


class OwnReading(models.Model):
    word = Rotated()


class OwnValidation(models.Model):
    word = Lax(max_length=5)


class OwnReference(models.Model):
    customer = Loose("shop.Customer", models.CASCADE)


class TwoKeys(models.Model):
    pk = models.CompositePrimaryKey("a", "b")
    a = models.IntegerField()
    b = models.IntegerField()


class JsonKey(models.Model):
    data = models.JSONField(primary_key=True)


class BadDefault(models.Model):
    number = models.IntegerField(default="none")


class One(models.Model):
    class Meta:
        db_table = "shared"


class Another(models.Model):
    """In another database, where nothing says which of the two is meant."""

    class Meta:
        db_table = "shared"


class InMemory(models.Model):
    name = models.TextField()


class Elsewhere(models.Model):
    name = models.TextField()
    price = models.DecimalField(max_digits=5, decimal_places=2)


class Nowhere(models.Model):
    name = models.TextField()


class Summary(models.Model):
    """A view that the project makes by itself, or has not made yet."""

    id = models.BigIntegerField(primary_key=True)
    total = models.IntegerField()

    class Meta:
        managed = False
        db_table = "summary"


class Imported(models.Model):
    """A table that no migration creates."""

    id = models.BigIntegerField(primary_key=True)
    total = models.IntegerField()

    class Meta:
        managed = False
        db_table = "imported"


def tables():
    """Declare a view and a table."""
    from async_loader.contrib.django.tables import table_of

    return table_of(Summary), table_of(Imported)
