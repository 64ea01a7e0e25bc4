"""The values that the page of an inspection shows. Pure."""

from __future__ import annotations

from typing import Any

from async_loader import InspectedColumn
from async_loader.contrib.django.inspection.report import InspectionReport, JudgedReject
from async_loader.contrib.django.pages.values import Text, as_text
from async_loader.contrib.django.terminal.inspection import place_of, remarks_of, sample_line, type_of


def inspection_parts(report: InspectionReport) -> dict[str, Any]:
    """Return the parts of a page that are made of an inspection."""
    inspected, judged = report.inspected, report.judged
    if inspected is None:
        return {"source": as_text(report.source)}
    return {
        "source": as_text(inspected.path),
        "sampled": sample_line(inspected),
        "evidence": [*map(as_text, inspected.evidence)],
        "ambiguous": [*map(as_text, inspected.ambiguous)],
        "preamble": as_text("\n".join(inspected.preamble)) if inspected.preamble else None,
        "columns": [*map(_column, inspected.columns)],
        "table": as_text(report.table),
        "fits": [(as_text(fit.name), as_text(fit.target), fit.how, as_text(fit.why)) for fit in report.fits],
        "judged": judged,
        "problem": as_text(judged.problem) if judged is not None and judged.problem else None,
        "reasons": [(as_text(name), count) for name, count in judged.reasons] if judged is not None else [],
        "rejects": [*map(_reject, judged.rejects)] if judged is not None else [],
        "missing": [as_text(fit.target) for fit in report.missing],
        "command": as_text(report.command),
        "form": as_text(report.form),
        "model": as_text(report.model) if report.model else None,
    }


def _column(column: InspectedColumn) -> dict[str, Any]:
    return {
        "name": as_text(column.name),
        "type": type_of(column),
        "nulls": column.nulls,
        "distinct": column.distinct,
        "least": as_text(column.minimum or ""),
        "greatest": as_text(column.maximum or ""),
        "examples": [*map(as_text, column.examples)],
        "remarks": [*map(as_text, remarks_of(column))],
    }


def _reject(reject: JudgedReject) -> tuple[str, list[Text], list[tuple[Text, Text]]]:
    fields = [(as_text(name), as_text(value)) for name, value in reject.record.items()]
    return place_of(reject), [*map(as_text, reject.reasons)], fields
