"""The plan that is proposed for a file that has just come: how it is written and where its columns go, as far as an
inspection of it shows.
"""

from __future__ import annotations

from django.db.models import Model

import async_loader
from async_loader import Inspected, LoaderError
from async_loader.contrib.django.admin.plans import APPEND, BY_KEY, BY_MATCH, Plan
from async_loader.contrib.django.admin.seeing import can_be_inspected
from async_loader.contrib.django.inspection.fit import Fit, fit_of
from async_loader.contrib.django.inspection.work import with_names
from async_loader.contrib.django.models.tables import ProjectTables

# What a format and a plan call alike.
_ALIKE = ("delimiter", "quote", "escape", "comment", "skip_lines", "thousands", "trim")


def proposed_plan(path: str, model: type[Model], *, adds_rows: bool) -> Plan:
    """Return the plan for a file and a model. Where the file cannot be inspected, nothing is said in it.

    adds_rows: whether the person may make new rows, so that a file without keys may be appended.
    """
    if not can_be_inspected(path):
        return Plan()
    try:
        inspected, fit = _fitted(path, model)
    except LoaderError:
        return Plan()
    form = inspected.form
    finding = BY_MATCH if fit.match else APPEND if fit.append and adds_rows else BY_KEY
    return Plan(
        **{name: getattr(form, name) for name in _ALIKE},
        encoding="" if form.encoding == "utf-8" else form.encoding,
        decimal=form.decimal or ".",
        header=tuple(form.header),
        true=tuple(form.true),
        false=tuple(form.false),
        nulls={column.name: tuple(column.null_texts) for column in inspected.columns if column.null_texts},
        dates={column.name: column.date_formats for column in inspected.columns if column.date_formats},
        columns={each.name: each.target if each.is_read else "" for each in fit.columns if each.name},
        finding=finding,
        match=fit.match,
    )


def _fitted(path: str, model: type[Model]) -> tuple[Inspected, Fit]:
    project = ProjectTables()
    name = project.name(model._meta.label)
    tables = project.tables([name], with_links=True)
    table = next(each for each in tables if each.name == name)
    inspected = with_names(async_loader.inspect(path), table)
    return inspected, fit_of(inspected.columns, table, project.source_names(name), tables)
