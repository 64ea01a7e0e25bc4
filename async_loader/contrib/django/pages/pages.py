"""A report as one HTML page, which needs nothing else: no script, no network. Pure: report in, text out.

Whatever comes from records and names is escaped: by Django's templates, and characters that could hide or turn around
what stands beside them are shown by their codes. The templates' engine is this app's own, so that they are the same in
every project, whatever its settings say of templates, languages and numbers.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.template import Context, Engine, Library
from django.utils.html import format_html, format_html_join

from async_loader import (
    CheckedTable,
    Orphan,
    Reason,
    ReferenceReport,
    Reject,
    Report,
    TableReport,
    VerificationReport,
    VerifiedTable,
)
from async_loader.contrib.django.pages.throughput import throughput
from async_loader.contrib.django.terminal.wording import printable

register = Library()

# Characters of a text that stand in the open; more are unfolded on demand, up to what browsers bear.
_SHOWN = 200
_UNFOLDED = 100_000
# Fields of a record that are shown one by one.
_FIELDS = 50
# Seconds below which milliseconds matter, and the least share that is told.
_SHORT = 10
_LEAST_PERCENT = 0.1
_TEMPLATES = Path(__file__).parent / "templates"
# A line with its end.
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_OUTCOMES = ("given", "inserted", "updated", "unchanged", "rejected")


@dataclass(frozen=True, slots=True)
class Text:
    """A text as a page shows it. `kind` is text, or null or empty where there are no characters to show.

    length: of the whole in characters, where that is more than is shown; else 0.
    whole: what can be unfolded then, `cut` where even that is not all.
    """

    kind: str
    shown: str
    length: int = 0
    whole: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record; `at_fault` where a reason names it."""

    name: Text
    value: Text
    at_fault: bool


@dataclass(frozen=True, slots=True)
class Named:
    """A reject, or a row at fault, that the report names: `place` and what that is in, a source, or a row's key."""

    place: str
    within: Text
    fields: tuple[Field, ...]
    reasons: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """How often a reason came, and of how many percent of the rejects it is one; `width` is that for SVG."""

    name: Text
    count: int
    percent: float
    width: str


@dataclass(frozen=True, slots=True)
class Rejects:
    """What a page says of a table's rejects. `more` are not named; all are kept in `kept_in`, if anywhere."""

    anchor: str
    table: Text
    rejected: int
    shares: tuple[Share, ...]
    named: tuple[Named, ...]
    more: int
    kept_in: Text | None


@dataclass(frozen=True, slots=True)
class Counts:
    """A row of the table of counts. `anchor` is where its rejects are, empty where there are none."""

    table: Text
    anchor: str
    numbers: tuple[tuple[str, int], ...]
    seconds: float
    rate: float | None


def page(report: Report | ReferenceReport | VerificationReport) -> str:
    """The page for a report of any kind."""
    match report:
        case Report():
            return _load_page(report)
        case ReferenceReport():
            return _references_page(report)
        case VerificationReport():
            return _verification_page(report)


def _load_page(report: Report) -> str:
    # Of a run that did not complete there may be some rejects in the database, or none.
    kept = report.status == "complete" and not report.dry_run
    return _rendered(
        "load.html",
        report,
        f"Load {report.run[:_SHOWN]}",
        run=as_text(report.run),
        totals=[(name, sum(getattr(table, name) for table in report.tables.values())) for name in _OUTCOMES],
        counts=[_counts(number, name, table) for number, (name, table) in enumerate(report.tables.items())],
        origins=[_origin(name, table) for name, table in report.tables.items()],
        **_throughput(report),
        rejects=[
            _rejects(number, name, table, map(_reject, table.rejects), kept_in=table.database if kept else "")
            for number, (name, table) in enumerate(report.tables.items())
            if table.rejected
        ],
    )


def _references_page(report: ReferenceReport) -> str:
    return _rendered(
        "references.html",
        report,
        "Check of references",
        counts=[
            (as_text(name), as_text(table.database), _anchor(number, table), table)
            for number, (name, table) in enumerate(report.tables.items())
        ],
        rejects=[
            _rejects(number, name, table, map(_orphan, table.rejects))
            for number, (name, table) in enumerate(report.tables.items())
            if table.rejected
        ],
    )


def _verification_page(report: VerificationReport) -> str:
    return _rendered(
        "verification.html",
        report,
        "Verification of runs",
        findings=[
            [as_text(each) for each in (run.run, found.code, found.database, found.table, found.problem, found.advice)]
            for run in report.runs
            for found in run.findings
        ],
        runs=[
            (
                as_text(run.run),
                as_text(run.started_at),
                as_text(run.state),
                [_line(*named) for named in run.tables.items()],
            )
            for run in report.runs
        ],
        outcomes=_OUTCOMES,
        # Table, database and state stand before them.
        width=3 + len(_OUTCOMES),
    )


def as_text(value: Any) -> Text:
    """Any value of a record, or a name: text as it is, everything else as JSON writes it."""
    if value is None:
        return Text("null", "null")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= _SHOWN:
        return Text("text" if text else "empty", text)
    return Text("text", text[:_SHOWN], len(text), text[:_UNFOLDED], len(text) > _UNFOLDED)


def _rendered(template: str, report: Report | ReferenceReport | VerificationReport, title: str, **parts: Any) -> str:
    engine = _engine()
    # The browser applies no style but this one: the policy in the page names its digest.
    style = engine.get_template("async_loader/page.css").render(Context())
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    error = None if report.error is None else as_text(report.error)
    context = {"report": report, "title": printable(title), "digest": digest, "error": error, **parts}
    return (
        engine.get_template(f"async_loader/{template}").render(Context(context, use_l10n=False, use_tz=False)).rstrip()
    )


@functools.cache
def _engine() -> Engine:
    return Engine(dirs=[str(_TEMPLATES)], builtins=[__name__])


def _counts(number: int, name: str, table: TableReport) -> Counts:
    numbers = tuple((outcome, getattr(table, outcome)) for outcome in _OUTCOMES)
    return Counts(as_text(name), _anchor(number, table), numbers, table.seconds, _rate(table))


def _rate(table: TableReport) -> float | None:
    """Records per second of this process: those that an earlier one has counted were there when its samples began."""
    before = table.samples[0][1] if table.samples else 0
    return (table.given - before) / table.seconds if table.seconds else None


def _throughput(report: Report) -> dict[str, Any]:
    found = throughput(report.tables)
    return {"throughput": found, "curves": [(as_text(curve.name), curve) for curve in found.curves] if found else []}


def _origin(name: str, table: TableReport) -> tuple[Text, Text, list[Text], Text | None]:
    """A table with its database, sources and ignored columns."""
    ignored = as_text(", ".join(table.ignored_columns)) if table.ignored_columns else None
    return as_text(name), as_text(table.database), [as_text(source) for source in table.sources], ignored


def _line(name: str, table: VerifiedTable) -> tuple[Text, Text, Text, list[Text]]:
    """A line of the ledger."""
    numbers = [as_text(count(getattr(table, outcome))) for outcome in _OUTCOMES]
    return as_text(name), as_text(table.database), as_text(table.state), numbers


def _anchor(number: int, table: TableReport | CheckedTable) -> str:
    """By number, because a table's name may be anything."""
    return f"rejects-{number + 1}" if table.rejected else ""


def _rejects(
    number: int, name: str, table: TableReport | CheckedTable, named: Iterable[Named], *, kept_in: str = ""
) -> Rejects:
    return Rejects(
        anchor=_anchor(number, table),
        table=as_text(name),
        rejected=table.rejected,
        shares=tuple(
            Share(as_text(reason), times, 100 * times / table.rejected, f"{100 * times / table.rejected:.2f}")
            for reason, times in table.reasons.items()
        ),
        named=tuple(named),
        more=table.rejected - len(table.rejects),
        kept_in=as_text(kept_in) if kept_in else None,
    )


def _reject(reject: Reject) -> Named:
    lines = f"line {reject.line}"
    if reject.line_end != reject.line:
        lines = f"lines {reject.line} to {reject.line_end}"
    return Named(lines, as_text(reject.source), _fields(reject.record, reject.reasons), _messages(reject.reasons))


def _orphan(orphan: Orphan) -> Named:
    return Named("", as_text(orphan.key), _fields(orphan.record, orphan.reasons), _messages(orphan.reasons))


def _messages(reasons: Iterable[Reason]) -> tuple[Text, ...]:
    return tuple(as_text(reason.message) for reason in reasons)


def _fields(record: Mapping[str, Any], reasons: Iterable[Reason]) -> tuple[Field, ...]:
    """The first fields one by one, and all that follow them as one text."""
    at_fault = {reason.column for reason in reasons}
    fields = list(record.items())
    if len(fields) > _FIELDS:
        rest = f"{len(fields) - _FIELDS:,} more fields"
        fields = [*fields[:_FIELDS], (rest, dict(fields[_FIELDS:]))]
    return tuple(Field(as_text(name), as_text(value), name in at_fault) for name, value in fields)


@register.filter
def shown(text: str) -> str:
    """With the code of each character that cannot be seen, or that turns around what stands beside it."""
    if text.isprintable():
        return text
    runs = itertools.groupby(text, str.isprintable)
    return format_html_join("", "{}", ((_coded("".join(run)),) for _, run in runs))


@register.filter
def unfolded(text: str) -> str:
    """The same in the lines that the text has."""
    return format_html_join("\n", "{}", ((shown(line),) for line in _LINES.findall(text)))


def _coded(text: str) -> str:
    if text.isprintable():
        return text
    return format_html('<b class="code">{}</b>', text.encode("unicode_escape").decode())


@register.filter
def count(number: int | str) -> str:
    """With thousands apart; a ledger may also hold what is no number."""
    return f"{number:,}" if isinstance(number, int) else number


@register.filter
def seconds(duration: float) -> str:
    """Milliseconds, as long as they matter."""
    return f"{duration:,.3f}" if duration < _SHORT else f"{duration:,.1f}"


@register.filter
def rounded(number: float) -> str:
    """To a whole number."""
    return f"{number:,.0f}"


@register.filter
def moment(when: datetime) -> str:
    """A moment in UTC, to the second."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


@register.filter
def percent(share: float) -> str:
    """Never 0 for what there is."""
    return f"{share:.1f} %" if share >= _LEAST_PERCENT else f"under {_LEAST_PERCENT} %"


@register.filter
def tick(number: float) -> str:
    """A round number, short: 1.5M, 250k, 0.2."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.4g}{letter}"
    return f"{number:.4g}"
