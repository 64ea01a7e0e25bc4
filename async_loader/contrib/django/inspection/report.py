"""What an inspection reports. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from async_loader import Inspected
from async_loader.contrib.django.inspection.fit import ColumnFit


@dataclass(frozen=True, slots=True)
class JudgedReject:
    """A record of the sample that would be rejected. line: in the file; from_end: counted from its end, where the line
    is not known.
    """

    line: int | None
    from_end: int | None
    record: dict[str, Any]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of a dry run of the sample. problem: why there is none; empty where there is one.

    reasons: by code and column, how many records it rejects. unasked: constraints that only the database can ask.
    """

    given: int = 0
    rejected: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    rejects: tuple[JudgedReject, ...] = ()
    blank_lines: int = 0
    unasked: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class InspectionReport:
    """The outcome of an inspection. `status` is complete, failed or interrupted; `error` the line that says why.

    table: as which the file is to be loaded, by the name that the command uses. model: code of a model to paste, where
    none was named. form: code of a declared format that says the same as the command's options.
    """

    status: str
    seconds: float
    error: str | None
    source: str
    inspected: Inspected | None = None
    table: str = ""
    fits: tuple[ColumnFit, ...] = ()
    judged: Judged | None = None
    command: str = ""
    form: str = ""
    model: str = ""

    @property
    def missing(self) -> tuple[ColumnFit, ...]:
        """The columns that the file must have, and has not."""
        return tuple(fit for fit in self.fits if fit.how == "missing")

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        judged = self.judged
        return {
            "version": 1,
            "status": self.status,
            "seconds": self.seconds,
            "error": self.error,
            "source": self.source,
            "file": None if self.inspected is None else self.inspected.as_dict(),
            "table": self.table or None,
            "fit": [
                {"name": fit.name or None, "column": fit.target or None, "how": fit.how, "why": fit.why}
                for fit in self.fits
            ],
            "judged": None
            if judged is None
            else {
                "given": judged.given,
                "rejected": judged.rejected,
                "reasons": dict(judged.reasons),
                "blank_lines": judged.blank_lines,
                "unasked_constraints": list(judged.unasked),
                "problem": judged.problem or None,
                "rejects": [
                    {
                        "line": reject.line,
                        "from_end": reject.from_end,
                        "record": reject.record,
                        "reasons": list(reject.reasons),
                    }
                    for reject in judged.rejects
                ],
            },
            "command": self.command or None,
            "format": self.form or None,
            "model": self.model or None,
        }
