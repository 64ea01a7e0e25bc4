"""The sample's models: their columns, stated once. Unmanaged: `init_db` makes the tables, not migrations."""

from django.db import models


class User(models.Model):
    """Somebody who orders."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    email = models.TextField(blank=True)

    class Meta:
        managed = False
        db_table = "users"

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """Something to order."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField(blank=True)
    price = models.FloatField()

    class Meta:
        managed = False
        db_table = "products"

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """So many of a product for a user, both in other databases: plain columns, held whole by the loader."""

    id = models.BigIntegerField(primary_key=True)
    user_id = models.BigIntegerField()
    product_id = models.BigIntegerField()
    quantity = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "orders"

    def __str__(self) -> str:
        return f"order {self.id}"
