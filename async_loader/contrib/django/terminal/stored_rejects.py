"""Stored rejects as text and as JSON. Pure: values in, lines out. Whatever comes from records is escaped, so that no
terminal obeys it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from async_loader import Exported, Layout, RejectingRun, StoredReject, TableRejects
from async_loader.contrib.django.terminal.wording import clipped, lines_of, number_of, printable

# Sources of one table that are worth showing.
_SOURCES_SHOWN = 3
# What a run is called, by its kind.
_KINDS = {"load": "run", "retry": "retry", "discard": "discard", "unknown": "run that no ledger names:"}

NOTHING = "No reject is stored that fits."


def overview_lines(runs: Sequence[RejectingRun]) -> Iterator[str]:
    """Every run, as they come, with what is stored of its rejects."""
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
        yield f"  {printable(_called(table.table, table.tables))}: {_stored(table)}{_from(table.sources)}"
    for name, count in table.reasons.items():
        yield f"    {count:>10,}  {printable(name)}"
    for what, counts in (("superseded", table.superseded), ("discarded", table.discarded)):
        for run, count in counts.items():
            name = printable(_called(table.table, table.tables))
            yield f"  {name}: {what} {count:,} of run {printable(run)}"


def _called(table: str | None, tables: Sequence[str]) -> str:
    """The table, or those that it may be."""
    return table or " or ".join(tables) or "of an unknown table"


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
    """The same as JSON."""
    return json.dumps({"version": 1, "runs": [asdict(run) for run in runs]}, indent=2)


def reject_lines(reject: StoredReject) -> Iterator[str]:
    """One reject: where it was read, the record, and a line for each reason."""
    found = reject.reject
    table = _called(reject.table, reject.tables)
    yield printable(f"{table}: {found.source}, {lines_of(found)} ({reject.name})")
    yield f"  {_record(found.record)}"
    for reason in found.reasons:
        yield printable(f"  {reason.name}: {reason.message}")


def _record(record: Mapping[str, Any]) -> str:
    return printable(", ".join(f"{name}={clipped(repr(value))}" for name, value in record.items()))


def more_line(more: int) -> str:
    """What was left out."""
    return f"... and {more:,} more; --limit 0 shows all"


def exported_lines(exported: Exported) -> Iterator[str]:
    """What was written, and what to do next."""
    for path, count, _ in exported.files:
        yield printable(f"{number_of(count, 'reject')} of {exported.table} in {path}")
    by_options: dict[str, list[str]] = {}
    for path, _, layout in exported.files:
        options = " ".join(map(shlex.quote, _options(exported.table, layout)))
        by_options.setdefault(options, []).append(shlex.quote(f"{exported.table}={path}"))
    mend = "Mend it" if len(exported.files) == 1 else "Mend them"
    for options, sources in by_options.items():
        yield printable(f"{mend}, then: python manage.py insert_data {' '.join([*sources, options])}".rstrip())


def _options(table: str, layout: Layout) -> Iterator[str]:
    """What `insert_data` must be told to read such a file as its source was read."""
    if layout.delimiter not in ("", ","):
        yield from ("--delimiter", "tab" if layout.delimiter == "\t" else layout.delimiter)
    for option, pairs in (("--map", layout.names), ("--set", layout.constants)):
        for column, text in pairs:
            yield from (option, f"{table}.{column}={text}")
    for text in layout.means_null:
        yield from ("--null", f"{table}={text}")


def counted(counts: Mapping[str | None, int]) -> str:
    """How many, by table: `3 rejects of orders, 1 reject of users`."""
    return ", ".join(
        printable(f"{number_of(count, 'reject')} of {table or 'nobody knows which table'}")
        for table, count in counts.items()
    )


def shown_json(shown: Iterable[StoredReject], *, first: bool) -> Iterator[str]:
    """Elements of a JSON array, a line each; `first` where none came before."""
    for number, reject in enumerate(shown):
        yield f"{'   ' if first and not number else '  ,'} {json.dumps(reject.as_dict())}"
