"""The results of the runs: medians and ratios, as a table and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.measure import Usage

# The contender that all others are compared with.
_BASE = "async"


@dataclass(frozen=True, slots=True)
class Result:
    """A contender, how many records it loaded in each run, and what each run took."""

    contender: Contender
    records: int
    runs: tuple[Usage, ...]

    @property
    def median(self) -> Usage:
        """The median of each measure by itself."""
        spent = [run.server_cpu_seconds for run in self.runs if run.server_cpu_seconds is not None]
        return Usage(
            median(run.seconds for run in self.runs),
            median(run.cpu_seconds for run in self.runs),
            median(run.memory_mib for run in self.runs),
            median(spent) if len(spent) == len(self.runs) else None,
        )

    @property
    def records_per_second(self) -> float | None:
        """Records loaded in a second; None if nothing is loaded."""
        return self.records / self.median.seconds if self.records else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A contender's seconds as a multiple of those of the mode `async`; per record if their numbers differ."""

    ratio: float
    per_record: bool


@dataclass(frozen=True, slots=True)
class ByIds:
    """What a contender took as multiples of what the same load by ids took, whose label is `label`."""

    label: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a whole benchmark.

    records: how many records the mode `async` was given, in all three tables.
    invalid: the part of them that was made bad; None if the files were given.
    left_out: by label, why a contender did not run.
    """

    records: int
    invalid: float | None
    repeat: int
    machine: Mapping[str, object]
    command: str
    results: tuple[Result, ...]
    left_out: Mapping[str, str]

    def comparison(self, result: Result) -> Comparison | None:
        """Compare a result with the mode `async`; None if they cannot be compared, or `async` did not run."""
        base = self._result(_BASE)
        if base is None or not (base.records and result.records and result.contender.compared):
            return None
        ratio = (result.median.seconds / result.records) / (base.median.seconds / base.records)
        return Comparison(ratio, per_record=result.records != base.records)

    def by_ids(self, result: Result) -> ByIds | None:
        """Compare a result with the same load by ids; None if there is no such load."""
        base = self._result(result.contender.by_ids)
        if base is None:
            return None
        own, other = result.median, base.median
        return ByIds(base.contender.label, own.seconds / other.seconds, own.cpu_seconds / other.cpu_seconds)

    def _result(self, name: str | None) -> Result | None:
        return next((each for each in self.results if each.contender.name == name), None)

    @property
    def title(self) -> str:
        """What was loaded, in words."""
        bad = f", {100 * self.invalid:.4g}% of them bad" if self.invalid else ""
        server = self.machine.get("postgresql")
        return f"{self.records:,} records in three tables{f' of PostgreSQL {server}' if server else ''}{bad}"

    @property
    def has_server(self) -> bool:
        """Whether the CPU seconds of a server are known."""
        return any(result.median.server_cpu_seconds is not None for result in self.results)


# The columns of the table after the label; the server's only if its CPU seconds are known.
_SERVER = "server CPU s"
_COLUMNS: Mapping[str, Callable[[Result], str]] = {
    "checks": lambda result: ("yes" if result.contender.checks else "nothing") if result.records else "-",
    "records": lambda result: f"{result.records:,}" if result.records else "-",
    "seconds": lambda result: f"{result.median.seconds:.2f}",
    "CPU s": lambda result: f"{result.median.cpu_seconds:.2f}",
    _SERVER: lambda result: _seconds(result.median.server_cpu_seconds),
    "MiB": lambda result: f"{result.median.memory_mib:,.0f}",
    "records/s": lambda result: f"{result.records_per_second:,.0f}" if result.records_per_second else "-",
}


def table_lines(outcome: Outcome) -> Iterator[str]:
    """Yield the lines of the table that people read."""
    runs = "one run" if outcome.repeat == 1 else f"medians of {outcome.repeat} runs"
    yield f"{outcome.title}; {runs}, each in a process of its own"
    yield ""
    compared = [outcome.comparison(result) for result in outcome.results]
    columns = {name: cell for name, cell in _COLUMNS.items() if outcome.has_server or name != _SERVER}
    rows = [("", *columns, "to async")]
    for result, comparison in zip(outcome.results, compared, strict=True):
        rows.append((result.contender.label, *(cell(result) for cell in columns.values()), _ratio(comparison)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()
    if any(comparison and comparison.per_record for comparison in compared):
        yield ""
        yield "* per record: it was given fewer records than async, so that its start weighs more"
    by_ids = {result.contender.label: outcome.by_ids(result) for result in outcome.results}
    if any(by_ids.values()):
        yield ""
    for label, ratios in by_ids.items():
        if ratios is not None:
            spent = f"{ratios.seconds:.2f}x the seconds and {ratios.cpu_seconds:.2f}x the CPU seconds"
            yield f"{label}: {spent} of: {ratios.label}"
    if outcome.left_out:
        yield ""
    for label, reason in outcome.left_out.items():
        yield f"left out: {label}: {reason}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"


def _ratio(comparison: Comparison | None) -> str:
    if comparison is None:
        return "- "
    return f"{comparison.ratio:.2f}x{'*' if comparison.per_record else ' '}"


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return what `--format json` prints."""
    return {
        "version": 1,
        "command": outcome.command,
        "machine": dict(outcome.machine),
        "records": outcome.records,
        "invalid": outcome.invalid,
        "repeat": outcome.repeat,
        "contenders": [_contender(outcome, result) for result in outcome.results],
        "left_out": [{"label": label, "reason": reason} for label, reason in outcome.left_out.items()],
    }


def _contender(outcome: Outcome, result: Result) -> dict[str, Any]:
    comparison, by_ids = outcome.comparison(result), outcome.by_ids(result)
    return {
        "name": result.contender.name,
        "label": result.contender.label,
        "checks": result.contender.checks,
        "records": result.records,
        "median": result.median.as_dict(),
        "records_per_second": result.records_per_second,
        "ratio": comparison and comparison.ratio,
        "ratio_per_record": comparison and comparison.per_record,
        "by_ids": by_ids and asdict(by_ids),
        "runs": [run.as_dict() for run in result.runs],
    }
