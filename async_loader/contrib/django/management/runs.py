"""What the commands that carry out a run say of how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from async_loader.contrib.django.management.base import STRICT, Failure

if TYPE_CHECKING:
    from async_loader import Report, Run


def strictness(report: Report) -> Failure | None:
    """Return the failure of a run in which no record may be rejected."""
    rejected = sum(table.rejected for table in report.tables.values())
    if not rejected:
        return None
    were = "record was" if rejected == 1 else "records were"
    kept = "nothing was written" if report.dry_run else "all others were kept"
    return Failure(f"{rejected:,} {were} rejected; {kept}", STRICT)


def interrupted(run: Run) -> str:
    """Return a line that says what an interrupt has left of the run."""
    if run.is_kept:
        return "interrupted, but everything was kept already"
    if run.kept:
        return f"interrupted: {run.kept} kept, the rest not; {run.rest}"
    return "interrupted: nothing was kept; run the same command again"
