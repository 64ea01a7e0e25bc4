"""Reports as text. Pure: a report in, lines out. A small load is listed record by record, a large one as counts.

All text from records is escaped, so that it cannot steer a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import async_loader
from async_loader.contrib.django.terminal.missing_rows import kept_lines, missing_lines
from async_loader.contrib.django.terminal.pace import rounded
from async_loader.contrib.django.terminal.wording import clipped, lines_of, number_of, printable, shell_quoted

if TYPE_CHECKING:
    from async_loader import (
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
    )

# How many reasons and rejects of one table are shown.
_REASONS_SHOWN = 5
_REJECTS_SHOWN = 5
# Types whose `repr` a person reads as the value.
_AS_CODE = (str, int, float, type(None))
# The share of all rejects that a few reasons must explain together.
_MOST = 0.9
# The end of a source's name that says its format; any other source counts as CSV.
_FORMAT = re.compile(r"\.(jsonl|ndjson|json|parquet|xlsx|xlsm|xlsb|xls|ods)(\.[a-z0-9]+)?(#.*)?$", re.IGNORECASE)


def report_lines(report: Report, tables: Sequence[Table], *, is_reference: bool = False) -> Iterator[str]:
    """Return the report of a load. `tables` are the declared ones, in their order.

    is_reference: whether this is the run of all declared tables, which prints the same when nothing is left to insert.
    """
    shown = [table for table in _referencing_first(tables) if table.name in report.tables]
    if sum(table.given for table in report.tables.values()) <= async_loader.LISTED and not report.resumed:
        return _listing(report, shown, is_reference=is_reference)
    return _summary(report, shown)


def rejected_lines(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    """Return the rejects of a load that had too many of them, and kept nothing."""
    tables = [table for table in _referencing_first(tables) if table.name in report.tables]
    for table in tables:
        if report.tables[table.name].rejected:
            yield from _rejected(report, table)


def _referencing_first(tables: Sequence[Table]) -> list[Table]:
    """Return the tables that reference most levels of others first, otherwise in the order of the declaration."""
    by_name = {table.name: table for table in tables}

    def height(table: Table) -> int:
        targets = {reference.table for reference in table.references} - {table.name}
        return max((1 + height(by_name[target]) for target in targets), default=0)

    return sorted(tables, key=height, reverse=True)


def _listing(report: Report, tables: Sequence[Table], *, is_reference: bool) -> Iterator[str]:
    apart = ["updated", "unchanged"]
    if is_reference and not any(table.inserted or table.updated for table in report.tables.values()):
        apart = []
    yield "=== DRY RUN, NOTHING WRITTEN ===" if report.dry_run else "=== INSERTED DATA ==="
    for table in tables:
        yield ""
        yield from _accepted(report, table, apart)
    for table in tables:
        yield ""
        yield f"{printable(table.name.upper())} TABLE (Skipped):"
        several = len(report.tables[table.name].sources) > 1
        for reject in report.tables[table.name].rejects:
            yield f"{_skipped(table, reject)} ({_place(reject) if several else lines_of(reject)})"
        yield from _unnamed(report, table)
    if unasked := [*_unasked(report, tables), *missing_lines(report, tables)]:
        yield from ("", *unasked)


def _accepted(report: Report, table: Table, apart: Sequence[str]) -> Iterator[str]:
    """Return the rows of a table as the run left them: inserted ones, then those listed apart."""
    counts, name = report.tables[table.name], printable(table.name.upper())
    rows = list(zip(counts.outcomes, counts.accepted, strict=True))
    yield f"{name} TABLE (Inserted):"
    yield from (_row(row) for outcome, row in rows if outcome not in apart)
    for each in apart:
        if each in counts.outcomes:
            yield ""
            yield f"{name} TABLE ({each.capitalize()}):"
            yield from (_row(row) for outcome, row in rows if outcome == each)


def _skipped(table: Table, reject: Reject) -> str:
    reasons = "; ".join(printable(reason.message) for reason in reject.reasons)
    return f"{_row(async_loader.as_typed(table, reject))} --> Failed validation: {reasons}"


def _place(reject: Reject) -> str:
    return f"{printable(reject.source)}, {lines_of(reject)}"


def _row(values: Iterable[object]) -> str:
    """Return values as Python writes a tuple, each one clipped; decimals, dates and times without their type."""
    shown = [clipped(repr(value) if isinstance(value, _AS_CODE) else str(value)) for value in values]
    return f"({shown[0]},)" if len(shown) == 1 else f"({', '.join(shown)})"


def _unnamed(report: Report, table: Table, shown: int | None = None) -> Iterator[str]:
    counts = report.tables[table.name]
    more = counts.rejected - (len(counts.rejects) if shown is None else shown)
    if more:
        where = (
            ""
            if report.dry_run or report.status == "over-limit"
            else f"; all are in table loader_rejects of database {counts.database}"
        )
        yield f"... and {more:,} more{where}"


def _unasked(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    """Return a line for each table that has constraints which a dry run cannot ask."""
    for table in tables:
        if constraints := report.tables[table.name].unasked_constraints:
            listed = printable(", ".join(map(clipped, constraints)))
            yield f"{printable(table.name)}: a dry run cannot ask {listed}; the database may refuse more records"


def _summary(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    if report.dry_run:
        yield "Dry run: nothing was written."
    yield from _counts(report, tables)
    yield _speed(report)
    yield from _unasked(report, tables)
    yield from missing_lines(report, tables)
    rejected = [table for table in tables if report.tables[table.name].rejected]
    for table in rejected:
        yield from _rejected(report, table)
    if rejected:
        yield ""
        yield from _next(report, rejected)


def _counts(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    """Return a line for each table, and one with the sums where there are several."""
    names = ["given", "inserted", "updated", "unchanged", "rejected"]
    if any(report.tables[table.name].deleted for table in tables):
        names.append("deleted")
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
        return f"{records}, with those of the earlier process; this one took {report.seconds:.1f} s"
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
    for line in _unnamed(report, table, len(shown)) if shown else ():
        yield f"  {line}"


def _explained(counts: TableReport) -> str:
    """Return how few reasons explain most rejects. Where rejects have several reasons, shares are of all reasons."""
    most = list(counts.reasons.values())[:_REASONS_SHOWN]
    all_reasons = sum(counts.reasons.values())
    enough = (number for number, explained in enumerate(accumulate(most), 1) if explained >= _MOST * all_reasons)
    few = next(enough, len(most))
    share = _share(sum(most[:few]), all_reasons)
    rejects = number_of(counts.rejected, "reject")
    if all_reasons == counts.rejected:
        return f"{number_of(few, 'reason')} {'explains' if few == 1 else 'explain'} {share} of {rejects}"
    commonest = "the commonest is" if few == 1 else f"the {few} commonest are"
    return f"{rejects} with {number_of(all_reasons, 'reason')}; {commonest} {share} of them"


def _share(part: int, whole: int) -> str:
    """Return a share in percent, rounded down, so that only all is 100; and never 0 for a share that is more."""
    return f"{100 * part // whole} %" if 100 * part >= whole else "<1 %"


def _commonest(counts: TableReport | CheckedTable) -> Iterator[str]:
    """Return a line for each of the most frequent reasons: its number, and its share of the rejects."""
    reasons = list(counts.reasons.items())
    for name, count in reasons[:_REASONS_SHOWN]:
        yield f"  {count:>10,}  {_share(count, counts.rejected):>5}  {printable(name)}"
    if len(reasons) > _REASONS_SHOWN:
        yield f"  {'':>10}  {'':>5}  ... and {number_of(len(reasons) - _REASONS_SHOWN, 'other reason')}"


def _next(report: Report, rejected: Sequence[Table]) -> Iterator[str]:
    """Return the commands that deal with the rejects. `rejected` are the tables that have some."""
    if report.dry_run:
        yield "Next: mend the sources, or run the same command without --dry-run to load the good records"
        return
    yield "Next: write the rejects to files, mend them, and load them:"
    for table in rejected:
        yield f"  python manage.py rejects export {_rejects_file(report, table)} {_choosing(report, table)}"
    absent = [
        table for table in rejected if _has(report, table, {f"{each.column}.exists_in" for each in table.references})
    ]
    if absent:
        yield "Once the rows that they reference have been loaded, try the rejects again as they are:"
    for table in absent:
        yield f"  python manage.py rejects retry {_choosing(report, table)}"
    if any(_has(report, table, {f"{table.key}.exists"}) for table in rejected):
        yield "To replace rows that have the same key and other values, run the same command with --on-conflict update"


def _has(report: Report, table: Table, reasons: set[str]) -> bool:
    return not reasons.isdisjoint(report.tables[table.name].reasons)


def _choosing(report: Report, table: Table) -> str:
    """Return the options that choose a table's rejects of this run."""
    return f"--table {shell_quoted(table.name)} --run {report.run}"


def _rejects_file(report: Report, table: Table) -> str:
    """Return a name for a file of the table's rejects, in the format of its first source."""
    name = re.sub(r"[^A-Za-z0-9_]", "-", table.name).lstrip("-")
    named_format = _FORMAT.search(next(iter(report.tables[table.name].sources), ""))
    return f"{name}-rejects.{named_format[1].lower() if named_format else 'csv'}"


def reference_lines(report: ReferenceReport) -> Iterator[str]:
    """Return the report of a check of references: one line for a table without fault, more for the others."""
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
    """Return the report of a verification: a line for each finding and each superseded run, or that all agrees."""
    for run in report.runs:
        yield from (_finding(run, finding) for finding in run.findings)
        if run.state == "superseded":
            yield f"{_run_name(run)}: was not finished, but later runs have loaded the rest"
    yield from kept_lines(report)
    if not report.runs:
        yield "No run is in any ledger: there is nothing to verify."
    elif not report.findings:
        tables = sum(len(run.tables) for run in report.runs)
        yield f"{number_of(len(report.runs), 'run')}, {number_of(tables, 'table')}: every count agrees"


def _run_name(run: VerifiedRun) -> str:
    began = f" of {run.started_at}" if run.started_at else ""
    return printable(f"run {clipped(run.run)}{clipped(began)}")


def _finding(run: VerifiedRun, finding: Finding) -> str:
    database = "" if finding.database is None else f"database {finding.database}: "
    table = "" if finding.table is None else f"table {clipped(finding.table)}: "
    return printable(f"{database}{_run_name(run)}: {table}{finding.problem}; {finding.advice}")
