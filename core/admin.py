"""The sample's models in the admin, each in its own database, as the router says."""

from django.contrib import admin

from core.models import Order, Product, User


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Customers with their addresses for mail."""

    list_display = ("id", "name", "email")
    search_fields = ("name", "email")


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Products with their prices."""

    list_display = ("id", "name", "price")
    search_fields = ("name",)


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Orders, which reference rows of other databases."""

    list_display = ("id", "user_id", "product_id", "quantity")
