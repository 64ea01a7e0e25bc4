"""The foreign keys that lead to some tables, of all models of a project: also of those that cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import models

from async_loader import Referrer, Table
from async_loader.contrib.django.models.databases import all_models, home


def referrers_of(tables: Iterable[Table], declared: Iterable[Table]) -> Iterator[Referrer]:
    """Yield the columns that reference these tables: those of `declared` tables, and foreign keys of all models, with
    the tables that Django makes of many-to-many fields.
    """
    by_name = {table.name: table for table in tables}
    for table in declared:
        for reference in table.references:
            if reference.table in by_name:
                yield Referrer(table.database, table.name, reference.column, reference.table, reference.to)
    for model in all_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, models.ForeignKey) and (target := _table_of(field)) in by_name:
                to = str(field.target_field.column)
                held = "" if to == by_name[target].key else to
                yield Referrer(home(model), model._meta.db_table, str(field.column), target, held)


def _table_of(field: models.ForeignKey[Any, Any]) -> str:
    """Return the table that a foreign key leads to; empty where it leads to no model."""
    target: Any = field.remote_field.model
    return "" if isinstance(target, str) else str(target._meta.db_table)
