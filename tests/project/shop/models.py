"""Models with fields of every kind that can be loaded. The first four are wide: each field is tried by itself, so all
others may be null.
"""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core import validators
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Now, Upper
from django.utils import timezone

from shop.fields import Enumerated, Packed, Reversed
from shop.keys import Money


def even(value: int) -> None:
    """Refuse odd numbers: a validator as projects write them."""
    if value % 2:
        raise ValidationError("%(value)s is odd", params={"value": value})


def no_shouting(value: str) -> None:
    """Refuse text in capitals: a validator as projects write them."""
    if value.isupper():
        raise ValidationError(["Do not shout.", "{shown} it is."])


def a_thousand() -> int:
    return 1000


def noon(year: int) -> dt.datetime:
    """Return a limit, noon of June 1st, with a zone if the project has time zones."""
    at = dt.datetime(year, 6, 1, 12)  # noqa: DTZ001 - made aware where the project wants that
    return timezone.make_aware(at) if settings.USE_TZ else at


def last_noon() -> dt.datetime:
    return noon(2030)


class Size(models.IntegerChoices):
    SMALL = 1
    LARGE = 2


class Colour(models.TextChoices):
    RED = "r"
    GREEN = "g"


OPTIONAL: Any = {"null": True, "blank": True}


class Number(models.Model):
    small = models.SmallIntegerField(**OPTIONAL)
    integer = models.IntegerField(**OPTIONAL)
    big = models.BigIntegerField(**OPTIONAL)
    positive = models.PositiveIntegerField(**OPTIONAL)
    positive_small = models.PositiveSmallIntegerField(**OPTIONAL)
    positive_big = models.PositiveBigIntegerField(**OPTIONAL)
    required = models.IntegerField(default=1)
    ranged = models.IntegerField(
        validators=[validators.MinValueValidator(-5), validators.MaxValueValidator(a_thousand)], **OPTIONAL
    )
    below_a_half = models.IntegerField(validators=[validators.MaxValueValidator(0.5)], **OPTIONAL)
    below_all = models.BigIntegerField(validators=[validators.MaxValueValidator(10**30)], **OPTIONAL)
    stepped = models.IntegerField(validators=[validators.StepValueValidator(5, offset=1)], **OPTIONAL)
    even = models.IntegerField(validators=[even], **OPTIONAL)
    size = models.IntegerField(choices=Size, **OPTIONAL)
    real = models.FloatField(**OPTIONAL)
    real_ranged = models.FloatField(
        validators=[validators.MinValueValidator(0.5), validators.MaxValueValidator(10)], **OPTIONAL
    )
    price = models.DecimalField(max_digits=8, decimal_places=2, **OPTIONAL)
    rate = models.DecimalField(max_digits=5, decimal_places=5, **OPTIONAL)
    whole = models.DecimalField(max_digits=4, decimal_places=0, **OPTIONAL)
    large = models.DecimalField(max_digits=20, decimal_places=10, **OPTIONAL)
    fine = models.DecimalField(max_digits=20, decimal_places=18, **OPTIONAL)
    bounded = models.DecimalField(
        max_digits=6,
        decimal_places=2,
        validators=[validators.MinValueValidator(Decimal("0.005")), validators.MaxValueValidator(100)],
        **OPTIONAL,
    )
    half = models.DecimalField(
        max_digits=6, decimal_places=2, validators=[validators.MaxValueValidator(0.5)], **OPTIONAL
    )
    grade = models.DecimalField(
        max_digits=3, decimal_places=1, choices=[(Decimal("1.5"), "good"), (2, "fair")], **OPTIONAL
    )
    flag = models.BooleanField(**OPTIONAL)
    needed_flag = models.BooleanField(default=True)
    chosen_flag = models.BooleanField(choices=[(True, "yes")], **OPTIONAL)


class Text(models.Model):
    short = models.CharField(max_length=5, **OPTIONAL)
    required = models.CharField(max_length=5, default="x")
    blank = models.CharField(max_length=5, blank=True)
    null = models.CharField(max_length=5, null=True, default="x")  # noqa: DJ001 - Django takes neither null nor ""
    endless = models.CharField(**OPTIONAL)
    body = models.TextField(**OPTIONAL)
    limited_body = models.TextField(max_length=3, **OPTIONAL)
    colour = models.CharField(max_length=1, choices=Colour, **OPTIONAL)
    needed_colour = models.CharField(max_length=1, choices=Colour, default="r")
    grouped = models.CharField(choices=[(None, "-"), ("group", [("a", "A"), ("b", "B")]), (3, "three")], **OPTIONAL)
    email = models.EmailField(**OPTIONAL)
    short_email = models.EmailField(max_length=10, **OPTIONAL)
    local_email = models.EmailField(validators=[validators.EmailValidator(allowlist=["here"])], **OPTIONAL)
    url = models.URLField(**OPTIONAL)
    slug = models.SlugField(**OPTIONAL)
    any_slug = models.SlugField(allow_unicode=True, **OPTIONAL)
    pattern = models.CharField(validators=[validators.RegexValidator(r"^[a-z]+\d$")], **OPTIONAL)
    not_pattern = models.TextField(validators=[validators.RegexValidator("bad", inverse_match=True)], **OPTIONAL)
    long = models.CharField(validators=[validators.MinLengthValidator(3)], **OPTIONAL)
    between = models.CharField(
        validators=[validators.MinValueValidator("b"), validators.MaxValueValidator("é")], **OPTIONAL
    )
    quiet = models.CharField(validators=[no_shouting], **OPTIONAL)
    listed = models.CharField(validators=[validators.validate_comma_separated_integer_list], **OPTIONAL)
    hidden = models.CharField(max_length=3, choices=Colour, default="r", editable=False)


class Moment(models.Model):
    day = models.DateField(**OPTIONAL)
    needed_day = models.DateField(default=dt.date(2024, 2, 29))
    ranged_day = models.DateField(
        validators=[
            validators.MinValueValidator(dt.date(2000, 2, 29)),
            validators.MaxValueValidator(lambda: dt.date(2030, 1, 1)),
        ],
        **OPTIONAL,
    )
    chosen_day = models.DateField(choices=[(dt.date(2024, 1, 1), "new year")], **OPTIONAL)
    at = models.DateTimeField(**OPTIONAL)
    odd_day = models.DateField(
        validators=[lambda day: even(day.day)],
        **OPTIONAL,
    )


class Other(models.Model):
    mark = models.UUIDField(**OPTIONAL)
    needed_mark = models.UUIDField(default=uuid.uuid4)
    chosen_mark = models.UUIDField(choices=[(uuid.UUID(int=1), "one")], **OPTIONAL)
    data = models.JSONField(**OPTIONAL)
    needed_data = models.JSONField(default=lambda: [1])
    blank_data = models.JSONField(default=dict, blank=True)
    chosen_data = models.JSONField(choices=[("x", "ex"), (1, "one")], **OPTIONAL)


class Clock(models.Model):
    time = models.TimeField(**OPTIONAL)
    needed_time = models.TimeField(default=dt.time(12))
    ranged_time = models.TimeField(
        validators=[validators.MinValueValidator(dt.time(8)), validators.MaxValueValidator(dt.time(18, 0, 0, 1))],
        **OPTIONAL,
    )
    chosen_time = models.TimeField(choices=[(dt.time(9, 30), "early")], **OPTIONAL)
    lasting = models.DurationField(**OPTIONAL)
    needed_lasting = models.DurationField(default=dt.timedelta(minutes=1))
    ranged_lasting = models.DurationField(
        validators=[validators.MaxValueValidator(dt.timedelta(days=1)), validators.MinValueValidator(dt.timedelta())],
        **OPTIONAL,
    )
    chosen_lasting = models.DurationField(choices=[(dt.timedelta(hours=1), "an hour")], **OPTIONAL)


class Site(models.Model):
    ip = models.GenericIPAddressField(**OPTIONAL)
    needed_ip = models.GenericIPAddressField(default="::1")
    ip4 = models.GenericIPAddressField(protocol="ipv4", **OPTIONAL)
    ip6 = models.GenericIPAddressField(protocol="ipv6", **OPTIONAL)
    unpacked = models.GenericIPAddressField(unpack_ipv4=True, **OPTIONAL)
    file = models.FileField(blank=True)
    path = models.FilePathField(path="/tmp", max_length=20, blank=True)
    content = models.BinaryField(**OPTIONAL)
    short_content = models.BinaryField(max_length=3, editable=True, **OPTIONAL)
    needed_content = models.BinaryField(editable=True, default=b"x")
    hidden_content = models.BinaryField(default=b"")


class Own(models.Model):
    """With fields that only this project knows."""

    money = Money(max_digits=6, decimal_places=2, **OPTIONAL)
    needed_money = Money(max_digits=6, decimal_places=2, default=1)
    backwards = Reversed(**OPTIONAL)
    short_backwards = Reversed(max_length=3, validators=[validators.MaxLengthValidator(3), no_shouting], **OPTIONAL)
    shade = Enumerated(**OPTIONAL)
    packed = Packed(**OPTIONAL)


class Bounded(models.Model):
    """Apart, because Django compares times with and without zones to no good end."""

    at = models.DateTimeField(
        validators=[validators.MinValueValidator(noon(2000)), validators.MaxValueValidator(last_noon)], **OPTIONAL
    )


class Dated(models.Model):
    """With what an abstract base brings."""

    created = models.DateTimeField(auto_now_add=True)
    created_on = models.DateField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Customer(Dated):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=20)
    email = models.EmailField(unique=True)
    nickname = models.CharField(max_length=20, unique=True, **OPTIONAL)
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=20), db_persist=True, db_column="loud_name"
    )
    status = models.CharField(max_length=10, db_default="new")
    level = models.IntegerField(default=a_thousand)
    seen = models.DateTimeField(db_default=Now(), **OPTIONAL)

    def __str__(self) -> str:
        return self.name


class Regular(Customer):
    """The same rows under another name."""

    class Meta:
        proxy = True


class Product(models.Model):
    sku = models.CharField(primary_key=True, max_length=8, validators=[validators.validate_slug])
    price = models.DecimalField(max_digits=8, decimal_places=2)
    introduced = models.DateField(null=True, blank=True, db_column="since")
    tags = models.JSONField(default=list, blank=True)
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.sku


class Order(models.Model):
    """In the other database."""

    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False)
    product = models.ForeignKey(Product, models.DO_NOTHING, db_constraint=False, db_column="article", **OPTIONAL)
    taken_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, **OPTIONAL)
    at = models.DateTimeField()
    amount = models.PositiveIntegerField(default=1)


class Card(models.Model):
    """One for each customer, whose key it has."""

    customer = models.OneToOneField(Customer, models.CASCADE, primary_key=True)
    number = models.BigIntegerField(unique=True)
    product = models.OneToOneField(Product, models.CASCADE, **OPTIONAL)


class Seat(models.Model):
    """With constraints that Django leaves to the database, whose codes and messages are the project's."""

    row = models.PositiveIntegerField()
    letter = models.CharField(max_length=1)
    guest = models.CharField(max_length=20, blank=True)
    paid = models.BooleanField(default=False)
    wishes = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("guest"),
                condition=models.Q(paid=True),
                name="one_seat_paid",
                violation_error_code="paid_twice",
                violation_error_message="Nobody pays for\ntwo seats.",
            ),
            models.UniqueConstraint(
                fields=["row", "letter"],
                name="one_guest",
                violation_error_code="taken",
                violation_error_message="That seat is taken.",
            ),
            models.UniqueConstraint(
                fields=["guest"],
                condition=models.Q(row=0),
                name="front",
                violation_error_message="%(name)s: once in the first row is enough.",
            ),
            models.CheckConstraint(
                condition=models.Q(row__lt=40), name="short", violation_error_message="The hall has 40 rows."
            ),
            models.CheckConstraint(condition=~models.Q(letter="I"), name="no_i"),
            models.CheckConstraint(
                condition=~models.Q(guest__contains="/"), name="whole", violation_error_message="No two halves."
            ),
        ]

    def __str__(self) -> str:
        return f"{self.row}{self.letter}"


class Stay(models.Model):
    """With constraints whose conditions can be said in columns."""

    first = models.DateField(**OPTIONAL)
    last = models.DateField(**OPTIONAL)
    rooms = models.IntegerField(**OPTIONAL)
    price = models.DecimalField(max_digits=6, decimal_places=2, **OPTIONAL)
    kind = models.CharField(max_length=5, **OPTIONAL)
    paid = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(last__gt=models.F("first")), name="goes_on"),
            models.CheckConstraint(condition=~models.Q(rooms=3) | models.Q(kind__in=["suite", "all"]), name="large"),
            models.CheckConstraint(
                condition=models.Q(price__range=(Decimal("0.50"), 100)) | models.Q(price__isnull=True, paid=False),
                name="fair",
                violation_error_code="unfair",
                violation_error_message="That is no fair price.",
            ),
            models.CheckConstraint(condition=~(models.Q(kind="none") & ~models.Q(rooms__lte=0)), name="no_room"),
        ]


class Legacy(models.Model):
    """That migrations leave alone."""

    number = models.IntegerField(unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, **OPTIONAL)

    class Meta:
        managed = False
        db_table = "legacy"


class Category(models.Model):
    """With a parent of its own kind."""

    name = models.CharField(max_length=20, unique=True)
    parent = models.ForeignKey("self", models.CASCADE, related_name="children", **OPTIONAL)

    def __str__(self) -> str:
        return self.name
