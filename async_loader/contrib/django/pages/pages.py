"""A report as one HTML page that needs nothing else: no script, no network. Pure: a report in, text out.

All text from records and names is escaped: by Django's templates, and by codes for characters that could hide others or
change their direction. The template engine is this app's own, so that pages are the same in every project, whatever its
settings say of templates, languages and numbers.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from async_loader import ReferenceReport, Report, VerificationReport
from async_loader.contrib.django.inspection.report import InspectionReport
from async_loader.contrib.django.pages import filters
from async_loader.contrib.django.pages.inspection import inspection_parts
from async_loader.contrib.django.pages.throughput import throughput
from async_loader.contrib.django.pages.values import (
    SHOWN,
    Rejects,
    anchor_of,
    as_text,
    counts_of,
    is_kept,
    ledger_line,
    listed_orphan,
    listed_reject,
    missing_of,
    origin_of,
    outcomes_of,
    rejects_of,
)
from async_loader.contrib.django.terminal.wording import printable

_TEMPLATES = Path(__file__).parent / "templates"
# What the page of a load is put into.
_WHOLE, _PART = "async_loader/page.html", "async_loader/part.html"


def page(report: Report | ReferenceReport | VerificationReport | InspectionReport) -> str:
    """Return the page of a report of any kind."""
    match report:
        case Report():
            return _load_page(report)
        case ReferenceReport():
            return _references_page(report)
        case VerificationReport():
            return _verification_page(report)
        case InspectionReport():
            return _rendered("inspection.html", report, "Inspection", **inspection_parts(report))


def part(report: Report) -> str:
    """Return the page of a load as a part of another page, which brings the style."""
    return _load_page(report, _PART)


def rejects_part(rejects: Rejects) -> str:
    """Return a listing of rejects as a part of another page, which brings the style."""
    words = {"plural": "rejects", "wording": "stored", "place": "Source"}
    template = _engine().get_template("async_loader/rejects.html")
    return template.render(Context({"table": rejects, **words}, use_l10n=False, use_tz=False))


def _load_page(report: Report, base: str = _WHOLE) -> str:
    # Rejects of a run that did not complete may be in the database or not.
    kept = report.status == "complete" and not report.dry_run
    outcomes = outcomes_of(report.tables.values())
    return _rendered(
        "load.html",
        report,
        f"Load {report.run[:SHOWN]}",
        run=as_text(report.run),
        totals=[(name, sum(getattr(table, name) for table in report.tables.values())) for name in outcomes],
        counts=[counts_of(number, name, table, outcomes) for number, (name, table) in enumerate(report.tables.items())],
        origins=[origin_of(name, table) for name, table in report.tables.items()],
        missing=[missing_of(name, table) for name, table in report.tables.items() if is_kept(table)],
        warnings=[
            (as_text(name), as_text(warning)) for name, table in report.tables.items() for warning in table.warnings
        ],
        **_throughput(report),
        base=base,
        rejects=[
            rejects_of(number, name, table, map(listed_reject, table.rejects), kept_in=table.database if kept else "")
            for number, (name, table) in enumerate(report.tables.items())
            if table.rejected
        ],
    )


def _throughput(report: Report) -> dict[str, Any]:
    drawn = throughput(report.tables)
    return {"throughput": drawn, "curves": [(as_text(curve.name), curve) for curve in drawn.curves] if drawn else []}


def _references_page(report: ReferenceReport) -> str:
    return _rendered(
        "references.html",
        report,
        "Check of references",
        counts=[
            (as_text(name), as_text(table.database), anchor_of(number, table), table)
            for number, (name, table) in enumerate(report.tables.items())
        ],
        rejects=[
            rejects_of(number, name, table, map(listed_orphan, table.rejects))
            for number, (name, table) in enumerate(report.tables.items())
            if table.rejected
        ],
    )


def _verification_page(report: VerificationReport) -> str:
    outcomes = outcomes_of(table for run in report.runs for table in run.tables.values())
    return _rendered(
        "verification.html",
        report,
        "Verification of runs",
        findings=[
            [
                as_text(each)
                for each in (run.run, finding.code, finding.database, finding.table, finding.problem, finding.advice)
            ]
            for run in report.runs
            for finding in run.findings
        ],
        runs=[
            (
                as_text(run.run),
                as_text(run.started_at),
                as_text(run.state),
                [ledger_line(name, table, outcomes) for name, table in run.tables.items()],
            )
            for run in report.runs
        ],
        outcomes=outcomes,
        # The columns of table, database and state come before the counts.
        width=3 + len(outcomes),
    )


def _rendered(
    template: str,
    report: Report | ReferenceReport | VerificationReport | InspectionReport,
    title: str,
    **parts: Any,
) -> str:
    engine = _engine()
    # The browser applies no other style: the page's policy names the digest of this one.
    style = engine.get_template("async_loader/page.css").render(Context())
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    error = None if report.error is None else as_text(report.error)
    context = {"report": report, "title": printable(title), "digest": digest, "error": error, **parts}
    return (
        engine.get_template(f"async_loader/{template}").render(Context(context, use_l10n=False, use_tz=False)).rstrip()
    )


@functools.cache
def _engine() -> Engine:
    return Engine(dirs=[str(_TEMPLATES)], builtins=[filters.__name__])
