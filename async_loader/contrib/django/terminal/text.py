"""A report as text: record by record for a small load, as counts for a large one. Pure: report in, lines out.

Whatever comes from records is escaped, so that no terminal obeys it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from async_loader import (
    LISTED,
    CheckedTable,
    Finding,
    Orphan,
    ReferenceReport,
    Reject,
    Report,
    Table,
    TableReport,
    VerificationReport,
    VerifiedRun,
    as_typed,
)
from async_loader.contrib.django.terminal.pace import rounded
from async_loader.contrib.django.terminal.wording import clipped, lines_of, number_of, printable

# Reasons and rejects of one table that are worth showing.
_REASONS_SHOWN = 5
_REJECTS_SHOWN = 5
# What Python writes in code as people do.
_AS_CODE = (str, int, float, type(None))
# So much of all is what a few reasons must come to.
_MOST = 0.9
# Of a source that says what it is; any other is taken for CSV.
_FORMAT = re.compile(r"\.(jsonl|ndjson|parquet)(\.[a-z0-9]+)?$", re.IGNORECASE)


def report_lines(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    """The whole report. `tables` are the declared ones, in their order."""
    shown = [table for table in _referencing_first(tables) if table.name in report.tables]
    if sum(table.given for table in report.tables.values()) <= LISTED and not report.resumed:
        return _listing(report, shown)
    return _summary(report, shown)


def _referencing_first(tables: Sequence[Table]) -> list[Table]:
    """Those that stand on most others first, otherwise in the order of the declaration."""
    by_name = {table.name: table for table in tables}

    def height(table: Table) -> int:
        return max((1 + height(by_name[reference.table]) for reference in table.references), default=0)

    return sorted(tables, key=height, reverse=True)


def _listing(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    yield "=== DRY RUN, NOTHING WRITTEN ===" if report.dry_run else "=== INSERTED DATA ==="
    for table in tables:
        yield ""
        yield f"{printable(table.name.upper())} TABLE (Inserted):"
        yield from map(_row, report.tables[table.name].accepted)
    for table in tables:
        yield ""
        yield f"{printable(table.name.upper())} TABLE (Skipped):"
        several = len(report.tables[table.name].sources) > 1
        for reject in report.tables[table.name].rejects:
            yield f"{_skipped(table, reject)} ({_place(reject) if several else lines_of(reject)})"
        yield from _unnamed(report, table)


def _skipped(table: Table, reject: Reject) -> str:
    reasons = "; ".join(printable(reason.message) for reason in reject.reasons)
    return f"{_row(as_typed(table, reject))} --> Failed validation: {reasons}"


def _place(reject: Reject) -> str:
    return f"{printable(reject.source)}, {lines_of(reject)}"


def _row(values: Iterable[object]) -> str:
    """As Python writes a tuple, each value clipped; of decimals, dates and times only what they are."""
    shown = [clipped(repr(value) if isinstance(value, _AS_CODE) else str(value)) for value in values]
    return f"({shown[0]},)" if len(shown) == 1 else f"({', '.join(shown)})"


def _unnamed(report: Report, table: Table, shown: int | None = None) -> Iterator[str]:
    counts = report.tables[table.name]
    more = counts.rejected - (len(counts.rejects) if shown is None else shown)
    if more:
        where = "" if report.dry_run else f"; all are in table loader_rejects of database {counts.database}"
        yield f"... and {more:,} more{where}"


def _summary(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    if report.dry_run:
        yield "Dry run: nothing was written."
    yield from _counts(report, tables)
    yield _speed(report)
    rejected = [table for table in tables if report.tables[table.name].rejected]
    for table in rejected:
        yield from _rejected(report, table)
    if rejected:
        yield ""
        yield from _next(report, rejected)


def _counts(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    """A line for each table, and their sums where they are several."""
    names = ("given", "inserted", "updated", "unchanged", "rejected")
    rows: list[tuple[str, ...]] = [("table", *names, "seconds")]
    for table in tables:
        counts = report.tables[table.name]
        numbers = [f"{getattr(counts, name):,}" for name in names]
        rows.append((printable(table.name), *numbers, f"{counts.seconds:.1f}"))
    if len(tables) > 1:
        sums = [f"{sum(getattr(counts, name) for counts in report.tables.values()):,}" for name in names]
        rows.append(("total", *sums, f"{report.seconds:.1f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [number.rjust(width) for number, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])


def _speed(report: Report) -> str:
    given = sum(counts.given for counts in report.tables.values())
    records = number_of(given, "record")
    if report.resumed:
        return f"{records}, with those of the process before; this one took {report.seconds:.1f} s"
    speed = f", {rounded(given / report.seconds)} records/s" if report.seconds else ""
    return f"{records} in {report.seconds:.1f} s{speed}"


def _rejected(report: Report, table: Table) -> Iterator[str]:
    counts = report.tables[table.name]
    yield ""
    yield f"{printable(table.name)}: {_explained(counts)}"
    yield from _commonest(counts)
    shown = counts.rejects[:_REJECTS_SHOWN]
    for reject in shown:
        yield f"  {_place(reject)}: {_skipped(table, reject)}"
    for line in _unnamed(report, table, len(shown)):
        yield f"  {line}"


def _explained(counts: TableReport) -> str:
    """How few reasons stand behind most rejects. Where a reject may have several, shares are of all reasons."""
    most = list(counts.reasons.values())[:_REASONS_SHOWN]
    all_reasons = sum(counts.reasons.values())
    enough = (place for place, explained in enumerate(accumulate(most), 1) if explained >= _MOST * all_reasons)
    few = next(enough, len(most))
    share = _share(sum(most[:few]), all_reasons)
    rejects = number_of(counts.rejected, "reject")
    if all_reasons == counts.rejected:
        return f"{number_of(few, 'reason')} {'explains' if few == 1 else 'explain'} {share} of {rejects}"
    commonest = "the commonest is" if few == 1 else f"the {few} commonest are"
    return f"{rejects} with {number_of(all_reasons, 'reason')}; {commonest} {share} of those"


def _share(part: int, whole: int) -> str:
    """Never all where it is not, nor nothing."""
    return f"{100 * part // whole} %" if 100 * part >= whole else "<1 %"


def _commonest(counts: TableReport | CheckedTable) -> Iterator[str]:
    """How often each reason came, and for what share of the rejects."""
    reasons = list(counts.reasons.items())
    for name, count in reasons[:_REASONS_SHOWN]:
        yield f"  {count:>10,}  {_share(count, counts.rejected):>5}  {printable(name)}"
    if len(reasons) > _REASONS_SHOWN:
        yield f"  {'':>10}  {'':>5}  ... and {number_of(len(reasons) - _REASONS_SHOWN, 'other reason')}"


def _next(report: Report, rejected: Sequence[Table]) -> Iterator[str]:
    """What to do about rejects, as commands. `rejected` are the tables that have some."""
    if report.dry_run:
        yield "Next: mend the sources, or load what is good: the same command without --dry-run"
        return
    yield "Next: write the rejects to files, mend those, and load them:"
    for table in rejected:
        yield f"  python manage.py rejects export {_rejects_file(report, table)} {_those(report, table)}"
    absent = [
        table for table in rejected if _has(report, table, {f"{each.column}.exists_in" for each in table.references})
    ]
    if absent:
        yield "Once what they reference has been loaded, try those again as they are:"
    for table in absent:
        yield f"  python manage.py rejects retry {_those(report, table)}"
    if any(_has(report, table, {f"{table.key}.exists"}) for table in rejected):
        yield "To replace rows that have the same key and other values: the same command with --on-conflict update"


def _has(report: Report, table: Table, reasons: set[str]) -> bool:
    return not reasons.isdisjoint(report.tables[table.name].reasons)


def _those(report: Report, table: Table) -> str:
    """The options that choose a table's rejects of this run."""
    return f"--table {printable(shlex.quote(table.name))} --run {report.run}"


def _rejects_file(report: Report, table: Table) -> str:
    """A name for the table's rejects, in the format of its first source."""
    name = re.sub(r"[^A-Za-z0-9_]", "-", table.name).lstrip("-")
    found = _FORMAT.search(next(iter(report.tables[table.name].sources), ""))
    return f"{name}-rejects.{found[1].lower() if found else 'csv'}"


def reference_lines(report: ReferenceReport) -> Iterator[str]:
    """What a check of references found: a line for each table in which all is well, and more for the others."""
    if not report.tables:
        yield "No table references another: there is nothing to check."
    for name, counts in report.tables.items():
        rows = f"{printable(name)}: {number_of(counts.given, 'row')}"
        if counts.rejected:
            yield f"{rows}, {counts.rejected:,} with references that do not exist"
            yield from _orphans(counts)
        else:
            yield f"{rows}, every reference exists"


def _orphans(counts: CheckedTable) -> Iterator[str]:
    yield from _commonest(counts)
    shown = counts.rejects[:_REJECTS_SHOWN]
    yield from map(_orphan, shown)
    if more := counts.rejected - len(shown):
        yield f"  ... and {more:,} more"


def _orphan(orphan: Orphan) -> str:
    reasons = "; ".join(printable(reason.message) for reason in orphan.reasons)
    return f"  {_row(orphan.record.values())}: {reasons}"


def verification_lines(report: VerificationReport) -> Iterator[str]:
    """What a look at the ledgers found: a line for each finding and each superseded run, or that all is well."""
    for run in report.runs:
        yield from (_found(run, finding) for finding in run.findings)
        if run.state == "superseded":
            yield f"{_called(run)}: was not finished, but later runs have written what it left"
    if not report.runs:
        yield "No run is in any ledger: there is nothing to verify."
    elif not report.findings:
        tables = sum(len(run.tables) for run in report.runs)
        yield f"{number_of(len(report.runs), 'run')}, {number_of(tables, 'table')}: every count agrees"


def _called(run: VerifiedRun) -> str:
    began = f" of {run.started_at}" if run.started_at else ""
    return printable(f"run {clipped(run.run)}{clipped(began)}")


def _found(run: VerifiedRun, finding: Finding) -> str:
    database = "" if finding.database is None else f"database {finding.database}: "
    table = "" if finding.table is None else f"table {clipped(finding.table)}: "
    return printable(f"{database}{_called(run)}: {table}{finding.problem}; {finding.advice}")
