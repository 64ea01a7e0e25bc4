"""An inspection as text for a terminal. Pure: a report in, lines out; values are escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from async_loader import Inspected, InspectedColumn
from async_loader.contrib.django.inspection.fit import ColumnFit
from async_loader.contrib.django.inspection.report import InspectionReport, Judged, JudgedReject
from async_loader.contrib.django.terminal.wording import clipped, number_of, printable

# Characters of a value, and lines of a preamble, that are shown.
_VALUE_SHOWN, _PREAMBLE_SHOWN = 24, 5
_NULLS_SHOWN, _MISFITS_SHOWN = 3, 3


def inspection_lines(report: InspectionReport) -> Iterator[str]:
    """Return the report: what the file is, its columns, how they fit, what would be rejected, and what to paste."""
    inspected = report.inspected
    if inspected is None:
        return
    yield from _file(inspected)
    yield ""
    yield from _columns(inspected.columns)
    if report.fits and not report.model:
        yield ""
        yield f"Fit to {printable(report.table)}:"
        yield from _fits(report.fits)
    if report.judged is not None:
        yield ""
        yield from _judged(report.judged, is_whole=inspected.sampling.is_whole)
    yield from _to_paste(report)


def _file(inspected: Inspected) -> Iterator[str]:
    yield f"{printable(inspected.path)}: {sample_line(inspected)}"
    for line in inspected.evidence:
        yield f"  {printable(line)}"
    for line in inspected.preamble[:_PREAMBLE_SHOWN]:
        yield f"    | {printable(clipped(line))}"
    for line in inspected.ambiguous:
        yield f"  not sure: {printable(line)}"


def sample_line(inspected: Inspected) -> str:
    """Return how much of the file was looked at, and how many records it has."""
    sampling = inspected.sampling
    about = "" if sampling.is_exact else "about "
    records = f"{about}{number_of(sampling.estimate, 'record')}"
    if sampling.is_whole:
        return f"{records}; all of it was looked at"
    ends = "both ends" if sampling.back else "its front only"
    share = f"{number_of(sampling.looked_at, 'byte')} of {sampling.size:,}"
    return f"{records}; a sample was looked at: {number_of(sampling.records, 'record')} of {ends}, {share}"


def _columns(columns: Sequence[InspectedColumn]) -> Iterator[str]:
    rows = [("column", "type", "nulls", "distinct", "least", "greatest", "examples")]
    rows += [
        (
            _short(column.name),
            type_of(column),
            f"{column.nulls:,}",
            f"{column.distinct:,}",
            _short(column.minimum or ""),
            _short(column.maximum or ""),
            ", ".join(map(_short, column.examples)),
        )
        for column in columns
    ]
    yield from _table(rows, right=(2, 3))
    for column in columns:
        for remark in remarks_of(column):
            yield f"  {_short(column.name)}: {printable(remark)}"


def type_of(column: InspectedColumn) -> str:
    """Return the type of a column with what belongs to it."""
    kind = column.type.value
    if kind == "decimal":
        return f"decimal({column.digits},{column.places})"
    if kind == "text":
        return f"text({column.longest})"
    return kind


def remarks_of(column: InspectedColumn) -> Iterator[str]:
    """Return what is worth saying about a column beside its type."""
    for text, count in list(column.null_texts.items())[:_NULLS_SHOWN]:
        yield f"{clipped(text)!r} stands for null, {number_of(count, 'time')}"
    if column.date_formats and column.type.value != "integer":
        yield f"written as {' or '.join(column.date_formats)}"
    if column.type.value == "boolean":
        yield f"true is {' or '.join(column.true)}, false is {' or '.join(column.false)}"
    if column.misfits:
        listed = ", ".join(repr(clipped(text)) for text in list(column.misfits)[:_MISFITS_SHOWN])
        more = len(column.misfits) - _MISFITS_SHOWN
        yield f"no {column.type.value}: {listed}{f' and {more} more' if more > 0 else ''}"
    yield from column.notes


def _fits(fits: Sequence[ColumnFit]) -> Iterator[str]:
    rows = [("in the file", "in the table", "fit", "")]
    rows += [(_short(fit.name) or "-", printable(fit.target) or "-", fit.how, printable(fit.why)) for fit in fits]
    yield from _table(rows)


def _judged(judged: Judged, *, is_whole: bool) -> Iterator[str]:
    what = "the file" if is_whole else "the sample"
    if judged.problem:
        yield f"A dry run of {what} was not possible: {printable(judged.problem)}"
        return
    given = number_of(judged.given, "record")
    if not judged.rejected:
        yield f"A dry run of {what} rejects none of {given}."
    else:
        yield f"A dry run of {what} rejects {judged.rejected:,} of {given}:"
    for name, count in judged.reasons:
        yield f"  {count:>8,}  {printable(name)}"
    for reject in judged.rejects:
        yield f"  {place_of(reject)}: {printable('; '.join(map(clipped, reject.reasons)))}"
    if judged.blank_lines:
        yield f"  {number_of(judged.blank_lines, 'line')} with nothing in any field, which are no records"
    if judged.unasked:
        yield f"  a dry run cannot ask {printable(', '.join(judged.unasked))}; the database may refuse more"


def place_of(reject: JudgedReject) -> str:
    """Return where a reject stands in the file."""
    return f"line {reject.line}" if reject.line is not None else f"line {reject.from_end} from the end"


def _to_paste(report: InspectionReport) -> Iterator[str]:
    if report.model:
        yield from (
            "",
            "No model was named. One to paste into models.py of an app (put its label for myapp below):",
            "",
        )
        yield from (f"    {printable(line)}" for line in report.model.splitlines())
    if report.missing:
        names = ", ".join(fit.target for fit in report.missing)
        yield ""
        yield f"The table needs {printable(names)}, for which nothing was taken: give each with --map or --set."
    yield from ("", _heading(report.judged), "", f"    {printable(report.command)}")
    yield from ("", "The same as a format to declare, see ASYNC_LOADER_FORMATS:", "")
    yield from (f"    {printable(line)}" for line in report.form.splitlines())
    if finding := [option for option in ("--match", "--append") if option in report.command.split()]:
        yield f"  {finding[0]} is no part of a format: give it with the command."


def _heading(judged: Judged | None) -> str:
    """Return the line over the command, which does not promise a load that a dry run could not make."""
    if judged is not None and judged.problem:
        return "The command, which is refused too until what hinders the dry run is mended:"
    return "To load it:"


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _VALUE_SHOWN else f"{shown[: _VALUE_SHOWN - 3]}..."


def _table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()
