"""What Django itself makes of records: asked on stdin and answered on stdout, a line of JSON each, in a process of this
project's own. The loader is asked here as well, by its command.
"""

from __future__ import annotations

import enum
import io
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import django
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections, models, router, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from async_loader import LoaderError

Row = list[str]

# In SQL, a value and its type as text.
_WRITTEN = {
    "sqlite": """typeof("{0}") || ' ' || quote("{0}")""",
    "postgresql": """concat(pg_typeof("{0}"), ' ', quote_nullable("{0}"))""",
}


def saved(model: type[models.Model], values: Mapping[str, str | None]) -> str | None:
    """Check and save one record as a project would; what was wrong, or None."""
    try:
        instance = model(**{name: _given(model, name, text) for name, text in values.items()})
        instance.full_clean()
        with transaction.atomic(using=router.db_for_write(model)):
            instance.save(force_insert=True)
            _look_at_times(instance)
    except (ValidationError, DatabaseError, ValueError, TypeError, AttributeError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _given(model: type[models.Model], name: str, text: str | None) -> Any:
    """Return a value for a field: the text itself, except JSON, which is no text to Django."""
    if text is not None and isinstance(model._meta.get_field(name), models.JSONField):
        return json.loads(text)
    return text


def _look_at_times(instance: models.Model) -> None:
    """Raise OverflowError for a time whose year in UTC Python lacks: PostgreSQL stores it, but it cannot be read."""
    for field in instance._meta.concrete_fields:
        value = field.get_prep_value(getattr(instance, field.attname))
        if isinstance(value, datetime) and timezone.is_aware(value):
            value.astimezone(UTC)


def stored(model: type[models.Model]) -> list[Row]:
    """Return all rows by key, each value as SQL writes it, with its type."""
    connection = connections[router.db_for_read(model)]
    columns = ", ".join(_WRITTEN[connection.vendor].format(field.column) for field in _fields(model))
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT {columns} FROM "{model._meta.db_table}" ORDER BY 1')
        return [list(row) for row in cursor.fetchall()]


def read(model: type[models.Model]) -> list[Row]:
    """Return all rows as the ORM reads them."""
    rows = model._default_manager.order_by("pk")
    return [[repr(getattr(row, field.attname)) for field in _fields(model)] for row in rows]


def values(label: str, names: Sequence[str]) -> list[Row]:
    """Return some fields of all rows of a model, by key, as the ORM reads them."""
    rows = apps.get_model(label)._default_manager.order_by("pk")
    return [[repr(_readable(getattr(row, name))) for name in names] for row in rows]


def _readable(value: Any) -> Any:
    """Return a value of a row in a form that is the same for every database."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, models.fields.files.FieldFile):
        return value.name
    return value.value if isinstance(value, enum.Enum) else value


def calls(method: str, *sources: str) -> int:
    """Load sources again, each a path and a table, and return how often a method of the project was called."""
    path, _, name = method.rpartition(".")
    owner, counted = import_string(path), 0
    real = getattr(owner, name)

    def counting(*arguments: Any) -> Any:
        nonlocal counted
        counted += 1
        return real(*arguments)

    setattr(owner, name, counting)
    try:
        manage(["insert_data", f"{sources[1]}={sources[0]}"])
    finally:
        setattr(owner, name, real)
    return counted


def _fields(model: type[models.Model]) -> Sequence[Any]:
    return [model._meta.pk, *(field for field in model._meta.concrete_fields if not field.primary_key)]


def judge(label: str, records: Sequence[Mapping[str, str | None]]) -> dict[str, Any]:
    """Return what Django says of each record, and what is then stored. Nothing stays stored."""
    model = apps.get_model(label)
    with transaction.atomic(using=router.db_for_write(model)):
        problems = [saved(model, record) for record in records]
        answer = {"problems": problems, "stored": stored(model), "read": read(model)}
        transaction.set_rollback(True, using=router.db_for_write(model))
    return answer


def rows(label: str) -> dict[str, Any]:
    """Return what is stored of a model."""
    model = apps.get_model(label)
    return {"stored": stored(model), "read": read(model)}


def linked(label: str, field: str) -> dict[str, list[str]]:
    """Return by row, as text, the rows to which a many-to-many field links it."""
    every = apps.get_model(label)._default_manager.all()
    return {str(row): sorted(map(str, getattr(row, field).all())) for row in every}


def empty(label: str) -> None:
    """Delete all rows of a model."""
    apps.get_model(label)._default_manager.all().delete()


def add(label: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Save rows, so that others can reference them."""
    for record in records:
        apps.get_model(label)(**record).save(force_insert=True)


def manage(arguments: Sequence[str]) -> dict[str, Any]:
    """Run a command, and return its report."""
    out = io.StringIO()
    call_command(*arguments, "--format=json", "--no-progress", stdout=out)
    for connection in connections.all(initialized_only=True):
        connection.close()
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def inspect(arguments: Sequence[str]) -> dict[str, Any]:
    """Inspect a file, and return the report."""
    out = io.StringIO()
    call_command("inspect_source", *arguments, "--format=json", stdout=out)
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def refusal(arguments: Sequence[str]) -> str | None:
    """Return the line with which a command refuses; None if it does not."""
    try:
        manage(arguments)
    except (LoaderError, CommandError) as error:
        return str(error)
    return None


QUESTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (judge, rows, values, linked, calls, empty, add, inspect, manage, refusal)
}

if __name__ == "__main__":
    django.setup()
    # Django warns of times without zones, which are what a source has.
    warnings.filterwarnings("ignore", "DateTimeField .* received a naive datetime", RuntimeWarning)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(QUESTIONS[name](*arguments)) + "\n")
        sys.stdout.flush()
