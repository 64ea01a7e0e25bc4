"""An inspection as a command carries it out: the file is looked at, fitted to a table, and its sample judged by a dry
run with the very options that are proposed.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from django.conf import settings

import async_loader
from async_loader import Format, Inspected, Inspection, LoaderError, Options, Report, Run, Sample, Source, Table
from async_loader.contrib.django.inspection.fit import Fit, by_place, fit_of, renamed
from async_loader.contrib.django.inspection.model_class import model_class_of
from async_loader.contrib.django.inspection.proposal import Proposal, format_code, proposal_of
from async_loader.contrib.django.inspection.report import InspectionReport, Judged, JudgedReject
from async_loader.contrib.django.models.tables import ProjectTables, databases_of

# Rejects that are shown.
_LISTED = 5
# Makes the sources and options of a load of the arguments of `insert_data`.
Parse = Callable[[ProjectTables, list[str]], "tuple[dict[str, list[Source]], dict[str, object]]"]


class InspectionWork:
    """One inspection, to be performed once. `report` is what is known by then."""

    def __init__(self, path: str, base: str, project: ProjectTables, table: str, parse: Parse) -> None:
        self._path, self._base, self._project, self._table, self._parse = path, base, project, table, parse
        self._began = time.monotonic()
        self._known = InspectionReport("failed", 0.0, None, path)

    def perform(self) -> InspectionReport:
        """Inspect the file. Raises LoaderError where it cannot be read."""
        with Inspection(self._path, self._base) as inspection:
            self._known = replace(self._known, source=inspection.inspected.path, inspected=inspection.inspected)
            if self._table:
                self._fit_to_table(inspection.inspected, inspection.sample)
            else:
                self._propose_model(inspection.inspected, inspection.sample)
        return self.report("complete")

    def report(self, status: str, error: str | None = None) -> InspectionReport:
        """Return what is known by now, under this status."""
        seconds = round(time.monotonic() - self._began, 3)
        return replace(self._known, status=status, error=error, seconds=seconds)

    def _fit_to_table(self, inspected: Inspected, sample: Sample) -> None:
        name = self._project.name(self._table)
        tables = self._project.tables([name], with_links=True)
        table = next(each for each in tables if each.name == name)
        inspected = with_names(inspected, table)
        fit = fit_of(inspected.columns, table, self._project.source_names(name), tables)
        proposal = proposal_of(inspected, fit, self._table)
        self._know(inspected, fit, proposal)
        if not fit.missing:
            self._known = replace(self._known, judged=self._judge(proposal, sample, tables))

    def _know(self, inspected: Inspected, fit: Fit, proposal: Proposal, model: str = "") -> None:
        self._known = replace(
            self._known,
            inspected=inspected,
            table=proposal.table,
            fits=fit.columns,
            command=proposal.command,
            form=format_code(proposal.form, _format_name(self._path)),
            model=model,
        )

    def _judge(self, proposal: Proposal, sample: Sample, tables: tuple[Table, ...]) -> Judged:
        arguments = [proposal.source_of(sample.path, sample.base), *proposal.arguments]
        try:
            sources, finding = self._parse(self._project, arguments)
            options = Options(dry_run=True, report_rejects=_LISTED, **finding)  # type: ignore[arg-type]
            report = Run(tables, sources, databases_of(tables), options, mode="sequential").perform()
        except LoaderError as error:
            return Judged(problem=str(error).replace(sample.path, self._known.source))
        return _judged(report, sample)

    def _propose_model(self, inspected: Inspected, sample: Sample) -> None:
        model = model_class_of(inspected, settings.TIME_ZONE if settings.USE_TZ else None)
        proposal = proposal_of(inspected, model.fit, model.label)
        self._know(inspected, model.fit, proposal, model.code)
        self._known = replace(self._known, judged=_judge_alone(proposal.form, sample, model.table, model.fit))


def with_names(inspected: Inspected, table: Table) -> Inspected:
    """Return the inspection with names of the table, for a file without a header whose columns fit by their place."""
    if inspected.has_header or not (names := by_place(inspected.columns, table)):
        return inspected
    evidence = f"columns: named like those of {table.name}, in whose order they stand"
    return replace(
        inspected,
        columns=renamed(inspected.columns, names),
        form=replace(inspected.form, header=names),
        evidence=(*inspected.evidence, evidence),
    )


def _judge_alone(form: Format, sample: Sample, table: Table, fit: Fit) -> Judged:
    """Judge a sample by a table that exists nowhere else."""
    with tempfile.TemporaryDirectory(prefix="inspect-") as directory:
        databases: Mapping[str, str] = {table.database: str(Path(directory) / "sample.db")}
        source = Source(sample.path, replace(form, base=sample.base))
        options = Options(dry_run=True, report_rejects=_LISTED, append=frozenset({table.name} if fit.append else ()))
        try:
            async_loader.init([table], databases)
            report = Run([table], {table.name: source}, databases, options, mode="sequential").perform()
        except LoaderError as error:
            return Judged(problem=str(error))
    return _judged(report, sample)


def _judged(report: Report, sample: Sample) -> Judged:
    table = next(each for each in report.tables.values() if each.sources)
    rejects = []
    for reject in table.rejects[:_LISTED]:
        from_end = sample.from_end(reject.line)
        messages = tuple(reason.message for reason in reject.reasons)
        line = reject.line if from_end is None else None
        rejects.append(JudgedReject(line, from_end, reject.record, messages))
    return Judged(
        given=table.given,
        rejected=table.rejected,
        reasons=tuple(table.reasons.items()),
        rejects=tuple(rejects),
        blank_lines=table.blank_lines,
        unasked=table.unasked_constraints,
    )


def _format_name(path: str) -> str:
    """Return a name for a declared format, made of the file's."""
    stem = re.split(r"[/\\]", path.partition("#")[0])[-1].partition(".")[0]
    return re.sub(r"\W+", "-", stem).strip("-").lower() or "file"
