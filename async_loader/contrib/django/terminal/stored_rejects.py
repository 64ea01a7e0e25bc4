"""Stored rejects as text and as JSON. Pure: values in, lines out.

All text from records is escaped, so that it cannot steer a terminal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from async_loader.contrib.django.terminal.wording import clipped, lines_of, number_of, printable, shell_quoted

if TYPE_CHECKING:
    from async_loader import Exported, RejectingRun, StoredReject, TableRejects

# How many sources of one table are shown, and how many reasons where there is not the one that was asked for.
_SOURCES_SHOWN, _REASONS_SHOWN = 3, 10
# The words for a run, by its kind.
_KINDS = {"load": "run", "retry": "retry", "discard": "discard", "unknown": "run in no ledger:"}

NOTHING = "No stored reject fits."


def overview_lines(runs: Sequence[RejectingRun]) -> Iterator[str]:
    """Return lines about each run, in the given order, and about the rejects that are stored of it."""
    if not runs:
        yield "No run is in any ledger, and no reject is stored."
    for number, run in enumerate(runs):
        if number:
            yield ""
        began = f", {printable(run.started_at)}" if run.started_at else ""
        yield f"{_KINDS[run.kind]} {printable(run.run)}{began}"
        for table in run.tables:
            yield from _table_lines(table)


def _table_lines(table: TableRejects) -> Iterator[str]:
    if table.mode != "discard":
        yield f"  {_table_name(table.table, table.tables)}: {_stored(table)}{_from(table.sources)}"
    for name, count in table.reasons.items():
        yield f"    {count:>10,}  {printable(name)}"
    for run, count in table.made_good.items():
        yield f"    {count:>10,}  made good by run {printable(run)}"
    for verb, counts in (("superseded", table.superseded), ("discarded", table.discarded)):
        for run, count in counts.items():
            yield f"  {_table_name(table.table, table.tables)}: {verb} {count:,} of run {printable(run)}"


def _table_name(table: str | None, candidates: Sequence[str]) -> str:
    """Return the name of a table; where that is unknown, the names that it may have."""
    return printable(table or " or ".join(candidates) or "of an unknown table")


def _stored(table: TableRejects) -> str:
    state = f", {printable(table.state)}" if table.state not in ("", "complete") else ""
    if not table.rejected:
        return f"nothing rejected{state}"
    rejected = f"{table.rejected:,}" if isinstance(table.rejected, int) else printable(repr(table.rejected))
    return f"{table.stored:,} of {rejected} rejects stored{state}"


def _from(sources: Sequence[str]) -> str:
    if not sources:
        return ""
    more = len(sources) - _SOURCES_SHOWN
    shown = ", ".join(map(printable, sources[:_SOURCES_SHOWN]))
    return f"; from {shown}" + (f" and {more} more" if more > 0 else "")


def overview_json(runs: Sequence[RejectingRun]) -> str:
    """Return the runs, and what is stored of their rejects, as JSON."""
    return json.dumps({"version": 1, "runs": [asdict(run) for run in runs]}, indent=2)


def reject_lines(reject: StoredReject) -> Iterator[str]:
    """Return lines about one reject: where it was read, its record, and each reason."""
    as_read = reject.reject
    table = _table_name(reject.table, reject.tables)
    yield f"{table}: {printable(as_read.source)}, {lines_of(as_read)} ({printable(reject.name)})"
    yield f"  {_record(as_read.record)}"
    for reason in as_read.reasons:
        yield printable(f"  {reason.name}: {reason.message}")
    if reject.made_good_by is not None:
        yield printable(f"  made good by run {reject.made_good_by}")


def _record(record: Mapping[str, Any]) -> str:
    return printable(", ".join(f"{name}={clipped(repr(value))}" for name, value in record.items()))


def more_line(more: int) -> str:
    """Return a line that says how many rejects were not shown."""
    return f"... and {more:,} more; --limit 0 shows all"


def unknown_reason(reason: str, runs: Iterable[RejectingRun], table: str | None) -> str | None:
    """Return a line that says which reasons there are instead of one that no stored reject has; None where one has it,
    or where no reject is stored.

    table: the only one whose rejects are meant, if any.
    """
    counts = Counter[str]()
    for each in (each for run in runs for each in run.tables if table in (None, each.table)):
        counts.update(each.reasons)
    if not counts or any(reason in (name, name.partition(".")[2]) for name in counts):
        return None
    listed = ", ".join(name for name, _ in counts.most_common(_REASONS_SHOWN))
    more = len(counts) - _REASONS_SHOWN
    return f"no stored reject has the reason {clipped(reason)!r}; there are {listed}" + (
        f" and {more} more" * (more > 0)
    )


def exported_lines(exported: Exported) -> Iterator[str]:
    """Return lines about the files that were written, and the command that loads them."""
    for path, count, _ in exported.files:
        yield printable(f"{number_of(count, 'reject')} of {exported.table} in {path}")
    sources = [shell_quoted(f"{exported.table}={path}") for path, _, _ in exported.files]
    mend = "Mend it" if len(sources) == 1 else "Mend them"
    yield printable(f"{mend}, then: python manage.py insert_data {' '.join(sources)}")


def counted(counts: Mapping[str | None, int]) -> str:
    """Return the numbers by table, as in `3 rejects of orders, 1 reject of users`."""
    return ", ".join(
        printable(f"{number_of(count, 'reject')} of {table or 'an unknown table'}") for table, count in counts.items()
    )


def shown_json(shown: Iterable[StoredReject], *, first: bool) -> Iterator[str]:
    """Return elements of a JSON array, a line each; `first` if none came before."""
    for number, reject in enumerate(shown):
        yield f"{'   ' if first and not number else '  ,'} {json.dumps(reject.as_dict())}"
