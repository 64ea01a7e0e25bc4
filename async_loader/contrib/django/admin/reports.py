"""The reports of jobs, as they are stored and as they are read again to be shown."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from async_loader import Counts, Reason, Reject, Report, TableReport


def as_text(report: Report) -> str:
    """Return a report as JSON, with what pages show beside it."""
    began = report.began.isoformat() if report.began else None
    samples = {name: list(table.samples) for name, table in report.tables.items()}
    return json.dumps(report.as_dict() | {"resumed": report.resumed, "began": began, "samples": samples})


def restored(text: str, source: str) -> Report:
    """Return the report that a text is of. Its source is called as the person's file was, not by its private path."""
    facts = json.loads(text)
    began = facts["began"]
    tables = {name: _table(table, source, facts["samples"].get(name, ())) for name, table in facts["tables"].items()}
    names = ("run", "mode", "status", "dry_run", "seconds", "error", "resumed")
    return Report(
        **{name: facts[name] for name in names},
        tables=tables,
        began=datetime.fromisoformat(began) if began else None,
    )


def _table(facts: dict[str, Any], source: str, samples: Any) -> TableReport:
    return TableReport(
        database=facts["database"],
        sources=tuple(source for _ in facts["sources"]),
        counts=Counts(**{name: facts[name] for name in Counts().by_name()}),
        ignored_columns=tuple(facts["ignored_columns"]),
        seconds=facts["seconds"],
        reasons=facts["reasons"],
        rejects=tuple(_reject(each, source) for each in facts["rejects"]),
        unasked_constraints=tuple(facts["unasked_constraints"]),
        blank_lines=facts["blank_lines"],
        samples=tuple((second, count) for second, count in samples),
    )


def _reject(facts: dict[str, Any], source: str) -> Reject:
    reasons = tuple(Reason(**each) for each in facts["reasons"])
    return Reject(source, facts["line"], facts["line_end"], facts["record"], reasons)
