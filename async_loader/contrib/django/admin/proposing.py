"""The plan that is proposed for a file that has just come: how it is written and where its columns go, as far as an
inspection of it shows.
"""

from __future__ import annotations

from dataclasses import replace

from django.db.models import Model

import async_loader
from async_loader import Inspected, LoaderError, Source, SourceError, Table
from async_loader.contrib.django.admin.plans import APPEND, BY_KEY, BY_MATCH, Plan
from async_loader.contrib.django.admin.seeing import can_be_inspected, look
from async_loader.contrib.django.inspection.fit import Fit, fit_of
from async_loader.contrib.django.inspection.work import with_names
from async_loader.contrib.django.models.tables import ProjectTables, databases_of

# What a format and a plan call alike.
_ALIKE = ("delimiter", "quote", "escape", "comment", "skip_lines", "thousands", "trim")
# What a plan calls as the spellings of a source do.
_SPELLINGS = ("decimal", "thousands", "trim", "true", "false")
# Seconds that a page waits for a locked database.
_LOCK_TIMEOUT = 5.0


def proposed_plan(path: str, model: type[Model], *, adds_rows: bool) -> Plan:
    """Return the plan for a file and a model. Where the file cannot be inspected, nothing is said in it.

    adds_rows: whether the person may make new rows, so that a file without keys may be appended.
    """
    if not can_be_inspected(path):
        return Plan()
    try:
        try:
            if (as_before := _plan_of_rejects(path, model)) is not None:
                return as_before
        except SourceError as error:
            # The page shows this, and leaves it to the person to say how the file is read.
            return Plan(problem=error.text.replace(f"{path}: ", ""))
        inspected, fit = _fitted(path, model)
    except LoaderError:
        return Plan()
    form = inspected.form
    needed = {each.name for each in fit.columns if each.is_read and not each.nullable}
    finding = BY_MATCH if fit.match else APPEND if fit.append and adds_rows else BY_KEY
    return Plan(
        **{name: getattr(form, name) for name in _ALIKE},
        encoding="" if form.encoding == "utf-8" else form.encoding,
        decimal=form.decimal or ".",
        header=tuple(form.header),
        true=tuple(form.true),
        false=tuple(form.false),
        nulls={
            column.name: tuple(column.null_texts)
            for column in inspected.columns
            if column.null_texts and column.name not in needed
        },
        dates={column.name: column.date_formats for column in inspected.columns if column.date_formats},
        columns={each.name: each.target if each.is_read else "" for each in fit.columns if each.name},
        finding=finding,
        match=fit.match,
    )


def _plan_of_rejects(path: str, model: type[Model]) -> Plan | None:
    """Return the plan of a file of rejects: as their run read its source; None for another. Raises LoaderError."""
    project = ProjectTables()
    name = project.name(model._meta.label)
    tables = project.tables([name], with_links=True)
    stored = async_loader.StoredRejects(tables, databases_of(tables), lock_timeout=_LOCK_TIMEOUT)
    mended = stored.mended(name, Source(path, aliases=project.source_names(name)))
    if mended is None:
        return None
    source = mended.source
    return _with_columns(
        Plan(
            **{each: getattr(source.dialect, each) for each in ("delimiter", "quote", "escape")},
            **{each: getattr(source.spellings, each) for each in _SPELLINGS},
            encoding=source.encoding,
            null=source.means_null[0] if len(source.means_null) == 1 else "",
            finding=APPEND if mended.append else BY_MATCH if mended.match else BY_KEY,
            match=mended.match,
            missing=mended.on_missing,
            constants=dict(source.constants),
            separators=dict(source.separators),
            rejects_of=mended.run,
        ),
        source,
        next(each for each in tables if each.name == name),
    )


def _with_columns(plan: Plan, source: Source, table: Table) -> Plan:
    """Return the plan of a file of rejects with how its run read each column, by their names in the file."""
    header, spellings, general = look(source.path, plan).header, source.spellings, source.means_null
    goes = {name: name for name in table.column_names}
    goes |= {alias: column for column, several in source.aliases.items() for alias in several}
    named = {name: column for column, name in source.names.items()} | dict.fromkeys(source.ignore, "")
    columns = {name: goes[name] for name in header if name in goes and goes[name] not in source.names} | named
    nulls = {name: (*spellings.nulls(columns.get(name, name)), *general[len(general) == 1 :]) for name in header}
    dates = {name: spellings.date_formats(columns.get(name, name)) for name in header}
    dates = {name: formats or spellings.general_date_formats for name, formats in dates.items()}
    return replace(plan, columns=columns, nulls=nulls, dates=dates)


def _fitted(path: str, model: type[Model]) -> tuple[Inspected, Fit]:
    project = ProjectTables()
    name = project.name(model._meta.label)
    tables = project.tables([name], with_links=True)
    table = next(each for each in tables if each.name == name)
    inspected = with_names(async_loader.inspect(path), table)
    return inspected, fit_of(inspected.columns, table, project.source_names(name), tables)
