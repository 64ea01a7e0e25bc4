"""The sample's models. They are unmanaged: `init_db` creates their tables, not migrations."""

from django.db import models


class User(models.Model):
    """A customer, with an address for mail."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    email = models.TextField()

    class Meta:
        managed = False
        db_table = "users"

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """A product that customers order."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    price = models.FloatField()

    class Meta:
        managed = False
        db_table = "products"

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """An order of a user for a product. Both are in other databases, so the loader checks that they exist."""

    id = models.BigIntegerField(primary_key=True)
    user_id = models.BigIntegerField()
    product_id = models.BigIntegerField()
    quantity = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "orders"

    def __str__(self) -> str:
        return f"order {self.id}"
