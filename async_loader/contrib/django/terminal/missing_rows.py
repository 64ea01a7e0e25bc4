"""What became of rows that no record named, as text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from async_loader.contrib.django.terminal.wording import clipped, number_of, printable

if TYPE_CHECKING:
    from async_loader import Report, Table, TableReport, VerificationReport

# How many of the rows that are kept because others reference them are shown of a table.
_SHOWN = 5


def missing_lines(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    """Return lines about the rows of each table that no record named."""
    for table in tables:
        yield from map(printable, _lines(table.name, report.tables[table.name], is_dry=report.dry_run))


def _lines(name: str, counts: TableReport, *, is_dry: bool) -> Iterator[str]:
    if counts.not_deleted is not None:
        yield f"{name}: no row is deleted, because of {counts.not_deleted}"
    if counts.deleted:
        would = "would be" if is_dry else "was" if counts.deleted == 1 else "were"
        yield f"{name}: {number_of(counts.deleted, 'row')} that no record names {would} deleted or marked"
    if counts.referenced:
        verb = "is" if counts.referenced == 1 else "are"
        yield f"{name}: {number_of(counts.referenced, 'row')} that no record names {verb} {_kept(counts.referenced)}"
    for row in counts.referenced_rows[:_SHOWN]:
        yield f"  {clipped(repr(row.key))}, by {row.column} of {row.table}"
    if more := counts.referenced - len(counts.referenced_rows[:_SHOWN]):
        yield f"  ... and {more:,} more"


def kept_lines(report: VerificationReport) -> Iterator[str]:
    """Return a line for each table of which the last run that completed it has kept rows that others reference."""
    last = {
        (table.database, name): (run.run, table.referenced)
        for run in report.runs
        for name, table in run.tables.items()
        if table.state == "complete"
    }
    for (database, name), (run, referenced) in last.items():
        if referenced:
            where = f"database {database}: run {clipped(run)}: table {clipped(name)}"
            verb = "was" if referenced == 1 else "were"
            rows = number_of(referenced, "row")
            yield printable(f"{where}: {rows} that no record named {verb} {_kept(referenced)}")


def _kept(rows: int) -> str:
    return f"kept, because other rows reference {'it' if rows == 1 else 'them'}"
