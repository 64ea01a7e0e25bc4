"""Stored rejects of one table written to files, for a person to mend and load again. A generator of effects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from async_loader.effects import Call, Steps
from async_loader.errors import ConfigurationError
from async_loader.ledger.layouts import KINDS_OF_REJECTS, Layout
from async_loader.ledger.reject_groups import RejectFilter, RejectRow, Selection
from async_loader.records.reasons import reason_json
from async_loader.rejects.selection import count_selections, format_or_problem, take_pages, why_table_is_unknown
from async_loader.run.inspection import Inspection
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.rejects.files import ExportedFiles

# By the suffix of a file, the format of the sources whose rejects it can hold.
_FORMATS = {f".{kind}": kind for kind in KINDS_OF_REJECTS} | {".ndjson": "jsonl"}


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written, each with how many rejects are in it and how they stand in it.

    left: lines about rejects that did not go into the files, and why.
    """

    table: str
    files: tuple[tuple[Path, int, Layout], ...]
    left: tuple[str, ...]


def export(inspection: Inspection, wanted: RejectFilter, target: Path) -> Steps[Exported | None]:
    """Write the rejects, which are of one table, to a file that does not exist yet, in their source's own format and
    columns; to others beside it where layouts differ. None where there are none. ConfigurationError where they do not
    fit.
    """
    kind = _format_of(target)
    selections = yield from count_selections(inspection, wanted)
    if not selections:
        return None
    table = _table_of(selections, {each.name: each for each in inspection.tables})
    left = list(_left_out(table, kind, selections))
    fitting = [selection for selection, _ in selections if selection.table and _fits(selection, kind)]
    if not fitting:
        raise ConfigurationError("; ".join(left))
    from async_loader.rejects.files import ExportedFiles

    files = ExportedFiles(target, table)
    counts: Counter[Layout] = Counter()
    try:
        yield from take_pages(inspection, fitting, lambda selection, rows: _write(files, counts, selection, rows))
        # Layouts are counted in the order in which their files were made.
        written = [(path, number, layout) for path, (layout, number) in zip(files.made, counts.items(), strict=True)]
        yield Call(files.close)
    except BaseException:
        files.remove()
        raise
    return Exported(table.name, tuple(written), tuple(left))


def _format_of(target: Path) -> str:
    """Return the format of the rejects that go into a file of this name, which is to be a new one."""
    if target.suffix not in _FORMATS:
        raise ConfigurationError(f"{target}: the file's name must end in one of {', '.join(_FORMATS)}")
    if target.exists():
        raise ConfigurationError(f"{target}: exists already; name another file, or move it away")
    return _FORMATS[target.suffix]


def _table_of(selections: Sequence[tuple[Selection, int]], tables: Mapping[str, Table]) -> Table:
    """Return the table that all of them are of, leaving aside those whose table is not known."""
    names = sorted({selection.table for selection, _ in selections if selection.table is not None})
    if len(names) > 1:
        raise ConfigurationError(f"these are rejects of {', '.join(names)}: choose one with --table")
    if not names:
        raise ConfigurationError("; ".join(_unknown(selection, number) for selection, number in selections))
    if names[0] not in tables:
        raise ConfigurationError(f"these are rejects of table {names[0]}, which is no longer declared")
    return tables[names[0]]


def _left_out(table: Table, kind: str, selections: Iterable[tuple[Selection, int]]) -> Iterator[str]:
    """Return lines about the rejects that do not go into a file of that format."""
    others: Counter[tuple[str, str]] = Counter()
    for selection, number in selections:
        if selection.table is None:
            yield _unknown(selection, number)
        elif not _fits(selection, kind):
            others[format_or_problem(selection)] += number
    for (other, problem), number in others.items():
        if other in KINDS_OF_REJECTS:
            remedy = f"name a file that ends in .{other} for them"
            yield f"{table.name}: left out {_rejects(number)} of {other}: {remedy}"
        else:
            yield f"{table.name}: left out {_rejects(number)}: {problem or f'their source was {other}'}"


def _unknown(selection: Selection, number: int) -> str:
    where = f"{_rejects(number)} of run {selection.group.run} from {selection.name}"
    return f"{where} {why_table_is_unknown(selection)}"


def _rejects(number: int) -> str:
    return "1 reject" if number == 1 else f"{number:,} rejects"


def _fits(selection: Selection, kind: str) -> bool:
    return {kind} == {layout.kind for layout in selection.layouts}


def _reasons(row: RejectRow) -> str:
    """Return a reject's reasons as JSON; those of one that was made good begin with that."""
    if row.made_good_by is None:
        return row.reasons
    first = reason_json("made_good", None, f"made good by run {row.made_good_by}")
    return json.dumps([json.loads(first), *json.loads(row.reasons)])


def _write(files: ExportedFiles, counts: Counter[Layout], selection: Selection, rows: Sequence[RejectRow]) -> bool:
    named = [(row.line, row.line_end, row.record, _reasons(row), row.name) for row in rows]
    counts.update(files.write_rows(selection.layouts, named))
    return True
